//! NLTK's corpora, which Heroku's buildpack downloads and this one leaves to a hook.

use super::modules;
use crate::builtin::Call;
use crate::log;

/// Says what an app that uses NLTK has to do.
pub(crate) fn say(call: &Call) {
    if !modules::is_installed(call, "nltk") {
        return;
    }
    let Ok(text) = fs_err::read_to_string(call.build_dir.join("nltk.txt")) else {
        log::heading("NLTK is installed; there is no nltk.txt that names corpora");
        return;
    };
    let corpora = text.split_whitespace().collect::<Vec<_>>().join(" ");
    log::heading("NLTK corpora are not downloaded");
    log::warning(format!(
        "nltk.txt names: {corpora}\n\
         They come from a site beyond the package indexes, so this buildpack leaves them out.\n\
         To have them, put this line into bin/post_compile:\n\
         \x20 python -m nltk.downloader -d \"$BUILD_DIR/nltk_data\" {corpora}\n\
         and set the config var NLTK_DATA=/app/nltk_data"
    ));
}
