use super::*;
use proptest::prelude::*;

type Files<'a> = &'a [(&'a str, &'a str)];

fn source(files: &[(&str, &str)]) -> Vec<SourceFile> {
    let file =
        |(path, text): &(&str, &str)| SourceFile { path: (*path).into(), text: (*text).into() };
    files.iter().map(file).collect()
}

fn found(files: &[(&str, &str)]) -> Vec<(Cause, usize)> {
    check(&source(files)).into_iter().map(|finding| (finding.cause, finding.line)).collect()
}

#[test]
fn uploads_to_the_disk_are_found() {
    let cases: [(Files, usize); 12] = [
        (&[("shop/settings.py", "import os\nMEDIA_ROOT = os.path.join(BASE_DIR, 'media')\n")], 2),
        (
            &[(
                "app.py",
                "app.config['UPLOAD_FOLDER'] = 'uploads'\nf.save(join(UPLOAD_FOLDER, n))\n",
            )],
            1,
        ),
        (&[("main.py", "from fastapi import UploadFile\nwith open(f'up/{n}', 'wb') as out:\n")], 2),
        (
            &[(
                "server.js",
                "const multer = require('multer');\nconst up = multer({ dest: 'up/' });",
            )],
            2,
        ),
        (&[("server.js", "\nconst s = multer.diskStorage({\n  destination: 'uploads' })")], 2),
        (&[("a.js", "require('express-fileupload');\nf.mv('./uploads/' + f.name);")], 2),
        (
            &[
                (
                    "config/environments/production.rb",
                    "\n  config.active_storage.service = :local\n",
                ),
                ("config/storage.yml", "local:\n  service: Disk\n  root: x\n"),
                ("app/models/book.rb", "class Book\n  has_one_attached :cover\nend\n"),
            ],
            2,
        ),
        (
            &[(
                "app/uploaders/a.rb",
                "class A < CarrierWave::Uploader::Base\n  storage :file\nend",
            )],
            2,
        ),
        (&[("upload.php", "<?php\nmove_uploaded_file($f['tmp_name'], 'uploads/x');")], 2),
        (&[("app/Http/A.php", "<?php\n$p = $request->file('a')->store('avatars', 'public');")], 2),
        (&[("shop/settings/base.py", "MEDIA_ROOT = BASE_DIR / 'media'")], 1),
        (&[("server.mjs", "const u = multer({\n  dest: 'x/',\n})")], 1),
    ];
    for (files, line) in cases {
        assert_eq!(found(files), [(Cause::Uploads, line)], "{files:?}");
    }
}

#[test]
fn uploads_that_go_on_are_no_finding() {
    let cases: [Files; 9] = [
        &[("s.py", "MEDIA_ROOT = 'm'\nDEFAULT_FILE_STORAGE = 'storages.backends.s3.S3Storage'")],
        &[("s.py", "MEDIA_ROOT = 'm'"), ("requirements.txt", "boto3==1.0\n")],
        &[("s.py", "if DEBUG:\n    MEDIA_ROOT = 'm'")],
        &[("s.py", "# MEDIA_ROOT = 'm'"), ("t.py", "\"\"\"\nMEDIA_ROOT = 'm'\n\"\"\"")],
        &[("shop/tests/settings.py", "MEDIA_ROOT = 'm'")],
        &[("server.js", "multer({ storage: multer.memoryStorage() })")],
        &[("server.js", "multer({ dest: os.tmpdir() })")],
        &[("server.js", "log(\"multer({ dest: 'x' })\")")],
        &[("config/environments/production.rb", "config.active_storage.service = :local")],
    ];
    for files in cases {
        assert_eq!(found(files), [], "{files:?}");
    }
}

