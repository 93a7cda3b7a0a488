//! django-compressor, which compresses when a page is first asked for unless it is told otherwise.

use crate::advice::{self, COMPRESS};

use super::code::{Code, Line};
use super::{Cause, Finding, Said, Source};

pub(super) fn find(source: &Source) -> Vec<Finding> {
    let Some((file, line)) = installed(source) else { return vec![] };
    let values: Vec<&str> = values(source, "COMPRESS_OFFLINE");
    if values.is_empty() || values.iter().all(|value| *value == "False") {
        let off = self::values(source, "COMPRESS_ENABLED").contains(&"False");
        let elsewhere = source.mentions(&["COMPRESS_STORAGE", "COMPRESS_OFFLINE"])
            && !values.contains(&"False");
        return if off || elsewhere { vec![] } else { vec![at_run_time().at(file, line)] };
    }
    let runs = [
        "manage.py compress",
        "django-admin compress",
        "call_command(\"compress",
        "call_command('compress",
    ];
    if source.mentions(&runs) {
        return vec![];
    }
    let place = source.ending(&[".py"]).find_map(|file| {
        file.lines
            .iter()
            .find(|line| line.value_of("COMPRESS_OFFLINE").is_some())
            .map(|line| (file, line))
    });
    place.map(|(file, line)| never_compressed().at(file, line)).into_iter().collect()
}

fn at_run_time() -> Said {
    Said {
        cause: Cause::Compressor,
        why: "django-compressor writes static/CACHE/ when a page is first asked for: those files are \
              in no slug, are gone when the dyno stops, and no other dyno has them. Nothing sets \
              COMPRESS_OFFLINE = True."
            .to_owned(),
        advice: advice::Advice {
            then: "COMPRESS_OFFLINE = True".to_owned(),
            ..advice::bake(COMPRESS)
        },
    }
}

fn never_compressed() -> Said {
    Said {
        cause: Cause::Compressor,
        why: "COMPRESS_OFFLINE wants the compressed files to be there, and nothing in the source runs \
              `manage.py compress`: pages that have such a block fail."
            .to_owned(),
        advice: advice::bake(COMPRESS),
    }
}

fn values<'a>(source: &'a Source, name: &str) -> Vec<&'a str> {
    let files = source.ending(&[".py"]);
    let lines = files.flat_map(Code::unconditional);
    lines.filter_map(|line| line.value_of(name)).collect()
}

/// Where the app is installed: a line of its own in `INSTALLED_APPS`.
fn installed(source: &Source) -> Option<(&Code, &Line)> {
    source.ending(&[".py"]).filter(|file| file.mentions(&["INSTALLED_APPS"])).find_map(|file| {
        let is_it = |line: &&Line| {
            let items = line.text.split(['[', ']', '(', ')', ',', '=', '+']);
            items.map(str::trim).any(|item| matches!(item, "\"compressor\"" | "'compressor'"))
        };
        file.unconditional().find(is_it).map(|line| (file, line))
    })
}
