//! What to do about a file that is not in the slug, as a line that can be pasted.

use crate::advice::{self, Framework};

/// How a file comes to be in the slug, or to be where it is not lost. The file is the one that a
/// dyno made (absolute in the dyno), where that is known.
pub(super) fn remedy(framework: Framework, url: &str, file: Option<&str>) -> String {
    let made = url.contains("/CACHE/");
    if is_upload(url) && !made {
        return advice::uploads(framework).to_string();
    }
    match command(framework, url, file) {
        Some(command) => format!("add `{command}` to bin/post_compile"),
        None => "make it in the build (bin/post_compile), so that it is in the slug".to_owned(),
    }
}

fn command(framework: Framework, url: &str, file: Option<&str>) -> Option<&'static str> {
    if url.contains("/CACHE/images/") {
        return Some("python manage.py generateimages");
    }
    // As webpack names what it loads later, wherever that lies.
    if url.contains(".chunk.") {
        return Some(advice::NPM_BUILD);
    }
    let file = file.and_then(|file| file.strip_prefix("/app/"));
    advice::hook_line(framework, file.unwrap_or(url))
}

fn is_upload(url: &str) -> bool {
    ["/media/", "/uploads/", "/upload/", "/storage/", "/system/"]
        .iter()
        .any(|place| url.starts_with(place))
}
