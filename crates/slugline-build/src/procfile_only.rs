//! heroku/procfile: an app that brings all it needs, and only says in a Procfile what runs.

use slugline_model::build::exit_code;

use crate::builtin::Call;
use crate::log;

/// `bin/detect`: an app with a Procfile.
pub(crate) fn detect(call: &Call) -> i32 {
    if call.build_dir.join("Procfile").is_file() {
        log::line("Procfile");
        exit_code::OK
    } else {
        1
    }
}

/// `bin/compile`: the source is the slug.
pub(crate) fn compile() {
    log::heading("Nothing to compile: the source is what runs");
}

/// `bin/release`: the Procfile says it all.
pub(crate) fn release() {
    log::line("--- {}");
}

/// `bin/report`: there is nothing to tell of.
pub(crate) fn report() {
    log::line("{}");
}
