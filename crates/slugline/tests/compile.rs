//! `slugline compile` with real buildpacks made of bash scripts: nothing here needs a network.

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod building;

use building::App;
use serde_json::json;

const DETECT: (&str, &str) = ("detect", "echo Test");

#[test]
fn a_buildpack_turns_a_source_into_a_tree_and_process_types() {
    let mut app = App::new()
        .file("Procfile", "web: ./serve\n")
        .file("docs/book.md", "long")
        .file(".slugignore", "/docs\n")
        .buildpack(
            "first",
            &[
                ("detect", "[[ ! -e $1/docs ]] && echo Test"),
                ("compile", "echo '-----> Compiling'; echo partial >&2; echo x > \"$1/serve\""),
                ("release", "printf -- '---\\ndefault_process_types:\\n  worker: ./work\\n'"),
            ],
        );
    let built = app.build();
    built.expect(
        0,
        "\
-----> Building on the Host stack
       Left out 1 entry of the source, as .slugignore says
-----> Using buildpack: $ROOT/buildpacks-of-the-test/first
-----> Test app detected
-----> Compiling
partial
       $ROOT/buildpacks-of-the-test/first: 1 file (2B) added in Ns (now 3 files, 21B)
-----> Discovering process types
       Procfile declares types     -> web
       Default types for buildpack -> worker
",
    );
    assert_eq!(built.result["process_types"], json!({"web": "./serve", "worker": "./work"}));
    assert_eq!(built.result["detected"], "Test");
    assert_eq!(built.result["steps"][0]["after"], json!({"files": 3, "bytes": 21}));
    assert_eq!(built.read("serve"), "x\n");
}

#[test]
fn a_buildpack_gets_herokus_environment_and_the_operators_network() {
    let print = "env | grep -vE '^(_|PWD|OLDPWD|SHLVL|TMPDIR)=' | LC_ALL=C sort; echo \"$#: $*\"; cat \"$3/SECRET\"
        echo; [[ -e /dev/fd/3 ]] && echo log >&3 && echo 'descriptor 3 is open'; pwd";
    let built = App::new()
        .file("Procfile", "web: x")
        .config_var("SECRET", "s3cret")
        .variable("https_proxy", "http://proxy.example")
        .variable("AWS_SECRET_ACCESS_KEY", "no")
        .variable("GIT_DIR", "/nowhere")
        .buildpack("printing", &[DETECT, ("compile", print)])
        .build();
    built.expect_lines(
        0,
        &[
            "BUILDPACK_LOG_FILE=/dev/fd/3",
            "DYNO=run.1234",
            "HOME=/app",
            "LANG=en_US.UTF-8",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "REQUEST_ID=r",
            "SOURCE_VERSION=abc",
            "STACK=host",
            "https_proxy=http://proxy.example",
            "3: $BUILD_DIR $CACHE_DIR $ENV_DIR",
            "s3cret",
            "descriptor 3 is open",
            "$BUILD_DIR",
        ],
    );
    for absent in ["SECRET=", "AWS_", "GIT_DIR"] {
        assert!(!built.output.contains(absent), "{}", built.output);
    }
}

#[test]
fn what_one_buildpack_exports_reaches_the_next_but_no_release() {
    let export = "echo 'export FOUND=\"by the first\"' > \"$(dirname \"$0\")/../export\"";
    let built = App::new()
        .file("Procfile", "web: x")
        .buildpack("first", &[("detect", "echo One"), ("compile", export)])
        .buildpack(
            "second",
            &[
                ("detect", "echo Two"),
                ("compile", "echo \"found ${FOUND-nothing}\""),
                ("release", "echo \"release found ${FOUND-nothing}\" >&2"),
            ],
        )
        .build();
    built.expect_lines(
        0,
        &[
            "-----> Using buildpacks:",
            "       1. $ROOT/buildpacks-of-the-test/first",
            "       2. $ROOT/buildpacks-of-the-test/second",
            "-----> One app detected",
            "-----> Two app detected",
            "found by the first",
            "release found nothing",
        ],
    );
    assert_eq!(built.result["detected"], "One, Two");
}

#[test]
fn the_cache_outlives_a_build_and_the_tree_does_not() {
    let compile =
        "cat \"$2/kept\" 2>/dev/null; ls \"$1\"; echo kept > \"$2/kept\"; touch \"$1/new\"";
    let mut app =
        App::new().file("Procfile", "web: x").buildpack("b", &[DETECT, ("compile", compile)]);
    app.build().expect_lines(0, &["Procfile"]);
    let second = app.build();
    second.expect_lines(0, &["kept", "Procfile"]);
    assert!(!second.output.contains("new"));
}

