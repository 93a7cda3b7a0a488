//! Published tests written with shunit2: `test/run` and `test/run-*`, as heroku-buildpack-nodejs and
//! -apt have them. Each function compiles fixtures and looks at what was printed. That much of bash
//! is understood here; at the first other statement a test ends, and what follows is left out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::case::{Asked, Case, Check, Step};

/// Whether a checkout has such tests.
pub(super) fn is_there(root: &Path) -> bool {
    root.join("test/fixtures").is_dir() && !files(root).is_empty()
}

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("test")).into_iter().flatten().flatten();
    let is_test = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.is_file() && (name == "run" || name.starts_with("run-")) && name != "run-helpers"
    };
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_test).collect();
    files.sort();
    files
}

/// Reads all tests of a checkout.
pub(super) fn read(root: &Path) -> io::Result<Vec<Case>> {
    let mut cases = vec![];
    for file in files(root) {
        let text = fs_err::read_to_string(&file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        cases.extend(read_file(root, &name, &text));
    }
    Ok(cases)
}

fn read_file(root: &Path, file: &str, text: &str) -> Vec<Case> {
    let mut cases = vec![];
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(function) = line.strip_suffix("() {").filter(|name| name.starts_with("test"))
        else {
            continue;
        };
        let body = lines.by_ref().take_while(|line| *line != "}");
        let mut reading = Test::new(root, format!("{file}: {function}"));
        reading.read(body);
        cases.push(reading.case);
    }
    cases
}

/// A test as it is read.
struct Test<'a> {
    root: &'a Path,
    case: Case,
    /// Config vars by the variable that names their directory.
    env_dirs: BTreeMap<String, BTreeMap<String, String>>,
    /// How many caches there were that nobody names.
    unnamed: usize,
}

impl<'a> Test<'a> {
    fn new(root: &'a Path, name: String) -> Self {
        let steps = vec![Step::Buildpacks(vec![Asked::Tested])];
        let case = Case { name, steps, left_out: vec![] };
        Self { root, case, env_dirs: BTreeMap::new(), unnamed: 0 }
    }

    fn read(&mut self, body: impl Iterator<Item = impl AsRef<str>>) {
        let mut until: Option<String> = None;
        for line in body {
            let line = line.as_ref().trim();
            if let Some(end) = &until {
                until = (line != end).then(|| end.clone());
                continue;
            }
            until = line.split_once("<<-").map(|(_, end)| end.trim_matches('\'').to_owned());
            match self.statement(line) {
                Some(Understood::Steps(steps)) => self.case.steps.extend(steps),
                Some(Understood::Elsewhere) => {
                    let assertion = line.split(' ').next().unwrap_or_default().to_owned();
                    self.case.left_out.push(assertion);
                }
                None => return self.case.left_out.push(format!("`{line}` and what follows")),
            }
        }
    }

    fn statement(&mut self, line: &str) -> Option<Understood> {
        let steps = |steps: Vec<Step>| Some(Understood::Steps(steps));
        let check = |check: Check| steps(vec![Step::Check(check)]);
        if line.is_empty() || line.starts_with('#') || is_directory(line) {
            return steps(vec![]);
        }
        let words = words(line)?;
        let word = |index: usize| words.get(index).map(String::as_str);
        // Of two words the first is what to say when it is not so.
        let text = || word(2).or(word(1)).map(str::to_owned);
        match word(0)? {
            "compile" => self.compile(&words),
            "echo" => self.config_var(&words),
            "assertCapturedSuccess" | "assertCapturedSuccessWithWarnings" => check(Check::Succeeds),
            "assertCapturedError" => {
                let message = word(2).or(word(1)).filter(|text| !text.is_empty());
                let says = message.map(|text| Step::Check(Check::Says(text.to_owned())));
                steps([Step::Check(Check::Fails)].into_iter().chain(says).collect())
            }
            "assertCaptured" | "assertCapturedStderr" => check(Check::Says(text()?)),
            "assertNotCaptured" | "assertNotCapturedStderr" => check(Check::SaysNot(text()?)),
            "assertCapturedTimes" => {
                check(Check::SaysTimes(word(1)?.parse().ok()?, word(2)?.to_owned()))
            }
            "assertMetricEqualsString" => {
                check(Check::Reports { field: word(2)?.to_owned(), value: word(3)?.into() })
            }
            "assertMetricEqualsRaw" => {
                let value = serde_json::from_str(word(3)?).ok()?;
                check(Check::Reports { field: word(2)?.to_owned(), value })
            }
            other if other.starts_with("assert") => Some(Understood::Elsewhere),
            _ => None,
        }
    }

