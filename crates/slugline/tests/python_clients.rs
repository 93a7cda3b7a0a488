//! `slugline compile` with what Python's package clients leave in a source: pip, Pipenv, Poetry and
//! uv. These tests need Python's package index, or a mirror of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod building;
#[path = "building/uv.rs"]
mod uv;

use std::process::Command;

use building::{App, Built};

fn app() -> App {
    App::new().programs(uv::directory()).file("Procfile", "web: x\n")
}

/// Whether the app's Python imports a module, from a directory that is not the app's.
#[track_caller]
fn imports(app: &App, built: &Built, module: &str) -> bool {
    assert_eq!(built.code, 0, "{}", built.output);
    let python = app.path("app/.heroku/python/bin/python");
    let mut python = Command::new(python);
    let ran = python.args(["-c", &format!("import {module}")]).current_dir("/").output();
    ran.unwrap().status.success()
}

/// What this buildpack itself says, without the output of the programs that it starts and without
/// the lines that name the machine's interpreter.
fn told(built: &Built) -> Vec<&str> {
    assert_eq!(built.code, 0, "{}", built.output);
    let lines = built.output.lines().skip_while(|line| *line != "-----> Restoring cache").skip(1);
    let lines = lines.take_while(|line| *line != "-----> Discovering process types");
    let ours = ["Nothing is", "Dependencies are", "Restored", "Looking", "Using pip", "Pipenv is"];
    let ours = |line: &&str| {
        let detail = line.trim_start();
        line.starts_with("-----> ")
            || line.starts_with(" !")
            || ours.iter().any(|start| detail.starts_with(start))
            || detail.contains(" changed (")
    };
    lines.filter(ours).collect()
}

const PIP: &str = "-----> Installing dependencies using 'uv pip install -r requirements.txt'";

#[test]
fn of_changed_requirements_only_the_difference_is_installed() {
    let mut app = app().file(".python-version", "3.11\n").file("requirements.txt", "six\n");
    assert_eq!(told(&app.build()), ["       Nothing is cached yet", PIP]);

    let mut app = app.file("requirements.txt", "six\niniconfig==2.0.0\n");
    let second = app.build();
    let added = "       requirements.txt changed (1 added: iniconfig 2.0.0): only the difference is \
                 installed";
    assert_eq!(told(&second), [added, PIP]);
    assert!(imports(&app, &second, "six, iniconfig, pip, pkg_resources"));
    assert!(second.output.contains("+ iniconfig==2.0.0") && !second.output.contains("+ six"));
    let bytecode = "iniconfig/__pycache__/__init__.cpython-311.pyc";
    let bytecode = format!(".heroku/python/lib/python3.11/site-packages/{bytecode}");
    let bytecode = std::fs::read(second.build_dir.join(bytecode)).unwrap();
    assert_eq!(bytecode[4..8], [1, 0, 0, 0], "bytecode that is never compared with its source");

    let mut app = app.file("requirements.txt", "# ours\niniconfig==2.0.0\n");
    let third = app.build();
    let removed =
        "       requirements.txt changed (1 removed: six): only the difference is installed";
    assert_eq!(told(&third), [removed, PIP]);
    assert!(!imports(&app, &third, "six") && imports(&app, &third, "iniconfig, pip"));

    let fourth = app.build();
    let unchanged = "       Restored dependencies from the cache: requirements.txt unchanged";
    assert_eq!(told(&fourth), [unchanged]);
    assert!(!imports(&app, &fourth, "six") && imports(&app, &fourth, "iniconfig, pip"));
}

/// On Heroku, too, the cache is saved after the hook.
#[test]
fn what_a_hook_adds_to_the_environment_is_there_in_the_next_build() {
    let hook = "#!/bin/bash\nset -e\nfor f in .heroku/python/lib/python3*/site-packages/six.py\n\
                do grep -c tuned $f || true; echo '# tuned' >> $f; done\n";
    let mut app = app().file("requirements.txt", "six\n").file("bin/post_compile", hook);
    app.build().expect_lines(0, &["       0"]);
    app.build().expect_lines(0, &["       1"]);
}

#[test]
fn a_failed_build_hands_on_the_environment_if_it_left_it_whole() {
    let unchanged = "       Restored dependencies from the cache: requirements.txt unchanged";
    let mut app = app().file("requirements.txt", "six\n");
    assert_eq!(app.build().code, 0);
    let mut app = app.file("bin/post_compile", "#!/bin/bash\nexit 1\n");
    assert_eq!(app.build().code, 40);
    app.build().expect_lines(40, &[unchanged]);
    let mut app = app.file("bin/post_compile", "#!/bin/bash\nrm -rf .heroku/python/lib; exit 1\n");
    assert_eq!(app.build().code, 40);
    let mut app = app.without_file("bin/post_compile");
    let last = app.build();
    assert_eq!(told(&last)[0], "       Nothing is cached yet");
    assert!(imports(&app, &last, "six"));
}