#[test]
fn databases_in_files_are_found() {
    let django = "DATABASES = {\n    'default': {\n        'ENGINE': \
                  'django.db.backends.sqlite3',\n        'NAME': BASE_DIR / 'db.sqlite3',\n    }\n}";
    let models = ("shop/models.py", "class Book(models.Model):\n    pass");
    let cases: [(Files, usize); 10] = [
        (&[("shop/settings.py", django), models], 3),
        (
            &[
                ("shop/settings.py", django),
                ("Procfile", "web: python manage.py migrate && gunicorn a"),
            ],
            3,
        ),
        (&[("app.py", "app.config[\"SQLALCHEMY_DATABASE_URI\"] = \"sqlite:///a.db\"")], 1),
        (
            &[(
                "db.py",
                "URL = 1\nSQLALCHEMY_DATABASE_URL = \"sqlite:///./a.db\"\ne = create_engine(X)",
            )],
            2,
        ),
        (&[("db.py", "engine = create_engine('sqlite:////app/a.db')")], 1),
        (&[("app.py", "import sqlite3\n\ndef db():\n    return sqlite3.connect('a.db')")], 4),
        (&[("prisma/schema.prisma", "datasource db {\n  provider = \"sqlite\"\n}")], 2),
        (&[("db.js", "const db = new sqlite3.Database('./a.db');")], 1),
        (
            &[(
                "db.js",
                "import Database from 'better-sqlite3';\nconst db = new Database('a.db');",
            )],
            2,
        ),
        (
            &[
                (
                    "config/database.yml",
                    "default: &default\n  adapter: sqlite3\nproduction:\n  <<: *default\n",
                ),
                ("Gemfile", "gem \"sqlite3\""),
            ],
            2,
        ),
    ];
    for (files, line) in cases {
        assert_eq!(found(files), [(Cause::Database, line)], "{files:?}");
    }
    let none: [Files; 8] = [
        &[("shop/settings.py", django)],
        &[("shop/settings.py", django), models, ("shop/production.py", "dj_database_url.config()")],
        &[("app.py", "URI = os.environ.get('DATABASE_URL', 'sqlite:///a.db')\ncreate_engine(URI)")],
        &[("db.py", "create_engine('sqlite:///:memory:')")],
        &[("db.py", "create_engine('sqlite://')")],
        &[("prisma/schema.prisma", "datasource db {\n  provider = \"postgresql\"\n}")],
        &[("db.js", "const db = new sqlite3.Database(':memory:');")],
        &[
            ("config/database.yml", "production:\n  adapter: sqlite3\n"),
            ("Gemfile", "gem \"sqlite3\"\ngem \"pg\""),
        ],
    ];
    for files in none {
        assert_eq!(found(files), [], "{files:?}");
    }
}

#[test]
fn assets_that_dynos_make_are_found() {
    let start: [(Files, usize); 6] = [
        (&[("Procfile", "web: python manage.py collectstatic --noinput && gunicorn a")], 1),
        (&[("Procfile", "# x\nweb: npx webpack && node server.js")], 2),
        (&[("Procfile", "web: npm start"), ("package.json", PACKAGE)], 4),
        (&[("package.json", PACKAGE)], 4),
        (&[("Procfile", "web: bash bin/web"), ("bin/web", "#!/bin/bash\n\nnpm run build\n")], 3),
        (&[("Procfile", "web: ./start.sh"), ("start.sh", "python manage.py compress --force")], 1),
    ];
    for (files, line) in start {
        assert_eq!(found(files), [(Cause::AssetsAtStart, line)], "{files:?}");
    }
    assert_eq!(
        found(&[("Procfile", "web: gunicorn a\nrelease: ./manage.py collectstatic --noinput")]),
        [(Cause::AssetsInRelease, 2)]
    );
    let none: [Files; 5] = [
        &[("Procfile", "web: node server.js"), ("package.json", PACKAGE)],
        &[("Procfile", "web: gunicorn a\nrelease: python manage.py checkassets")],
        &[(
            "package.json",
            "{\n \"scripts\": {\n  \"start\": \"next start\",\n  \"build\": \"next build\"\n }\n}",
        )],
        &[("bin/post_compile", "python manage.py collectstatic --noinput"), ("Procfile", "web: x")],
        &[
            ("Procfile", "release: python manage.py collectstatic --noinput"),
            ("s.py", "STATICFILES_STORAGE = 'storages.backends.s3.S3StaticStorage'"),
        ],
    ];
    for files in none {
        assert_eq!(found(files), [], "{files:?}");
    }
}

const PACKAGE: &str = "{\n  \"name\": \"webpack\",\n  \"scripts\": {\n    \"start\": \"webpack && node server.js\"\n  }\n}";

