//! The build's own lines, in Heroku's style: a heading behind an arrow, details below it.
//!
//! They go to the process's standard output, which the buildpacks' processes inherit: so every line
//! appears in order and at once.

use std::io::Write;

/// `-----> Building on the Host stack`
pub(crate) fn heading(text: impl AsRef<str>) {
    line(&format!("-----> {}", text.as_ref()));
}

/// A line below a heading, indented by seven columns.
pub(crate) fn detail(text: impl AsRef<str>) {
    for part in text.as_ref().lines() {
        line(&format!("       {part}"));
    }
}

/// What a buildpack says of an app that it does not recognise, as Heroku shows it. One that says
/// nothing is left to the error.
pub(crate) fn not_compatible(buildpack: &str, said: &str) {
    if said.is_empty() {
        return;
    }
    heading(format!("App not compatible with buildpack: {buildpack}"));
    line(&format!("       {said}"));
    line(
        "       More info: https://devcenter.heroku.com/articles/buildpacks#buildpack-auto-detection",
    );
    line("");
}

/// A warning, in the gutter that Heroku uses for them.
pub(crate) fn warning(text: impl AsRef<str>) {
    for part in text.as_ref().lines() {
        line(&slugline_model::message::gutter_line(part));
    }
}

/// One line as it is. Nobody reads on when the pipe is closed, so that error has no consequence.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{text}\n").as_bytes());
    let _ = out.flush();
}