#[test]
fn an_app_that_asks_for_no_version_stays_on_its_series() {
    let mut app = app().file("requirements.txt", "").file(".python-version", "3.11");
    assert_eq!(app.build().code, 0);
    let mut app = app.without_file(".python-version");
    let second = app.build();
    let line = second.output.lines().find(|line| line.contains("No Python version was"));
    let line = line.unwrap();
    assert!(
        line.starts_with("-----> No Python version was specified: using Python 3.11."),
        "{line}"
    );
    assert!(line.ends_with(", the series of the last build"), "{line}");
    second.expect_lines(
        0,
        &[" !     The default changes over time; to stay on this version: echo 3.11 > \
           .python-version"],
    );
}

#[test]
fn a_directory_of_the_app_is_installed_in_each_build_for_where_the_app_will_be() {
    let mut app = app()
        .file(".python-version", "3.11")
        .file("requirements.txt", "--editable .\n")
        .file("src/owl/__init__.py", "")
        .file("pyproject.toml", "[project]\nname = \"owl\"\nversion = \"1\"\n");
    for _ in 0..2 {
        let built = app.build();
        assert_eq!(told(&built).last(), Some(&PIP));
        let packages = ".heroku/python/lib/python3.11/site-packages";
        let path = built.read(&format!("{packages}/__editable__.owl-1.pth"));
        assert_eq!(path.trim(), app.path("app/src").to_str().unwrap());
    }
}

#[test]
fn an_editable_package_of_a_repository_is_installed_with_pip() {
    let app = app();
    let script = "set -e
        mkdir git && cd git && git init -q . && git config user.email a@example.com
        git config user.name a && mkdir owl && touch owl/__init__.py
        printf 'from setuptools import setup\\nsetup(name=\"owl\", packages=[\"owl\"])' > setup.py
        git add . && git commit -qm 1";
    let made = Command::new("bash").args(["-c", script]).current_dir(app.path("")).status();
    assert!(made.unwrap().success());
    let line = format!("-e git+file://{}#egg=owl\n", app.path("git").display());
    let mut app = app.file("requirements.txt", &line).file(".python-version", "3.11");
    let built = app.build();
    built.expect_lines(
        0,
        &[
            "-----> Installing dependencies using 'pip install -r requirements.txt'",
            "       Using pip and not uv for: --editable git+file://$ROOT/git#egg=owl",
        ],
    );
    assert!(imports(&app, &built, "owl"));
}

#[test]
fn a_hash_in_requirements_has_to_be_right_and_wants_all_others() {
    let hashed = "six==1.17.0 --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\n";
    let mut app = app().file("requirements.txt", hashed);
    let built = app.build();
    assert!(imports(&app, &built, "six"));
    let built = app.file("requirements.txt", &format!("{hashed}iniconfig==2.0.0\n")).build();
    built.expect_lines(
        50,
        &[
            " !     The dependencies could not be installed from requirements.txt",
            " !     `uv pip install -r requirements.txt` ended with status 2; the reason is in its \
             output above.",
        ],
    );
}

/// The hash in it is the one that Pipenv writes for [`PIPFILE`].
const PIPFILE_LOCK: &str = r#"{
    "_meta": {
        "hash": {"sha256": "27df42655e55be8dbd8bf7a02e548d47062ea1a25483cd6d028c0bd2679e8155"},
        "pipfile-spec": 6,
        "requires": {"python_version": "3.11"},
        "sources": []
    },
    "default": {
        "six": {
            "hashes": ["sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"],
            "markers": "python_version >= '2.7'",
            "version": "==1.17.0"
        }
    },
    "develop": {"iniconfig": {"version": "==2.0.0"}}
}"#;

const PIPFILE: &str = "[[source]]\nurl = \"https://index.example/simple\"\nverify_ssl = true\n\
    name = \"pypi\"\n\n[packages]\nsix = \"==1.17.0\"\n\n[requires]\npython_version = \"3.11\"\n";

