//! What should not be in the source of a Python app, and is said to be left out or replaced.

use crate::builtin::Call;
use crate::log;

/// Warns of environments of another machine.
pub(crate) fn warn(call: &Call) {
    for name in [".venv", "venv"] {
        if call.build_dir.join(name).join("pyvenv.cfg").is_file() {
            log::warning(format!(
                "{name}/ is a virtual environment of another machine, and only makes the slug \
                 larger: git rm -r --cached {name} && echo {name}/ >> .gitignore"
            ));
        }
    }
    if call.build_dir.join(".heroku/python").exists() {
        log::warning(
            ".heroku/python is where this buildpack installs: what the source has there is replaced",
        );
    }
}
