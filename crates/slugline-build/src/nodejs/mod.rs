//! heroku/nodejs.
use crate::builtin::Call;
use crate::record::Failure;

pub(crate) fn detect(_call: &Call) -> i32 {
    1
}
pub(crate) fn compile(_call: &Call) -> Result<(), Failure> {
    Ok(())
}
pub(crate) fn release(_call: &Call) -> Result<(), Failure> {
    Ok(())
}
pub(crate) fn report(_call: &Call) -> Result<(), Failure> {
    Ok(())
}
