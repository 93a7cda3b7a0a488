//! Static files that nothing serves where `DEBUG` is off.

use crate::advice::{Advice, Way};

use super::code::{Code, Line};
use super::{Cause, Finding, Said, Source};

/// What serves static files, in code or in a list of dependencies.
const SERVERS: [&str; 9] = [
    "whitenoise",
    "servestatic",
    "dj_static",
    "dj-static",
    "storages",
    "cloudinary",
    "nginx",
    "django.views.static",
    "caddy",
];

pub(super) fn find(source: &Source) -> Vec<Finding> {
    if source.mentions_any_case(&SERVERS) || !uses_static_files(source) {
        return vec![];
    }
    let off = source.ending(&[".py"]).find_map(|file| {
        let is_off = |line: &&Line| line.value_of("DEBUG").is_some_and(is_off);
        file.unconditional().find(is_off).map(|line| (file, line))
    });
    off.map(|(file, line): (&Code, &Line)| said().at(file, line)).into_iter().collect()
}

/// Whether pages ask for them: the admin does, and templates that name one.
fn uses_static_files(source: &Source) -> bool {
    let installed = |name: &str| {
        source
            .ending(&[".py"])
            .any(|file| file.mentions(&["INSTALLED_APPS"]) && file.mentions(&[name]))
    };
    let in_templates = || {
        source
            .ending(&[".html", ".jinja"])
            .any(|file| file.mentions(&["{% static", "{% load static"]))
    };
    installed("django.contrib.staticfiles") && (installed("django.contrib.admin") || in_templates())
}

/// `False`, or what is off where the environment says nothing.
fn is_off(value: &str) -> bool {
    let reads =
        ["environ", "getenv", "env(", "env.bool(", "config("].iter().any(|r| value.contains(r));
    let on = ["True", "\"1\"", "'1'", "\"true\"", "'true'"];
    let default = value.split_once(',').map(|(_, rest)| rest.split(')').next().unwrap_or(rest));
    let defaults_on = default.is_some_and(|default| on.iter().any(|on| default.contains(on)));
    value == "False" || (reads && !defaults_on && value.contains("False"))
}

fn said() -> Said {
    Said {
        cause: Cause::StaticNotServed,
        why: "With DEBUG off, Django serves no static files, and nothing else in the source does: \
              pages come without their stylesheets."
            .to_owned(),
        advice: Advice {
            way: Way::Bake,
            say: "serve them from the slug by WhiteNoise, behind SecurityMiddleware".to_owned(),
            paste: "echo whitenoise >> requirements.txt".to_owned(),
            then: "\"whitenoise.middleware.WhiteNoiseMiddleware\",".to_owned(),
        },
    }
}
