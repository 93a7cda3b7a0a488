//! One error for the crate: what was tried, and what the kernel said.

use std::fmt;

use rustix::io::Errno;
use slugline_model::port::EngineError;

/// An operation with its operand, and its cause.
#[derive(Debug)]
pub(crate) struct OpError {
    pub(crate) operation: String,
    pub(crate) source: std::io::Error,
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)
    }
}

impl std::error::Error for OpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<OpError> for EngineError {
    fn from(error: OpError) -> Self {
        EngineError { operation: error.operation, source: Box::new(error.source) }
    }
}

/// Names the operation that an error belongs to.
pub(crate) trait Operation<T> {
    /// The error as one of this operation.
    fn op(self, operation: impl FnOnce() -> String) -> Result<T, OpError>;
}

impl<T> Operation<T> for Result<T, Errno> {
    fn op(self, operation: impl FnOnce() -> String) -> Result<T, OpError> {
        self.map_err(|errno| OpError { operation: operation(), source: errno.into() })
    }
}

impl<T> Operation<T> for std::io::Result<T> {
    fn op(self, operation: impl FnOnce() -> String) -> Result<T, OpError> {
        self.map_err(|source| OpError { operation: operation(), source })
    }
}
