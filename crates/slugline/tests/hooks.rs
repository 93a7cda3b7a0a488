//! The app's hooks as heroku/python runs them. A `bin/pre_compile` runs before anything is fetched,
//! so nothing here needs a network.

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod building;

use building::{App, Built};

/// A Python app whose first hook is this.
fn with_pre_compile(text: &str) -> App {
    App::new().file("requirements.txt", "").file("bin/pre_compile", text)
}

fn expect_failure(built: &Built, lines: &[&str]) {
    built.expect_lines(40, &[&["-----> Running bin/pre_compile hook"], lines].concat());
}

#[test]
fn a_hook_sees_the_literal_environment_and_the_config_vars() {
    let built = with_pre_compile(
        "#!/bin/bash\nenv | grep -vE '^(_|PWD|OLDPWD|SHLVL|TMPDIR)=' | LC_ALL=C sort\npwd\nexit 1\n",
    )
    .variable("https_proxy", "http://proxy.example")
    .config_var("SECRET", "two words")
    .config_var("PATH", "/bad")
    .config_var("LD_PRELOAD", "/bad")
    .build();
    let environment: Vec<&str> = built
        .output
        .lines()
        .skip_while(|line| !line.contains("Running"))
        .skip(1)
        .take_while(|line| !line.contains("bin/pre_compile"))
        .map(str::trim_start)
        .collect();
    assert_eq!(
        environment,
        [
            "BUILDPACK_LOG_FILE=/dev/fd/3",
            "BUILD_DIR=$BUILD_DIR",
            "CACHE_DIR=$CACHE_DIR",
            "CPLUS_INCLUDE_PATH=/app/.heroku/python/include",
            "C_INCLUDE_PATH=/app/.heroku/python/include",
            "DYNO=run.1234",
            "ENV_DIR=$ENV_DIR",
            "HOME=/app",
            "LANG=en_US.UTF-8",
            "LD_LIBRARY_PATH=/app/.heroku/python/lib",
            "LIBRARY_PATH=/app/.heroku/python/lib",
            "PATH=/app/.heroku/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PKG_CONFIG_PATH=/app/.heroku/python/lib/pkg-config",
            "PYTHONUNBUFFERED=1",
            "REQUEST_ID=r",
            "SECRET=two words",
            "SOURCE_VERSION=abc",
            "STACK=host",
            "https_proxy=http://proxy.example",
            "$BUILD_DIR",
        ]
    );
}

#[test]
fn a_failing_hook_fails_the_build_and_is_named_below_its_output() {
    let built =
        with_pre_compile("#!/bin/bash\necho out; echo err >&2; printf partial; exit 3\n").build();
    expect_failure(
        &built,
        &[
            "       out",
            "       err",
            " !     bin/pre_compile exited with status 3",
            " !     The reason is in its output above.",
        ],
    );
    assert!(built.output.contains("       partial"));
}

#[test]
fn a_hook_without_a_shebang_runs_as_a_shell_would_run_it() {
    let built = with_pre_compile("[[ -n $BASH_VERSION ]] && echo in bash\nexit 1\n").build();
    expect_failure(&built, &["       in bash"]);
}

#[test]
fn a_missing_interpreter_is_named() {
    let built = with_pre_compile("#!/no/such/shell\n").build();
    expect_failure(
        &built,
        &[
            " !     bin/pre_compile cannot run: its interpreter is not on this stack",
            " !     Its first line is `#!/no/such/shell`.",
        ],
    );
}

#[test]
fn what_a_hook_leaves_in_the_background_does_not_hold_the_build() {
    let started = std::time::Instant::now();
    let built = with_pre_compile("#!/bin/bash\nsleep 20 &\nexit 1\n").build();
    expect_failure(&built, &[]);
    assert!(started.elapsed().as_secs() < 15);
}

#[test]
fn what_is_wrong_with_the_apps_files_is_said_after_the_first_hook() {
    let built = with_pre_compile("#!/bin/bash\necho hooked\n").file("uv.lock", "").build();
    built.expect_lines(
        50,
        &[
            "       hooked",
            " !     The app's dependencies are not named in one file",
            " !     Found: requirements.txt (pip), uv.lock (uv)",
        ],
    );
    let built = App::new().file("poetry.lock", "").file(".python-version", "3.8").build();
    built.expect_lines(
        50,
        &[" !     Python 3.8 is not supported: it gets no security fixes any more"],
    );
}
