//! `slugline compile` with the buildpacks that come with it, which fetch packages: these tests need
//! the package indexes of Python and npm, or mirrors of them.

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod building;
#[path = "building/uv.rs"]
mod uv;

use std::path::Path;
use std::process::Command;

use building::{App, Built};

/// A Django app whose settings need a config var, with hooks that leave a trace.
fn django() -> App {
    App::new()
        .programs(uv::directory())
        .file("requirements.txt", "Django==5.2.*\n")
        .file("Procfile", "web: python manage.py runserver $PORT")
        .file(
            "site/manage.py",
            "import os, sys\nfrom django.core.management import execute_from_command_line\n\
             os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n\
             execute_from_command_line(sys.argv)\n",
        )
        .file(
            "site/settings.py",
            "import os\nSECRET_KEY = os.environ['SECRET_KEY']\nSTATIC_URL = '/static/'\n\
             INSTALLED_APPS = ['django.contrib.staticfiles']\n\
             BASE = os.path.dirname(__file__)\nSTATICFILES_DIRS = [BASE + '/assets']\n\
             STATIC_ROOT = BASE + '/collected'\n",
        )
        .file("site/assets/x.css", "a{}")
        .file(
            "bin/post_compile",
            "#!/usr/bin/env bash\nset -e\npython -c 'import django; print(\"has django\")'\n\
             ls site/collected\necho done > made_by_the_hook\n",
        )
        .config_var("SECRET_KEY", "s3cret")
}

/// The lines that are the same on every machine: headings, reasons, and the app's own output.
fn lines(built: &Built) -> Vec<&str> {
    let ours = |line: &&str| {
        line.starts_with("-----> ")
            || ["Restored", "Dependencies", "Nothing", "has django", "x.css", "Packages"]
                .iter()
                .any(|start| line.trim_start().starts_with(start))
    };
    let versions =
        |line: &&str| !line.contains("Installing uv") && !line.contains("Python version");
    built.output.lines().filter(ours).filter(versions).collect()
}

#[track_caller]
fn no_file_names(directory: &Path, text: &str) {
    let found = Command::new("grep").args(["-rlF", "--", text]).arg(directory).output();
    let found = found.expect("grep runs");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "files that hold {text}");
}

#[test]
fn a_django_app_is_built_and_built_again_from_the_cache() {
    let mut app = django();
    let first = app.build();
    assert_eq!(first.code, 0, "{}", first.output);
    assert_eq!(
        lines(&first),
        [
            "-----> Building on the Host stack",
            "-----> Determining which buildpack to use for this app",
            "-----> Python app detected",
            "-----> Restoring cache",
            "       Nothing is cached yet",
            "-----> Installing dependencies using 'uv pip install -r requirements.txt'",
            "-----> $ python site/manage.py collectstatic --noinput",
            "-----> Running bin/post_compile hook",
            "       has django",
            "       x.css",
            "-----> Discovering process types",
            "-----> Biggest parts of the slug",
        ]
    );
    assert_eq!(first.read("made_by_the_hook"), "done\n");
    assert_eq!(first.result["steps"][0]["step"], "bin/post_compile");
    assert_eq!(first.result["steps"][1]["step"], "heroku/python");
    no_file_names(&first.build_dir.join(".heroku"), first.build_dir.to_str().unwrap());
    let second = app.build();
    assert_eq!(second.code, 0, "{}", second.output);
    assert_eq!(
        lines(&second)[3..6],
        [
            "-----> Restoring cache",
            "       Restored dependencies from the cache: requirements.txt unchanged",
            "-----> $ python site/manage.py collectstatic --noinput",
        ]
    );
    let third = app.file("requirements.txt", "Django==5.2.*\nsix\n").build();
    third.expect_lines(
        0,
        &["       requirements.txt changed (1 added: six): only the difference is installed"],
    );
}

