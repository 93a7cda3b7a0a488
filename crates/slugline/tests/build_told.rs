//! What a build tells of itself: measures, the biggest parts, leaks, and worries about hooks.

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod building;

use building::{App, Built};
use serde_json::json;

const DETECT: (&str, &str) = ("detect", "echo Test");
const SECRET: &str = "dj4ngo-s3cret";

fn app() -> App {
    App::new().file("Procfile", "web: x")
}

fn hook(text: &str) -> Built {
    app().file("bin/post_compile", text).buildpack("own", &[DETECT, ("compile", ":")]).build()
}

/// The lines in the gutter.
fn gutter(built: &Built) -> Vec<&str> {
    built.output.lines().filter_map(|line| line.strip_prefix(" !     ")).collect()
}

#[test]
fn each_buildpack_says_what_it_added_changed_and_removed() {
    let built = app()
        .file("old", "12345")
        .file("gone", "123")
        .buildpack(
            "first",
            &[DETECT, ("compile", "cd $1; echo longer > old; rm gone; echo 1 > a; echo 22 > b")],
        )
        .buildpack("second", &[DETECT, ("compile", "rm $1/a")])
        .build();
    built.expect(
        0,
        "\
-----> Building on the Host stack
-----> Using buildpacks:
       1. $ROOT/buildpacks-of-the-test/first
       2. $ROOT/buildpacks-of-the-test/second
-----> Test app detected
       $ROOT/buildpacks-of-the-test/first: 2 files (5B) added, 1 file (7B) changed, 1 file (3B) removed in Ns (now 4 files, 18B)
-----> Test app detected
       $ROOT/buildpacks-of-the-test/second: 1 file (2B) removed in Ns (now 3 files, 16B)
-----> Discovering process types
       Procfile declares types     -> web
",
    );
    let size = |files: u64, bytes: u64| json!({ "files": files, "bytes": bytes });
    let step = &built.result["steps"][0];
    assert_eq!([&step["before"], &step["after"]], [&size(3, 14), &size(4, 18)]);
    assert_eq!(
        [&step["added"], &step["changed"], &step["removed"]],
        [&size(2, 5), &size(1, 7), &size(1, 3)]
    );
    assert_eq!(
        built.result["steps"][1]["before"],
        size(4, 18),
        "what one left, the next one finds"
    );
    assert_eq!(built.result["size"], size(3, 16));
}

#[test]
fn the_biggest_parts_are_named() {
    let compile = "cd $1; mkdir -p .heroku/node/bin node_modules/@babel/core/lib client/build tmp
        truncate -s 30M .heroku/node/bin/node; truncate -s 2M node_modules/@babel/core/lib/a.js
        echo 1 > node_modules/@babel/core/b.js; truncate -s 1500k client/build/tour.mp4
        truncate -s 90k client/build/small.js; truncate -s 9M tmp/gone";
    let built = app().buildpack("own", &[DETECT, ("compile", compile)]).build();
    built.expect_lines(
        0,
        &[
            "-----> Biggest parts of the slug",
            "        31.4MB  .heroku/node",
            "         2.0MB  node_modules/@babel/core, 2 files",
            "         1.5MB  client/build/tour.mp4",
        ],
    );
    assert!(built.output.ends_with("tour.mp4\n"), "{}", built.output);
    let part = &built.result["parts"][3];
    assert_eq!(*part, json!({ "name": "client/build", "files": 1, "bytes": 92_160 }));
}

