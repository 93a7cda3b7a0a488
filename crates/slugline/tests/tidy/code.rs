//! Rules of Rust files: their length, their names, `unsafe`, and what is not finished.

use crate::files::File;
use crate::finding::Finding;

/// Lines of a file, tests included.
const CEILING: usize = 600;

/// The one folder with `unsafe` code.
const UNSAFE_FOLDER: &str = "crates/slugline-dyno/src/sys/";

/// This folder, whose strings hold what it looks for.
const OWN_FOLDER: &str = "crates/slugline/tests/tidy/";

/// Names that say nothing.
const EMPTY_NAMES: [&str; 9] =
    ["utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "stuff"];

/// What must not be left in code, and what to do instead.
const UNFINISHED: [(&str, &str); 8] = [
    ("todo!", "write it, or return an error that says what is missing"),
    ("unimplemented!", "write it, or return an error that says what is missing"),
    ("dbg!", "remove it, or make it a tracing event"),
    ("TODO", "do it now, or leave it out"),
    ("FIXME", "mend it now"),
    ("XXX", "mend it now"),
    ("#[ignore", "let the test run, or remove it; one that cannot run here fails with the reason"),
    ("#[allow(", "use #[expect(…, reason = \"…\")], which tells when it is no longer needed"),
];

fn is_rust(file: &File) -> bool {
    file.has_extension(&["rs"])
}

fn finding(file: &File, line: usize, rule: String, advice: &str) -> Finding {
    Finding { path: file.path.clone(), line, rule, advice: advice.to_owned() }
}

pub(crate) fn too_long(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let rule = format!("{lines} lines, of at most {CEILING}");
    (is_rust(file) && lines > CEILING)
        .then(|| finding(file, 0, rule, "split it where its subjects part"))
}

pub(crate) fn empty_names(file: &File) -> Vec<Finding> {
    if !is_rust(file) {
        return vec![];
    }
    let advice = "name it after what it holds";
    let parts = file.path.trim_end_matches(".rs").split('/');
    let in_path = parts
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| finding(file, 0, format!("`{part}` says nothing"), advice));
    let inside = file.lines().filter_map(|(number, line)| {
        let name = line.trim().split("mod ").nth(1)?.trim_end_matches([' ', '{', ';']);
        let says_nothing = line.trim_start().starts_with(['m', 'p']) && EMPTY_NAMES.contains(&name);
        says_nothing.then(|| finding(file, number, format!("module `{name}` says nothing"), advice))
    });
    in_path.chain(inside).collect()
}

pub(crate) fn stray_unsafe(file: &File) -> Vec<Finding> {
    let is_home = [UNSAFE_FOLDER, OWN_FOLDER].iter().any(|f| file.path.starts_with(f));
    if !is_rust(file) || is_home {
        return vec![];
    }
    let advice = format!("`unsafe` lives in {UNSAFE_FOLDER}; call what is there, or add to it");
    file.lines()
        .filter(|(_, line)| is_unsafe(line))
        .map(|(number, _)| finding(file, number, "unsafe code".to_owned(), &advice))
        .collect()
}

fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let openings = ["{", "fn ", "impl ", "impl<", "extern ", "trait ", "(no_mangle"];
    let mut rest = code;
    while let Some(at) = rest.find("unsafe") {
        let before = rest[..at].chars().next_back();
        let after = rest[at + "unsafe".len()..].trim_start();
        let starts_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"');
        if starts_word && (after.is_empty() || openings.iter().any(|o| after.starts_with(o))) {
            return true;
        }
        rest = &rest[at + "unsafe".len()..];
    }
    false
}

pub(crate) fn unfinished(file: &File) -> Vec<Finding> {
    if !is_rust(file) || file.path.starts_with(OWN_FOLDER) {
        return vec![];
    }
    let mut findings = vec![];
    for (number, line) in file.lines() {
        for (mark, advice) in UNFINISHED {
            if line.contains(mark) {
                findings.push(finding(file, number, format!("`{mark}`"), advice));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::file;

    #[test]
    fn a_file_may_be_as_long_as_the_ceiling_and_no_longer() {
        assert_eq!(too_long(&file("a.rs", &"x\n".repeat(CEILING))), None);
        let found = too_long(&file("a.rs", &"x\n".repeat(CEILING + 1))).unwrap();
        assert_eq!(found.rule, "601 lines, of at most 600");
        assert_eq!(too_long(&file("a.md", &"x\n".repeat(CEILING + 1))), None);
    }

    #[test]
    fn a_name_that_says_nothing_is_found_in_paths_and_modules() {
        let count = |path, text| empty_names(&file(path, text)).len();
        assert_eq!(count("crates/a/src/utils.rs", ""), 1);
        assert_eq!(count("crates/a/src/common/mod.rs", ""), 1);
        assert_eq!(count("crates/a/src/lib.rs", "pub(crate) mod helpers;\nmod manager {"), 2);
        assert_eq!(count("crates/a/src/lib.rs", "mod follow;\n// a mod utils;"), 0);
        assert_eq!(count("examples/utils.py", ""), 0);
    }

    #[test]
    fn unsafe_is_found_in_code_only_and_outside_its_folder_only() {
        let lines = "unsafe { a() }\nlet x = unsafe{ b };\nunsafe fn c() {}\nunsafe\n\
                     #![deny(unsafe_code)]\n// unsafe { }\nlet s = \"unsafe {\";";
        let found = stray_unsafe(&file("crates/a/src/lib.rs", lines));
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(stray_unsafe(&file("crates/slugline-dyno/src/sys/mod.rs", lines)).is_empty());
    }

    #[test]
    fn unfinished_work_and_switched_off_tests_are_found() {
        let text = "todo!()\n// FIXME\n#[ignore = \"slow\"]\n#[allow(dead_code)]\nlet todo = 1;";
        let found = unfinished(&file("a.rs", text));
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