    /// `compile FIXTURE [CACHE [ENV [BUILD]]]`
    fn compile(&mut self, words: &[String]) -> Option<Understood> {
        let fixture = self.root.join("test/fixtures").join(words.get(1)?);
        let named = words.get(2).and_then(|word| variable(word));
        let app = named.map_or_else(
            || {
                self.unnamed += 1;
                format!("unnamed-{}", self.unnamed)
            },
            str::to_owned,
        );
        let vars = words.get(3).and_then(|word| variable(word));
        let vars = vars.and_then(|name| self.env_dirs.get(name)).cloned().unwrap_or_default();
        Some(Understood::Steps(vec![
            Step::App(app),
            Step::Source(fixture),
            Step::ConfigVars(vars.into_iter().collect()),
            Step::Build,
        ]))
    }

    /// `echo VALUE > $env_dir/NAME`
    fn config_var(&mut self, words: &[String]) -> Option<Understood> {
        let [_, value, redirection, path] = words else { return None };
        let (directory, name) = path.split_once('/')?;
        let directory = variable(directory).filter(|_| redirection == ">")?;
        let vars = self.env_dirs.entry(directory.to_owned()).or_default();
        vars.insert(name.to_owned(), value.clone());
        Some(Understood::Steps(vec![]))
    }
}

enum Understood {
    Steps(Vec<Step>),
    /// It looks at what only the machine of the test has: files, what a startup prints.
    Elsewhere,
}

/// `local env_dir=$(mktmpdir)`, and declarations without a value.
fn is_directory(line: &str) -> bool {
    let declared = line.strip_prefix("local ");
    let assigned = declared.unwrap_or(line).split_once('=');
    match assigned {
        Some((_, value)) => value == "$(mktmpdir)" || value == "$(mktemp)",
        None => declared.is_some(),
    }
}

/// `$name` or `${name}`, where the word is one. A substitution is no variable.
fn variable(word: &str) -> Option<&str> {
    let name = word.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

/// A line's words. Variables stay as they are written; there is nothing to be had for other things.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let text: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                word.get_or_insert_default().push_str(&text);
            }
            '"' => word.get_or_insert_default().push_str(&double_quoted(&mut chars)?),
            '>' => {
                words.extend(word.take());
                words.push(">".to_owned());
            }
            '|' | '&' | ';' | '(' | ')' | '`' => return None,
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

fn double_quoted(chars: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                c @ ('"' | '\\' | '$' | '`') => text.push(c),
                c => text.extend(['\\', c]),
            },
            '`' => return None,
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = r#"
testFlags() {
  local cache=$(mktmpdir)
  env_dir=$(mktmpdir)
  echo "--prod --optimize" > "$env_dir"/FLAGS
  # again
  compile "build-script" $cache ${env_dir}
  assertCaptured 'echo "--prod"'
  assertCapturedError 1 "a \"b\""
  assertMetrics "$cache" <<-EOF
    select(.a == "b")
  EOF
  compile "other" "$(mktmpdir)"
  assertCapturedSuccess
}

testOther() {
  compile "one" "$cache"
  assertCapturedTimes 2 "x"
  assertMetricEqualsRaw "$cache" "use_npm_ci" "true"
  export A=b
  assertCapturedSuccess
}
"#;

    fn steps(case: &Case) -> Vec<String> {
        case.steps.iter().skip(1).map(|step| format!("{step:?}")).collect()
    }

    #[test]
    fn compiles_and_what_they_print_are_understood() {
        let cases = read_file(Path::new("/bp"), "run", TESTS);
        assert_eq!(cases[0].name, "run: testFlags");
        assert_eq!(
            steps(&cases[0]),
            [
                "App(\"cache\")",
                "Source(\"/bp/test/fixtures/build-script\")",
                "ConfigVars([(\"FLAGS\", \"--prod --optimize\")])",
                "Build",
                "Check(Says(\"echo \\\"--prod\\\"\"))",
                "Check(Fails)",
                "Check(Says(\"a \\\"b\\\"\"))",
                "App(\"unnamed-1\")",
                "Source(\"/bp/test/fixtures/other\")",
                "ConfigVars([])",
                "Build",
                "Check(Succeeds)",
            ]
        );
        assert_eq!(cases[0].left_out, ["assertMetrics"]);
    }

    #[test]
    fn a_test_ends_where_it_is_not_understood() {
        let case = &read_file(Path::new("/bp"), "run", TESTS)[1];
        assert_eq!(steps(case).len(), 6);
        assert_eq!(case.left_out, ["`export A=b` and what follows"]);
    }
}
