//! What the model reads: Procfiles, .slugignore, static.json, and names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_model::name::{AppName, DynoName, ProcessType};
use slugline_model::slug::SlugId;
use slugline_model::slugignore::Slugignore;
use slugline_model::static_site::StaticSite;
use slugline_model::{name, procfile, route};

fuzz_target!(|text: &str| {
    let _ = procfile::parse(text);
    let (rules, path) = text.rsplit_once('\n').unwrap_or((text, "a/b"));
    let ignore = Slugignore::parse(rules);
    let _ = (ignore.ignores(path, false), ignore.ignores(path, true));
    let _ = StaticSite::parse(text, &|name| Some(name.to_owned()));
    if let Ok(app) = text.parse::<AppName>() {
        assert_eq!(app.to_string(), text);
    }
    let _ = (text.parse::<DynoName>(), text.parse::<ProcessType>(), text.parse::<SlugId>());
    if let Some(app) = name::app_name_from_directory(text) {
        assert!(app.to_string().parse::<AppName>().is_ok());
    }
    let _ = route::host_name(text);
});
