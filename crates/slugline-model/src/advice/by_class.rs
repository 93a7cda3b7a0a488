//! From what a file is for to what to do about it.

use super::{
    Advice, Framework, bake, bake_by_hand, database, hook_line, logs, nothing, sessions, uploads,
};
use crate::ledger::Class;

/// What to do about a file of a class that a dyno wrote. The path is absolute in the dyno, or from
/// the app's directory on; it may be that of a directory.
pub fn advise(class: Class, framework: Framework, path: &str) -> Advice {
    let path = path.strip_prefix("/app/").unwrap_or(path);
    match class {
        // What nobody knows is most likely somebody's.
        Class::Upload | Class::Other => uploads(framework),
        Class::Database => database(framework),
        Class::Asset => hook_line(framework, path).map_or_else(bake_by_hand, bake),
        Class::Session => sessions(framework),
        Class::Log => logs(framework),
        Class::Cache | Class::Process | Class::Boot | Class::Temporary | Class::Scratch => {
            nothing()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [(Class, &str); 12] = [
        (Class::Upload, "/app/media/a.png"),
        (Class::Database, "/app/db.sqlite3"),
        (Class::Asset, "/app/static/app.css"),
        (Class::Asset, "/app/static/CACHE/css/out.css"),
        (Class::Session, "/app/sessions/a"),
        (Class::Log, "/app/logs/a.log"),
        (Class::Cache, "/app/a.pyc"),
        (Class::Process, "/app/a.pid"),
        (Class::Boot, "/app/.heroku/python/a.pth"),
        (Class::Temporary, "/tmp/a"),
        (Class::Scratch, "/app/thumbnails/a"),
        (Class::Other, "/app/notes"),
    ];

    fn table(framework: Framework) -> String {
        let line = |(class, path): &(Class, &str)| {
            format!("{} {path}: {}\n", class.as_str(), advise(*class, framework, path))
        };
        CLASSES.iter().map(line).collect()
    }

    #[test]
    fn every_class_has_an_advice_in_every_framework() {
        insta::assert_snapshot!("django", table(Framework::Django));
        insta::assert_snapshot!("flask", table(Framework::Flask));
        insta::assert_snapshot!("fastapi", table(Framework::FastApi));
        insta::assert_snapshot!("rails", table(Framework::Rails));
        insta::assert_snapshot!("next", table(Framework::Next));
        insta::assert_snapshot!("node", table(Framework::Node));
        insta::assert_snapshot!("laravel", table(Framework::Laravel));
        insta::assert_snapshot!("unknown", table(Framework::Unknown));
    }

    #[test]
    fn what_is_to_be_pasted_is_one_line_and_noise_needs_none() {
        for framework in [Framework::Django, Framework::Rails, Framework::Node] {
            for (class, path) in CLASSES {
                let advice = advise(class, framework, path);
                assert!(!advice.paste.contains('\n') && !advice.say.is_empty());
                assert_eq!(advice.paste.is_empty(), class.is_noise(), "{class:?}");
            }
        }
    }
}