#[test]
fn a_config_vars_value_in_the_slug_is_told_by_name_and_place() {
    let compile = format!(
        "cd $1; printf 'a\\nkey={SECRET}\\n' > main.js; printf '\\0\\0{SECRET}' > a.pyc
         printf 'user:{SECRET}' | base64 > auth; ln -s main.js link"
    );
    let app = || {
        app()
            .file("settings.py", &format!("KEY = '{SECRET}'\n"))
            .config_var("SECRET_KEY", SECRET)
            .config_var("NODE_ENV", "production")
            .config_var("VITE_API_KEY", "key=dj4ngo")
            .buildpack("own", &[DETECT, ("compile", &compile)])
    };
    let built = app().build();
    assert_eq!(built.code, 0);
    assert_eq!(
        gutter(&built),
        [
            "The slug holds values of config vars: SECRET_KEY",
            "  SECRET_KEY: a.pyc, byte 2",
            "  SECRET_KEY: auth, line 1, in base64",
            "  SECRET_KEY: main.js, line 2",
            "  SECRET_KEY: settings.py, line 1, as it came in the source",
            "Whoever gets these files has the values, a browser too if they are served.",
            "What came in the source is in its history too: change those values.",
            "To let such a build fail: heroku config:set SLUGLINE_LEAKS=fail",
        ]
    );
    assert_eq!(built.result["leaks"][2]["line"], 2);
    assert!(!format!("{}{}", built.output, built.result).contains(SECRET));

    let built = app().config_var("SLUGLINE_LEAKS", "fail").build();
    assert_eq!((built.code, &built.result["process_types"]), (61, &json!({})));
    let lines = gutter(&built);
    assert_eq!(lines[0], "The slug holds values of config vars: SECRET_KEY");
    assert!(lines.iter().any(|line| line.starts_with("Next: ")), "{lines:?}");

    let built = app().config_var("SLUGLINE_LEAKS", "off").build();
    assert_eq!((built.code, gutter(&built)), (0, vec![]));
}

#[test]
fn a_hook_that_would_go_on_after_a_failure_is_named() {
    let built = hook("#!/bin/bash\ncd client\nnpm run build\n");
    assert_eq!(
        gutter(&built),
        [
            "bin/post_compile: a command that fails does not fail the build, such as line 2, `cd \
             client`",
            "Add `set -e` as its second line.",
        ]
    );
    assert_eq!(gutter(&hook("#!/bin/bash\nset -e\ncd client\nnpm run build\n")), [""; 0]);
}

#[test]
fn the_hook_of_the_example_raises_no_worry() {
    let example = include_str!("../../../examples/library/bin/post_compile");
    assert_eq!(gutter(&hook(example)), [""; 0]);
}

#[test]
fn a_hook_for_another_machine_is_named() {
    let built = hook("#!/bin/bash\nset -e\nsudo apt-get install x\n/opt/homebrew/bin/node a.js\n");
    assert_eq!(
        gutter(&built),
        [
            "bin/post_compile, line 3: there is no `sudo` in a build, and nothing to be root for",
            "bin/post_compile, line 4: `/opt/homebrew` is a path of macOS; a build runs on Linux",
        ]
    );
}

#[test]
fn a_hook_that_slugignore_or_its_name_keeps_from_running_is_named() {
    let built = app()
        .file("bin/post_compile", "#!/bin/sh\necho\n")
        .file("bin/pre-compile.sh", "#!/bin/sh\necho\n")
        .file(".slugignore", "*.md\n/bin/post_compile\n")
        .buildpack("own", &[DETECT, ("compile", ":")])
        .build();
    assert_eq!(
        gutter(&built),
        [
            "bin/post_compile is left out by `/bin/post_compile` in .slugignore: it will not run",
            "bin/pre-compile.sh is not run: the hook's name is bin/pre_compile",
        ]
    );
}

#[test]
fn windows_line_endings_end_a_build_before_anything_runs() {
    let hook = "#!/bin/bash\r\necho hi\r\n";
    let built = App::new().file("requirements.txt", "").file("bin/post_compile", hook).build();
    assert_eq!(built.code, 40);
    assert!(!built.output.contains("app detected"), "{}", built.output);
    assert_eq!(
        gutter(&built)[0],
        "bin/post_compile cannot run: its first line ends with a carriage return"
    );
    // Where no buildpack of ours runs the hook it is nothing but a warning.
    let built =
        app().file("bin/post_compile", hook).buildpack("own", &[DETECT, ("compile", ":")]).build();
    assert_eq!(built.code, 0);
    let warning = "bin/post_compile has Windows line endings in `#!/bin/bash`: it could not run";
    assert_eq!(gutter(&built), [warning]);
}