#[test]
fn a_pipfile_lock_is_installed_as_locked_or_refused() {
    let mut app = app()
        .file("Pipfile", PIPFILE)
        .file("Pipfile.lock", PIPFILE_LOCK)
        .file("Procfile", "web: pipenv run python x.py\n");
    let first = app.build();
    first.expect_lines(
        0,
        &[
            "-----> Using Python 3.11 specified in Pipfile.lock",
            "       Nothing is cached yet",
            "-----> Installing dependencies as 'pipenv install --deploy' does, using uv",
            "       Pipenv is part of the slug, for the Procfile",
        ],
    );
    assert!(imports(&app, &first, "six") && !imports(&app, &first, "iniconfig"));
    let second = app.build();
    let unchanged = "       Restored dependencies from the cache: Pipfile.lock unchanged";
    assert_eq!(told(&second), [unchanged]);
    let pipenv = Command::new(app.path("app/.heroku/python/bin/pipenv")).arg("--version").output();
    let pipenv = String::from_utf8(pipenv.unwrap().stdout).unwrap();
    assert!(pipenv.starts_with("pipenv, version "), "{pipenv}");

    let mut app = app.file("Pipfile", &PIPFILE.replace("==1.17.0", "*"));
    let stale = app.build();
    stale.expect_lines(
        51,
        &[
            " !     Pipfile.lock is out of step with Pipfile",
            " !     The Pipfile was changed after Pipfile.lock was made from it.",
        ],
    );
    let wrong = PIPFILE_LOCK.replace("4721f391ed", "0000000000");
    let wrong = app.file("Pipfile", PIPFILE).file("Pipfile.lock", &wrong).build();
    wrong.expect_lines(
        50,
        &[
            "       Dependencies are installed afresh: Pipfile.lock locks six to other hashes",
            " !     The dependencies could not be installed from Pipfile.lock",
        ],
    );
}

const POETRY_PYPROJECT: &str = "[project]\nname = \"owl\"\nversion = \"1.0.0\"\n\
    requires-python = \">=3.11,<4\"\ndependencies = []\n\n[tool.poetry]\npackages = [{ include = \
    \"owl\" }]\n\n[build-system]\nrequires = [\"poetry-core\"]\n\
    build-backend = \"poetry.core.masonry.api\"\n";

/// As Poetry writes it for [`POETRY_PYPROJECT`].
const POETRY_LOCK: &str = "package = []\n\n[metadata]\nlock-version = \"2.1\"\n\
    python-versions = \">=3.11,<4\"\ncontent-hash = \"fd6f344062a8c344edb92725f12107de74efb32b2e9105694756117cfc452d67\"\n";

#[test]
fn a_poetry_lock_is_installed_as_locked_or_refused() {
    let mut app = app()
        .file(".python-version", "3.11")
        .file("pyproject.toml", POETRY_PYPROJECT)
        .file("poetry.lock", POETRY_LOCK)
        .file("owl/__init__.py", "");
    let install = "-----> Installing dependencies using 'poetry sync --only main'";
    let first = app.build();
    assert_eq!(first.code, 0, "{}", first.output);
    let first = told(&first).into_iter().filter(|line| !line.contains("Using Poetry"));
    assert_eq!(first.collect::<Vec<_>>(), ["       Nothing is cached yet", install]);
    let second = app.build();
    let looking =
        "       Looking again all the same: a directory of the app is one of the packages";
    let unchanged = "       Restored dependencies from the cache: poetry.lock unchanged";
    assert_eq!(told(&second)[..2], [unchanged, looking]);
    let packages = ".heroku/python/lib/python3.11/site-packages";
    assert_eq!(
        second.read(&format!("{packages}/owl.pth")).trim(),
        app.path("app").to_str().unwrap()
    );

    let mut app = app.file("pyproject.toml", &POETRY_PYPROJECT.replace("= []", "= [\"six\"]"));
    app.build().expect_lines(51, &[" !     poetry.lock is out of step with pyproject.toml"]);
    let newer = POETRY_PYPROJECT.replace(">=3.11,<4", ">=3.12");
    let mut app = app.file("pyproject.toml", &newer);
    let range = app.build();
    assert_eq!(range.code, 50, "{}", range.output);
    assert!(range.output.contains("pyproject.toml allows `>=3.12`."), "{}", range.output);
    let without = app.without_file("pyproject.toml").build();
    without
        .expect_lines(50, &[" !     There is a poetry.lock, and no pyproject.toml that it locks."]);
}

#[test]
fn corpora_and_foreign_environments_are_spoken_of() {
    let mut app = app()
        .file("requirements.txt", "./nltk\n")
        .file("nltk/pyproject.toml", "[project]\nname = \"nltk\"\nversion = \"1\"\n")
        .file("nltk/nltk/__init__.py", "")
        .file("nltk.txt", "punkt\nstopwords\n")
        .file("venv/pyvenv.cfg", "home = /usr/bin\n");
    app.build().expect_lines(
        0,
        &[
            " !     venv/ is a virtual environment of another machine, and only makes the slug \
             larger: git rm -r --cached venv && echo venv/ >> .gitignore",
            "-----> NLTK corpora are not downloaded",
            " !     nltk.txt names: punkt stopwords",
            " !       python -m nltk.downloader -d \"$BUILD_DIR/nltk_data\" punkt stopwords",
            " !     and set the config var NLTK_DATA=/app/nltk_data",
        ],
    );
}
