use super::*;
use proptest::prelude::*;

fn found<'a>(path: &'a str, head: &'a [u8]) -> Found<'a> {
    Found { path, kind: ChangeKind::Created, bytes: 8_192, head }
}

fn class(path: &str) -> Class {
    classify(&found(path, b""), &["/app/previews".to_owned()])
}

/// Paths as apps of these frameworks leave them behind.
const KNOWN: [(&str, Class); 88] = [
    // Django
    ("/app/media/covers/a.png", Class::Upload),
    ("/app/mediafiles/cv.docx", Class::Upload),
    ("/app/media/CACHE/images/covers/a/1.jpg", Class::Cache),
    ("/app/db.sqlite3", Class::Database),
    ("/app/db.sqlite3-wal", Class::Database),
    ("/app/db.sqlite3-shm", Class::Database),
    ("/app/db.sqlite3-journal", Class::Database),
    ("/app/static/CACHE/css/output.4a7b.css", Class::Asset),
    ("/app/static/CACHE/manifest.json", Class::Asset),
    ("/app/staticfiles/admin/css/base.1f9c.css", Class::Asset),
    ("/app/staticfiles/staticfiles.json", Class::Asset),
    ("/app/shop/static/shop/logo.png", Class::Asset),
    ("/app/webpack-stats.json", Class::Asset),
    ("/app/celerybeat-schedule", Class::Cache),
    ("/app/celerybeat.pid", Class::Process),
    ("/app/library/__pycache__/a.cpython-313.pyc", Class::Cache),
    ("/app/debug.log", Class::Log),
    ("/app/logs/django.log.1", Class::Log),
    ("/app/app.log.2026-01-31", Class::Log),
    ("/tmp/sessionid8d4g", Class::Session),
    ("/app/sessions/sessionid8d4g", Class::Session),
    // Flask and FastAPI
    ("/app/data/app.db", Class::Database),
    ("/app/flask_session/2029240f6d1128be89ddc32729463129", Class::Session),
    ("/app/uploads/photo.JPG", Class::Upload),
    ("/app/static/uploads/photo.jpg", Class::Upload),
    ("/app/static/gen/packed.css", Class::Asset),
    ("/app/static/.webassets-cache/6f2", Class::Cache),
    ("/app/test.duckdb", Class::Database),
    ("/app/test.duckdb.wal", Class::Database),
    ("/app/gunicorn.ctl.sock", Class::Process),
    ("/app/.config/matplotlib/fontlist.json", Class::Cache),
    ("/app/report.pdf", Class::Upload),
    ("/app/invoices/2026-01.html", Class::Upload),
    ("/app/export.csv", Class::Upload),
    // Node
    ("/app/uploads/6f1ed002ab5595859014ebf0951522d9", Class::Upload),
    ("/app/public/uploads/a.webp", Class::Upload),
    ("/app/dist/main.3f2a.js", Class::Asset),
    ("/app/dist/index.html", Class::Asset),
    ("/app/build/static/js/main.js.map", Class::Asset),
    ("/app/.next/static/chunks/1.js", Class::Asset),
    ("/app/.next/BUILD_ID", Class::Asset),
    ("/app/.next/cache/images/x/60.webp", Class::Cache),
    ("/app/node_modules/.cache/babel/a.json", Class::Cache),
    ("/app/node_modules/left-pad/index.js", Class::Other),
    ("/app/sessions/Vq3.json", Class::Session),
    ("/app/database.sqlite", Class::Database),
    ("/app/prisma/dev.db", Class::Database),
    ("/app/combined.log", Class::Log),
    ("/app/.npm/_logs/1-debug.log", Class::Cache),
    ("/app/yarn.lock", Class::Other),
    // Rails
    ("/app/storage/ab/cd/abcd1234", Class::Upload),
    ("/app/storage/production.sqlite3", Class::Database),
    ("/app/public/assets/application-1a2b.css", Class::Asset),
    ("/app/public/packs/js/app.js", Class::Asset),
    ("/app/public/system/avatars/1/original/a.gif", Class::Upload),
    ("/app/tmp/cache/bootsnap/load-path-cache", Class::Temporary),
    ("/app/tmp/pids/server.pid", Class::Temporary),
    ("/app/log/production.log", Class::Log),
    ("/app/vendor/ruby/a.rbc", Class::Cache),
    ("/app/Gemfile.lock", Class::Other),
    // PHP
    ("/tmp/sess_ab12", Class::Session),
    ("/app/var/sessions/prod/sess_ab12", Class::Session),
    ("/app/storage/framework/sessions/x9", Class::Session),
    ("/app/storage/framework/views/9a.php", Class::Cache),
    ("/app/storage/framework/cache/data/0a/1", Class::Cache),
    ("/app/storage/logs/laravel.log", Class::Log),
    ("/app/storage/app/public/avatars/x.png", Class::Upload),
    ("/app/bootstrap/cache/services.php", Class::Cache),
    ("/app/var/cache/prod/App_Kernel.php", Class::Cache),
    ("/app/wp-content/uploads/2026/01/a.jpg", Class::Upload),
    // Other databases
    ("/app/data/lock.mdb", Class::Database),
    ("/app/level/000003.log", Class::Database),
    ("/app/level/MANIFEST-000002", Class::Database),
    ("/app/level/000005.ldb", Class::Database),
    ("/app/dump.rdb", Class::Database),
    ("/app/my-journal", Class::Other),
    // Systems and runtimes
    ("/app/.heroku/python/lib/python3.13/site-packages/a.pth", Class::Boot),
    ("/app/.heroku/python/lib/python3.13/site-packages/__editable___a_finder.py", Class::Boot),
    ("/app/.heroku/python/lib/python3.13/site-packages/a.egg-link", Class::Boot),
    ("/app/src/a.pth", Class::Other),
    ("/tmp/tmpab12", Class::Temporary),
    ("/etc/hosts", Class::Temporary),
    ("/app/.bash_history", Class::Process),
    ("/app/nohup.out", Class::Log),
    ("/app/cache/page-1", Class::Cache),
    ("/app/previews/a.png", Class::Scratch),
    ("/app/previews.txt", Class::Other),
    ("/app/notes", Class::Other),
];

