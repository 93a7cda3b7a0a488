//! The build's own `collectstatic` switched off, and nobody else does it.

use crate::advice::{self, COLLECTSTATIC};

use super::code::{Code, Line};
use super::commands::build_runs;
use super::{Cause, Finding, Said, Source};

pub(super) fn find(source: &Source) -> Vec<Finding> {
    let collects = source.file("manage.py").is_some()
        && source.ending(&[".py"]).any(|file| {
            file.mentions(&["django.contrib.staticfiles"])
                && file.lines.iter().any(|line| line.value_of("STATIC_ROOT").is_some())
        });
    if !collects || build_runs(source, &["collectstatic"]) {
        return vec![];
    }
    switched_off(source).map(|(file, line)| said().at(file, line)).into_iter().collect()
}

fn said() -> Said {
    Said {
        cause: Cause::CollectstaticOff,
        why:
            "The build does not collect the static files, and no hook does: STATIC_ROOT is not in \
              the slug."
                .to_owned(),
        advice: advice::bake(COLLECTSTATIC),
    }
}

/// The config var where the source sets it, or the file that means the same.
fn switched_off(source: &Source) -> Option<(&Code, &Line)> {
    if let Some(file) = source.file(".heroku/collectstatic_disabled") {
        return file.lines.first().map(|line| (file, line));
    }
    source.files.iter().find_map(|file| {
        let sets = |line: &&Line| {
            let Some((_, value)) = line.text.split_once("DISABLE_COLLECTSTATIC") else {
                return false;
            };
            let value = value.trim_start_matches(['"', '\'', ' ']);
            value.starts_with(['=', ':'])
        };
        file.lines.iter().find(sets).map(|line| (file, line))
    })
}