#[test]
fn compressors_sessions_and_logs_are_found() {
    let installed = "INSTALLED_APPS = [\n    'compressor',\n]\n";
    let cases: [(Files, Cause, usize); 13] = [
        (&[("s.py", installed)], Cause::Compressor, 2),
        (&[("s.py", &format!("{installed}COMPRESS_OFFLINE = False"))], Cause::Compressor, 2),
        (&[("s.py", &format!("{installed}COMPRESS_OFFLINE = True"))], Cause::Compressor, 4),
        (
            &[("s.py", "SESSION_ENGINE = 'django.contrib.sessions.backends.file'")],
            Cause::Sessions,
            1,
        ),
        (&[("a.py", "app.config['SESSION_TYPE'] = 'filesystem'")], Cause::Sessions, 1),
        (&[("a.js", "const F = require('session-file-store')(session);")], Cause::Sessions, 1),
        (&[("a.php", "<?php\nsession_save_path('/app/sessions');")], Cause::Sessions, 2),
        (&[("a.py", "h = logging.FileHandler('app.log')")], Cause::LogFiles, 1),
        (
            &[("a.py", "L = {\n 'class': 'logging.handlers.RotatingFileHandler',\n}")],
            Cause::LogFiles,
            2,
        ),
        (&[("a.py", "logging.basicConfig(level=1,\n    filename='a.log')")], Cause::LogFiles, 1),
        (&[("a.js", "new winston.transports.File({ filename: 'a.log' })")], Cause::LogFiles, 1),
        (&[("a.js", "fs.createWriteStream(path.join(d, 'access.log'), o)")], Cause::LogFiles, 1),
        (&[("Procfile", "web: gunicorn a --access-logfile logs/a.log")], Cause::LogFiles, 1),
    ];
    for (files, cause, line) in cases {
        assert_eq!(found(files), [(cause, line)], "{files:?}");
    }
    let offline = format!("{installed}COMPRESS_OFFLINE = True");
    let none: [Files; 7] = [
        &[("s.py", &offline), ("bin/post_compile", "python manage.py compress")],
        &[
            ("s.py", &format!("{installed}COMPRESS_OFFLINE = not DEBUG")),
            ("bin/post_compile", "python manage.py compress"),
        ],
        &[("s.py", "x = ['compressor']")],
        &[("s.py", "SESSION_ENGINE = 'django.contrib.sessions.backends.db'")],
        &[("a.py", "h = logging.FileHandler('/dev/stdout')")],
        &[("a.py", "L = {'class': 'logging.StreamHandler'}")],
        &[("Procfile", "web: gunicorn a --access-logfile - --log-file -")],
    ];
    for files in none {
        assert_eq!(found(files), [], "{files:?}");
    }
}

#[test]
fn static_files_that_nobody_collects_or_serves_are_found() {
    let settings = "DEBUG = False\nINSTALLED_APPS = [\n 'django.contrib.admin',\n \
                    'django.contrib.staticfiles',\n]\nSTATIC_ROOT = 'static'\n";
    let manage = ("manage.py", "import django");
    let noise = ("requirements.txt", "whitenoise\n");
    let off = ("app.json", "{\n \"env\": {\n  \"DISABLE_COLLECTSTATIC\": \"1\"\n }\n}");
    assert_eq!(found(&[("s.py", settings), manage]), [(Cause::StaticNotServed, 1)]);
    assert_eq!(found(&[("s.py", settings), manage, noise]), []);
    assert_eq!(found(&[("s.py", settings), manage, noise, off]), [(Cause::CollectstaticOff, 3)]);
    let hook = ("bin/post_compile", "python manage.py collectstatic --noinput");
    assert_eq!(found(&[("s.py", settings), manage, noise, off, hook]), []);
    let by_environment = settings.replace("False", "os.environ.get('DEBUG', 'False') == '1'");
    assert_eq!(found(&[("s.py", &by_environment), manage]), [(Cause::StaticNotServed, 1)]);
    let on = settings.replace("False", "os.environ.get('DEBUG', 'True') == 'True'");
    assert_eq!(found(&[("s.py", &on), manage]), []);
}

proptest! {
    #[test]
    fn any_source_is_judged_and_comments_say_nothing(text in "[ -~é\n]{0,200}") {
        for path in ["s.py", "a.js", "Procfile", "package.json", "config/database.yml", "a.php"] {
            let _ = check(&source(&[(path, &text)]));
        }
        let commented = format!("# {}", text.replace('\n', "\n# "));
        prop_assert_eq!(found(&[("s.py", &commented), ("Procfile", &commented)]), []);
    }
}
