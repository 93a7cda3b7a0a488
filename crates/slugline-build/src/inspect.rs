//! The finished tree: how much it holds, what it is made of, and what leaked into it.

use std::path::Path;

use slugline_model::build::{CompileResult, exit_code};
use slugline_model::parts;

use crate::record::Failure;
use crate::snapshot::Snapshot;
use crate::{leak, log};

/// Completes a result, and tells of the tree what is worth telling. `source` is the tree before
/// anything was built in it. A failure where the app asks leaks to be one.
pub(crate) fn inspect(
    root: &Path,
    env_dir: &Path,
    (source, built): (&Snapshot, &Snapshot),
    result: CompileResult,
) -> Result<CompileResult, Failure> {
    let sizes = built.sizes();
    let parts = parts::parts(sizes.iter().map(|(path, bytes)| (path.as_str(), *bytes)));
    let biggest = parts::describe_biggest(&parts);
    if !biggest.is_empty() {
        log::heading("Biggest parts of the slug");
        biggest.iter().for_each(log::detail);
    }
    let leaks = leak::check(root, env_dir, source, built)
        .map_err(|leaks| Failure::new(exit_code::LEAK, leak::explain(&leaks)))?;
    Ok(CompileResult { size: built.size(), parts, leaks, ..result })
}