/// What a slug keeps of a file is not its time: nothing may be compiled again for that.
#[test]
fn bytecode_stays_valid_when_times_are_lost() {
    let mut app = django();
    let built = app.build();
    assert_eq!(built.code, 0, "{}", built.output);
    let script = "find . -exec touch -h -d @1 {} + && find . -name '*.pyc' -exec md5sum {} + \
        | sort > ../before && SECRET_KEY=x ../app/.heroku/python/bin/python site/manage.py check \
        && find . -name '*.pyc' -exec md5sum {} + | sort | diff ../before -";
    let checked = Command::new("bash").args(["-c", script]).current_dir(&built.build_dir).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn collectstatic_is_skipped_or_fails_the_build_by_herokus_rules() {
    let mut app = django().config_var("DISABLE_COLLECTSTATIC", "1").file("bin/post_compile", "");
    app.build().expect_lines(
        0,
        &["-----> Skipping Django collectstatic since DISABLE_COLLECTSTATIC is set"],
    );
    let mut app = app
        .config_var("DISABLE_COLLECTSTATIC", "0")
        .config_var("DEBUG_COLLECTSTATIC", "1")
        .file("site/settings.py", "raise Exception('broken')");
    let built = app.build();
    built.expect_lines(
        50,
        &[
            "****** Collectstatic environment variables:",
            "       BUILD_DIR=$BUILD_DIR",
            "       DYNO=run.1234",
            "       SECRET_KEY=(a config var of 6 characters)",
            " !     Django's static files could not be collected",
        ],
    );
    assert!(!built.output.contains("s3cret"), "{}", built.output);
    let mut app = app.without_file("site/manage.py");
    app.build().expect_lines(
        0,
        &["-----> Skipping Django collectstatic since no manage.py file was found"],
    );
    let mut app = app.file(".heroku/collectstatic_disabled", "");
    app.build().expect_lines(
        0,
        &["-----> Skipping Django collectstatic since .heroku/collectstatic_disabled exists"],
    );
}

#[test]
fn a_uv_lock_is_installed_as_locked_or_refused() {
    let app = |locked: &str| {
        App::new()
            .file(".python-version", "3.11")
            .file(
                "pyproject.toml",
                "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.10'\n\
                 dependencies = []\n",
            )
            .file(
                "uv.lock",
                &format!(
                    "version = 1\nrequires-python = \">=3.10\"\n\n[[package]]\nname = \"{locked}\"\n\
                     version = \"1\"\nsource = {{ virtual = \".\" }}\n"
                ),
            )
            .file("Procfile", "web: x")
    };
    app("x").build().expect_lines(
        0,
        &["-----> Installing dependencies using 'uv sync --locked --no-default-groups'"],
    );
    app("y").build().expect_lines(51, &[" !     uv.lock is out of step with pyproject.toml"]);
}

/// The version that uv is asked for has to come from somewhere.
#[test]
fn a_uv_lock_without_a_python_version_is_refused() {
    let built = App::new().file("uv.lock", "").build();
    built.expect_lines(50, &[" !     The app asks for no Python version"]);
}

/// An app with one package to run and one to build.
fn nodejs() -> App {
    App::new()
        .file(
            "package.json",
            r#"{"name": "x", "version": "1.0.0", "private": true,
                "scripts": {"start": "node .", "build": "ls node_modules > built",
                            "heroku-cleanup": "ls node_modules > cleaned"},
                "dependencies": {"ms": "2.1.3"}, "devDependencies": {"is-number": "7.0.0"}}"#,
        )
        .file(
            "package-lock.json",
            r#"{"name": "x", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
                "packages": {
                  "": {"name": "x", "version": "1.0.0", "dependencies": {"ms": "2.1.3"},
                       "devDependencies": {"is-number": "7.0.0"}},
                  "node_modules/ms": {"version": "2.1.3"},
                  "node_modules/is-number": {"version": "7.0.0", "dev": true}}}"#,
        )
}

#[test]
fn a_nodejs_app_is_built_pruned_and_built_again_from_the_cache() {
    let mut app = nodejs();
    for expect in [
        "       Packages are installed afresh: nothing is cached yet",
        "       Restored node_modules from the cache: package-lock.json unchanged",
    ] {
        let built = app.build();
        built.expect_lines(
            0,
            &[
                "-----> Node.js app detected",
                expect,
                "-----> Running build",
                "-----> Pruning devDependencies",
                "-----> Running heroku-cleanup",
                "       Default types for buildpack -> web",
            ],
        );
        assert_eq!(built.read("built"), "is-number\nms\n");
        assert_eq!(built.read("cleaned"), "ms\n");
        assert_eq!(built.result["process_types"]["web"], "npm start");
    }
}

#[test]
fn an_app_of_two_languages_is_nodejs_and_told_about_the_other() {
    let built = nodejs().file("requirements.txt", "").file("bin/post_compile", "exit 1").build();
    built.expect_lines(
        0,
        &[
            "-----> Determining which buildpack to use for this app",
            "       heroku/python recognises it too; name several in .buildpacks",
            "-----> Node.js app detected",
            " !     bin/post_compile was not run: heroku/nodejs runs the scripts heroku-prebuild and \
             heroku-postbuild of package.json instead",
        ],
    );
}

#[test]
fn packages_out_of_step_with_their_lock_file_fail_the_build() {
    let package_json = r#"{"name": "x", "version": "1.0.0", "dependencies": {"ms": "2.0.0"}}"#;
    let built = nodejs().file("package.json", package_json).build();
    built.expect_lines(51, &[" !     package-lock.json is out of step with package.json"]);
}

#[test]
fn python_after_nodejs_finds_npm_in_its_hooks() {
    let mut app = nodejs()
        .file("requirements.txt", "")
        .file("Procfile", "web: x")
        .file(
            "bin/post_compile",
            "#!/bin/bash\nset -e\nnode --version && npm --version && echo 'both are here'\n",
        )
        .argument("--buildpack")
        .argument("heroku/nodejs")
        .argument("--buildpack")
        .argument("heroku/python");
    let built = app.build();
    built.expect_lines(0, &["       both are here"]);
    assert_eq!(built.result["detected"], "Node.js, Python");
}