#[test]
fn a_failing_buildpack_is_reported_on_and_fails_the_build() {
    let report = "touch \"$2/reported\"; exit 1";
    let mut app =
        App::new().buildpack("b", &[DETECT, ("compile", "echo why; exit 9"), ("report", report)]);
    let built = app.build();
    built.expect(
        50,
        "\
-----> Building on the Host stack
-----> Using buildpack: $ROOT/buildpacks-of-the-test/b
-----> Test app detected
why
 !     Push rejected, failed to compile Test app.
 !
 !     $ROOT/buildpacks-of-the-test/b: bin/compile ended with status 9. The reason is in its output above.
 !
 !     A buildpack's script has to exit with status 0.
 !
 !     Next: mend it, then build again: slugline up
",
    );
    assert!(app.path("cache/reported").exists());
    assert_eq!(built.result["steps"].as_array().unwrap().len(), 1, "what was done is known");
    assert_eq!(built.result["process_types"], json!({}));
}

#[test]
fn an_app_that_nobody_recognises_is_told_what_was_looked_for() {
    let built = App::new().file("README.md", "").file("src/app.rb", "").build();
    built.expect(
        30,
        "\
-----> Building on the Host stack
-----> Determining which buildpack to use for this app
 !     No buildpack recognises this app
 !
 !     Looked in the root directory for: package.json (heroku/nodejs); requirements.txt, uv.lock, \
poetry.lock or Pipfile.lock (heroku/python); static.json or index.html (heroku/static); a Procfile \
alone (heroku/procfile); bin/detect and bin/compile (the app's own).
 !     Found: README.md, src/
 !
 !     If the app is in a subdirectory, say so with --root. If a file is missing, commit it: files \
listed in .gitignore or .slugignore are not part of a push.
 !
 !     Next: echo heroku/python > .buildpacks, to choose a buildpack yourself
",
    );
}

#[test]
fn an_apps_own_buildpack_is_run_with_its_bits_set() {
    let built = App::new()
        .file("bin/detect", "#!/bin/sh\necho Own\n")
        .file("bin/compile", "#!/bin/sh\necho compiled\n")
        .file("Procfile", "web: x")
        .build();
    let lines = ["-----> Using buildpack: heroku/inline", "-----> Own app detected", "compiled"];
    built.expect_lines(0, &lines);
}

#[test]
fn a_git_buildpack_is_checked_out_at_its_reference() {
    let app = App::new().file("Procfile", "web: x");
    let git = app.path("git");
    let script = "set -e
        git init -q . && git config user.email a@example.com && git config user.name a
        mkdir bin && printf '#!/bin/sh\\necho v1' > bin/compile && cp bin/compile bin/detect
        git add . && git commit -qm 1 && git tag v1
        printf '#!/bin/sh\\necho v2' > bin/compile && git commit -qam 2";
    std::fs::create_dir(&git).unwrap();
    let made = std::process::Command::new("bash").args(["-c", script]).current_dir(&git).status();
    assert!(made.unwrap().success());
    let url = format!("file://{}", git.display());
    let list = format!("# ours\n{url}#v1\n{url}\n");
    let built = app.file(".buildpacks", &list).build();
    built.expect_lines(
        0,
        &["       1. file://$ROOT/git#v1", "       2. file://$ROOT/git", "v1", "v2"],
    );
}

#[test]
fn buildpacks_that_cannot_be_had_are_named() {
    let missing = App::new().argument("--buildpack").argument("file:///nowhere/bp").build();
    missing.expect_lines(
        30,
        &[" !     Fetch buildpack file:///nowhere/bp: git ended with status 128."],
    );
    let unknown =
        App::new().file("app.json", r#"{"buildpacks": [{"url": "heroku/cobol"}]}"#).build();
    unknown.expect_lines(
        30,
        &[" !     `heroku/cobol` names no buildpack", " !     It stands in app.json."],
    );
}

#[test]
fn a_procfile_that_does_not_parse_names_its_line() {
    let built = App::new()
        .file("Procfile", "web: x\nworker\n")
        .buildpack("b", &[DETECT, ("compile", "")])
        .build();
    built.expect_lines(21, &[" !     Procfile line 2 does not declare a process type: `worker`"]);
}

#[test]
fn an_app_with_nothing_to_run_is_told_about_the_procfile() {
    let built =
        App::new().file("procfile", "web: x").buildpack("b", &[DETECT, ("compile", "")]).build();
    built.expect_lines(
        52,
        &[
            "       Procfile declares types     -> (none)",
            " !     There is nothing to run: the app declares no process types",
            " !     There is no Procfile, but a file named procfile.",
            " !     Next: git mv procfile Procfile && git commit -m 'Name the Procfile'",
        ],
    );
}

#[test]
fn a_source_that_is_too_large_is_refused() {
    let built =
        App::new().file("a", "12345678901").argument("--source-limit").argument("10").build();
    built.expect_lines(
        20,
        &[" !     The source was refused", " !     The source is larger than 10 bytes unpacked."],
    );
}

#[test]
fn tmp_is_emptied_after_the_build() {
    let mut app = App::new()
        .file("Procfile", "web: x")
        .file("tmp/old", "")
        .buildpack("b", &[DETECT, ("compile", "touch \"$1/tmp/new\"")]);
    let built = app.build();
    assert_eq!(std::fs::read_dir(built.build_dir.join("tmp")).unwrap().count(), 0);
}

#[test]
fn on_heroku_ci_test_compile_takes_the_place_of_compile_where_there_is_one() {
    let both = [DETECT, ("compile", "echo compile"), ("test-compile", "echo \"tests: $#\"")];
    let app = App::new().file("Procfile", "web: x").buildpack("both", &both);
    let mut app = app.buildpack("one", &[DETECT, ("compile", "echo compile only")]);
    app.build().expect_lines(0, &["compile", "compile only"]);
    let built = app.argument("--test").build();
    built.expect_lines(0, &["tests: 3", "compile only"]);
}

#[test]
fn on_heroku_ci_the_last_buildpack_that_tests_is_left_in_the_slug() {
    let tests = |name: &str| format!("echo {name}");
    let (first, last) = (tests("first"), tests("last"));
    let mut app = App::new()
        .file("Procfile", "web: x")
        .buildpack("first", &[DETECT, ("compile", ""), ("test", &first)])
        .buildpack("last", &[DETECT, ("compile", ""), ("test", &last)])
        .buildpack("none", &[DETECT, ("compile", "")]);
    let left = app.build().build_dir.join(".slugline-test");
    assert!(!left.exists());
    let mut app = app.argument("--test");
    let built = app.build();
    let script = std::fs::read_to_string(built.build_dir.join(".slugline-test/bin/test")).unwrap();
    assert!(script.contains("echo last"), "{script}");
}

#[test]
fn what_buildpacks_report_is_kept_also_where_the_build_fails() {
    let report = "cat \"$2/data\"; [[ -z $EXPORTED ]] || exit 1";
    let export = "echo 'export EXPORTED=1' > \"$(dirname \"$0\")/../export\"; echo '{\"a\": 1}' > \"$2/data\"";
    let mut app = App::new()
        .buildpack("a", &[DETECT, ("compile", export), ("report", report)])
        .buildpack("b", &[DETECT, ("compile", ""), ("report", "echo no JSON")])
        .buildpack("c", &[DETECT, ("compile", "exit 1"), ("report", "echo '{\"c\": true}'")]);
    let built = app.build();
    assert_eq!(built.code, 50, "{}", built.output);
    let reports = &built.result["reports"];
    let says: Vec<_> = reports.as_array().unwrap().iter().map(|r| r["report"].clone()).collect();
    assert_eq!(says, [json!({"a": 1}), json!({"c": true})]);
}

#[test]
fn config_vars_of_several_lines_reach_a_buildpack_as_they_are() {
    let sub_env = "for e in \"$3\"/*; do export \"$(basename \"$e\")=$(cat \"$e\")\"; done
        printf '%s|' \"$KEY\" \"$EMPTY\" \"$QUOTED\"; echo";
    let built = App::new()
        .file("Procfile", "web: x")
        .config_var("KEY", "-----BEGIN-----\nabc=\n-----END-----")
        .config_var("EMPTY", "")
        .config_var("QUOTED", "a 'b' \"c\" $HOME `id` \\")
        .buildpack("b", &[DETECT, ("compile", sub_env)])
        .build();
    built
        .expect_lines(0, &["-----BEGIN-----", "abc=", "-----END-----||a 'b' \"c\" $HOME `id` \\|"]);
}

#[test]
fn the_stack_that_is_announced_is_what_buildpacks_read() {
    let built = App::new()
        .file("Procfile", "web: x")
        .buildpack("b", &[DETECT, ("compile", "echo $STACK")])
        .argument("--announced-stack=heroku-24")
        .build();
    let heading = "-----> Building on the Host stack, announced as heroku-24";
    built.expect_lines(0, &[heading, "heroku-24"]);
}

#[test]
fn what_a_buildpack_says_of_an_app_that_it_refuses_is_shown_as_on_heroku() {
    let detect = "echo >&2; echo ' !     No main.x here.' >&2; exit 1";
    let built = App::new().buildpack("b", &[("detect", detect), ("compile", "")]).build();
    built.expect(
        30,
        "\
-----> Building on the Host stack
-----> Using buildpack: $ROOT/buildpacks-of-the-test/b
-----> App not compatible with buildpack: $ROOT/buildpacks-of-the-test/b
       \n !     No main.x here.

       More info: https://devcenter.heroku.com/articles/buildpacks#buildpack-auto-detection

 !     App not compatible with buildpack: $ROOT/buildpacks-of-the-test/b
 !
 !     Its bin/detect did not recognise: nothing
 !
 !     The files that a buildpack looks for have to be in the root directory and committed: files \
listed in .gitignore or .slugignore are not part of a push.
 !
 !     Next: git status --ignored
",
    );
}