#[test]
fn what_a_file_is_for_shows_in_its_place_and_name() {
    for (path, expected) in KNOWN {
        assert_eq!(class(path), expected, "{path}");
    }
}

#[test]
fn a_database_shows_in_its_first_bytes() {
    let mut lmdb = [0; 64];
    lmdb[16..20].copy_from_slice(&[0xde, 0xc0, 0xef, 0xbe]);
    let mut berkeley = [0; 64];
    berkeley[12..16].copy_from_slice(&[0x62, 0x31, 0x05, 0]);
    let mut duck = [1; 64];
    duck[8..12].copy_from_slice(b"DUCK");
    let heads: [&[u8]; 4] = [b"SQLite format 3\0more", &lmdb, &berkeley, &duck];
    for head in heads {
        assert_eq!(classify(&found("/app/data/store", head), &[]), Class::Database);
        assert_eq!(classify(&found("/app/media/store.bin", head), &[]), Class::Database);
    }
    assert_eq!(classify(&found("/app/data/store", b"SQLite"), &[]), Class::Other);
    let worth_opening = |path, bytes| Classifier::new(&[]).is_worth_opening(path, bytes);
    assert!(worth_opening("/app/data/store", 8_192) && worth_opening("/app/a.dat", 8_192));
    for (path, bytes) in [("/app/a.png", 8_192), ("/app/store", 20), ("/app/db.sqlite3", 8_192)] {
        assert!(!worth_opening(path, bytes), "{path}");
    }
}

proptest! {
    #[test]
    fn every_file_has_a_class_and_what_is_declared_as_scratch_is_that(
        path in "(/[a-zA-Z0-9._é-]{1,9}){1,5}",
        head in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let below = format!("/app/work{path}");
        let scratch = ["/app/work".to_owned()];
        prop_assert_eq!(classify(&found(&below, &head), &scratch), Class::Scratch);
        // Without a look at its content, its length is no matter.
        let named = Found { bytes: 1, ..found(&below, b"") };
        prop_assert_eq!(classify(&named, &[]), classify(&found(&below, b""), &[]));
        let magic = [&b"SQLite format 3\0"[..], &head].concat();
        let class = classify(&found(&below, &magic), &[]);
        let by_runtime = rules::by_runtime(&Path::of(&below, &mut Places::default()));
        prop_assert_eq!(class, by_runtime.unwrap_or(Class::Database));
    }
}

#[test]
fn a_classifier_says_of_each_file_what_is_said_of_it_alone() {
    let paths = [
        "/app/media/a.png",
        "/app/media/b.css",
        "/app/media/cache/a.png",
        "/app/a.png",
        "/app/log/a.png",
        "/app/log/b",
        "/tmp/b",
        "b",
        "/app/media/c.png",
    ];
    let scratch = ["/app/previews".to_owned()];
    let mut classifier = Classifier::new(&scratch);
    for path in paths {
        let file = found(path, b"");
        assert_eq!(classifier.classify(&file), classify(&file, &scratch), "{path}");
    }
}
