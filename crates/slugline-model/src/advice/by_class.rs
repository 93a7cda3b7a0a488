//! From what a file is for to what to do about it.

use serde::Serialize;

use super::{
    Advice, Framework, bake, bake_by_hand, database, hook_line, logs, nothing, sessions, uploads,
};
use crate::ledger::{Class, Receipt};

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

/// Files that lie together, and what to do about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advised {
    /// Where they lie, as a receipt groups them: `media/`.
    pub group: String,
    /// What the largest of them is for.
    pub class: Class,
    /// How many.
    pub files: u64,
    /// Their size (bytes).
    pub bytes: u64,
    /// What to do.
    pub advice: Advice,
}

/// What to do about the files of a ledger or a receipt, group by group, the largest first.
pub fn of_groups(receipt: &Receipt, framework: Framework) -> Vec<Advised> {
    let mut advised: Vec<Advised> = Vec::new();
    for (name, group) in &receipt.groups {
        let place = format!("/app/{name}");
        let is_of_it = |path: &str| path.starts_with(&place) || path.starts_with(name.as_str());
        let mut listed = receipt.largest.iter();
        let largest = listed.find(|one| one.class == group.class && is_of_it(&one.path));
        let path = largest.map_or(name.as_str(), |one| one.path.as_str());
        advised.push(Advised {
            group: name.clone(),
            class: group.class,
            files: group.tally.files,
            bytes: group.tally.bytes,
            advice: advise(group.class, framework, path),
        });
    }
    advised.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.group.cmp(&b.group)));
    advised
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Change, ChangeKind};

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
    fn a_ledger_has_one_advice_for_each_place() {
        let mut receipt = Receipt::default();
        for (path, bytes, class) in [
            ("/app/static/CACHE/css/out.css", 900, Class::Asset),
            ("/app/media/a.png", 5_000, Class::Upload),
            ("/app/media/b.png", 1, Class::Upload),
            ("/app/a.pyc", 70_000, Class::Cache),
        ] {
            let (path, kind) = (path.to_owned(), ChangeKind::Created);
            receipt.add(Change { path, kind, bytes, class, time: 0, hash: None, by: None });
        }
        let told = of_groups(&receipt.finish(), Framework::Django);
        let told: Vec<_> = told
            .iter()
            .map(|one| (one.group.as_str(), one.files, one.advice.paste.as_str()))
            .collect();
        assert_eq!(
            told,
            [("media/", 2, "heroku addons:create s3"), ("static/", 1, "python manage.py compress"),]
        );
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
