//! Sources that are not one app at its root: an app beside others, and heroku.yml in the place of a
//! Procfile.

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod building;

use building::App;
use serde_json::json;

const DETECT: (&str, &str) = ("detect", "echo Test");

#[test]
fn an_app_below_its_source_sees_its_siblings_and_leaves_them_out_of_the_slug() {
    let mut app = App::new()
        .file("shared/schema.json", "{}")
        .file(".slugignore", "*.md\n")
        .file("web/Procfile", "web: ./serve\n")
        .file("web/.slugignore", "*.txt\n")
        .file("web/notes.txt", "x")
        .file("web/read.md", "x")
        .argument("--root")
        .argument("web")
        .buildpack("bp", &[DETECT, ("compile", "pwd; cp ../shared/schema.json . && ls")]);
    let built = app.build();
    built.expect(
        0,
        "\
-----> Building on the Host stack
       Left out 1 entry of the source, as .slugignore says
-----> Using buildpack: $ROOT/buildpacks-of-the-test/bp
-----> Test app detected
$BUILD_DIR/web
Procfile
read.md
schema.json
       $ROOT/buildpacks-of-the-test/bp: 1 file (2B) added in Ns (now 4 files, 22B)
-----> Discovering process types
       Procfile declares types     -> web
",
    );
    assert!(built.build_dir.join("web/schema.json").is_file());
}

#[test]
fn a_root_that_is_not_there_is_said_with_what_is() {
    let mut app = App::new().file("backend/Procfile", "web: x\n").argument("--root=frontend");
    app.build().expect_lines(
        20,
        &[
            " !     There is no app in frontend of the source",
            " !     There is no such directory. The source holds: backend/",
            " !     Next: slugline up --root DIRECTORY",
        ],
    );
}

#[test]
fn heroku_yml_says_what_runs_and_adds_config_to_the_build() {
    let yml = "build:\n  config:\n    GREETING: hello\n    SECRET: default\nrelease:\n  command:\n  \
               - ./migrate\nrun:\n  web: ./serve\n  worker:\n    command:\n    - ./work\n";
    let compile = "echo \"$(cat $3/GREETING) $(cat $3/SECRET)\"";
    let mut app = App::new()
        .file("heroku.yml", yml)
        .file("Procfile", "web: ./old\n")
        .config_var("SECRET", "own")
        .buildpack("bp", &[DETECT, ("compile", compile)]);
    let built = app.build();
    built.expect_lines(
        0,
        &[
            "hello own",
            "       heroku.yml declares types   -> release, web, worker",
            "       Procfile is not read: heroku.yml has a `run`",
        ],
    );
    let types = json!({ "release": "./migrate", "web": "./serve", "worker": "./work" });
    assert_eq!(built.result["process_types"], types);
}

#[test]
fn dockers_part_of_heroku_yml_is_refused() {
    let mut app = App::new().file("heroku.yml", "build:\n  docker:\n    web: Dockerfile\n");
    app.build().expect(
        21,
        "\
-----> Building on the Host stack
 !     This app asks for Docker images, which are not built here
 !
 !     Its section build.docker names web.
 !
 !     With buildpacks, heroku.yml may hold build.config (config vars of the build), release and run.
 !
 !     Next: git rm heroku.yml && git commit -m 'Build with buildpacks', with a Procfile for what it \
 ran
",
    );
}
