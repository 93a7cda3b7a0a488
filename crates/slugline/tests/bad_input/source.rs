//! Failures whose move is the app author's.

use slugline_model::build::exit_code;

use super::support::account::Account;
use super::{Expected, apps, expect_failure};

const STATE: &str = "Nothing was released. shelf has no release yet.";

#[test]
fn an_app_without_process_types_is_told_what_a_procfile_is() {
    for account in Account::all() {
        let says = [
            "There is nothing to run: the app declares no process types",
            "There is no Procfile",
            "A Procfile in the root directory says what runs",
            "> Procfile",
            STATE,
        ];
        let expected = Expected { code: exit_code::PROCESS_TYPES, says: &says };
        expect_failure(&apps::without_procfile(&account), &expected);
    }
}

#[test]
fn a_procfile_that_does_not_parse_is_told_with_its_line() {
    for account in Account::all() {
        let says = [
            "Procfile line 3 does not declare a process type: `= worker`",
            "Each line is `name: command`",
            STATE,
        ];
        let expected = Expected { code: exit_code::PROCFILE, says: &says };
        expect_failure(&apps::with_broken_procfile(&account), &expected);
    }
}

#[test]
fn an_app_that_no_buildpack_recognises_is_told_what_was_looked_for_and_found() {
    for account in Account::all() {
        let says = [
            "No buildpack recognises this app",
            "Looked in the root directory for: package.json (heroku/nodejs)",
            "(heroku/python)",
            "Found: README.md, src/",
            "echo heroku/python > .buildpacks",
            STATE,
        ];
        let expected = Expected { code: exit_code::DETECT, says: &says };
        expect_failure(&apps::of_unknown_kind(&account), &expected);
    }
}

#[test]
fn a_lock_file_that_is_out_of_step_is_told_with_the_way_to_mend_it() {
    for account in Account::all() {
        let says = [
            "is-number",
            "package-lock.json is out of step with package.json",
            "A build installs exactly what is locked.",
            "npm install && git commit",
            STATE,
        ];
        let expected = Expected { code: exit_code::LOCK_FILE, says: &says };
        expect_failure(&apps::with_stale_lock_file(&account), &expected);
    }
}

#[test]
fn a_hook_that_fails_is_told_with_its_own_output() {
    for account in Account::all() {
        let says = [
            "-----> Running bin/post_compile hook",
            "the shelf is wet",
            "nobody dries it",
            "bin/post_compile",
            STATE,
        ];
        let expected = Expected { code: exit_code::HOOK, says: &says };
        expect_failure(&apps::with_failing_hook(&account), &expected);
    }
}
