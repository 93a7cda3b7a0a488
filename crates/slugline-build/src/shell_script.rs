//! Reads a script of a shell as far as it takes to see what its author may have overlooked.
//!
//! Rather silent than wrong: what is not understood is taken to be right.

/// Something that its author may not have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Worry {
    /// When this command fails, the script goes on, and may end well.
    GoesOn {
        /// From 1.
        line: usize,
        /// Its first words.
        command: String,
    },
    /// It asks to be root.
    Sudo {
        /// From 1.
        line: usize,
    },
    /// It names a place of another system.
    OtherSystem {
        /// From 1.
        line: usize,
        /// That place.
        path: String,
    },
}

/// Places that only macOS has.
const OF_MACOS: [&str; 5] =
    ["/opt/homebrew", "/usr/local/Cellar", "/Users/", "/Applications/", "/System/Library"];

/// A script that asks where it runs knows what it does.
const ASKS_FOR_SYSTEM: [&str; 4] = ["uname", "OSTYPE", "Darwin", "command -v sudo"];

/// Signs that a script looks after its failures by itself.
const LOOKS_AFTER: [&str; 8] =
    ["|| exit", "|| return", "|| die", "|| fail", "|| {", "||exit", "$?", "PIPESTATUS"];

/// Commands that do not fail, or whose failure means nothing.
const HARMLESS: [&str; 38] = [
    "echo", "printf", ":", "true", "set", "export", "local", "readonly", "declare", "unset",
    "shopt", "trap", "shift", "exit", "return", "if", "then", "else", "elif", "fi", "for", "while",
    "until", "do", "done", "case", "esac", "function", "{", "}", "(", ")", "[", "[[", "((",
    "break", "continue", "umask",
];

/// What is wrong with a script; nothing for other languages.
pub(crate) fn worries(text: &str) -> Vec<Worry> {
    if !is_of_a_shell(text) {
        return Vec::new();
    }
    let lines = code_lines(text);
    let mut worries = Vec::new();
    worries.extend(goes_on(text, &lines));
    if !lines.iter().any(|(_, line)| ASKS_FOR_SYSTEM.iter().any(|word| line.contains(word))) {
        worries.extend(
            lines.iter().find(|(_, line)| runs_sudo(line)).map(|(n, _)| Worry::Sudo { line: *n }),
        );
        worries.extend(lines.iter().find_map(|(number, line)| {
            let path = OF_MACOS.iter().find(|path| line.contains(*path))?;
            Some(Worry::OtherSystem { line: *number, path: (*path).to_owned() })
        }));
    }
    worries
}

/// sh and bash, also by way of env; without a first line, bash runs it.
fn is_of_a_shell(text: &str) -> bool {
    let Some(shebang) = text.lines().next().and_then(|line| line.strip_prefix("#!")) else {
        return !text.is_empty();
    };
    shebang.split_whitespace().any(|word| matches!(word.rsplit('/').next(), Some("sh" | "bash")))
}

/// The lines that hold code, numbered from 1: without comments and here documents, and with those
/// that go on joined to their first.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut here: Option<String> = None;
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(end) = &here {
            if line.trim() == end.as_str() {
                here = None;
            }
            continue;
        }
        let code = without_comment(line).trim();
        if code.is_empty() {
            goes_on = false;
            continue;
        }
        here = here_document(code);
        let (code, more) = match code.strip_suffix('\\') {
            Some(code) => (code.trim_end(), true),
            None => (code, code.ends_with("&&") || code.ends_with("||") || code.ends_with('|')),
        };
        match lines.last_mut() {
            Some((_, last)) if goes_on => {
                last.push(' ');
                last.push_str(code);
            }
            _ => lines.push((index + 1, code.to_owned())),
        }
        goes_on = more;
    }
    lines
}

/// A `#` at the start of a word begins a comment; one in quotes may be cut here too, which hides
/// at most a worry.
fn without_comment(line: &str) -> &str {
    let starts = |at: usize| at == 0 || line[..at].ends_with([' ', '\t', ';']);
    let at = line.match_indices('#').map(|(at, _)| at).find(|at| starts(*at));
    at.map_or(line, |at| &line[..at])
}

/// The word that ends the here document that a line begins.
fn here_document(code: &str) -> Option<String> {
    let (_, rest) = code.split_once("<<")?;
    let rest = rest.strip_prefix('-').unwrap_or(rest).trim_start();
    let word: String = rest
        .trim_start_matches(['\'', '"', '\\'])
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty() && !rest.starts_with('<')).then_some(word)
}

fn runs_sudo(line: &str) -> bool {
    line.split([';', '&', '|', '(']).any(|part| part.trim_start().starts_with("sudo "))
}

/// The first command whose failure nobody would notice, because another one follows. That of the
/// last one is the script's own.
fn goes_on(text: &str, lines: &[(usize, String)]) -> Option<Worry> {
    let stops = |line: &str| stops_at_failure(line);
    let shebang_stops = text
        .lines()
        .next()
        .is_some_and(|line| line.starts_with("#!") && line.split_whitespace().skip(1).any(sets_e));
    if shebang_stops || lines.iter().any(|(_, line)| stops(line)) {
        return None;
    }
    let followed = |pair: &&[(usize, String)]| !closes(&pair[1].1) && can_fail(&pair[0].1);
    let (line, command) = &lines.windows(2).find(followed)?[0];
    let command = command.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    Some(Worry::GoesOn { line: *line, command })
}

/// Whether a line ends what the one before it belongs to, so that nothing may follow after all.
fn closes(line: &str) -> bool {
    let first = line.split([' ', ';', ')']).next().unwrap_or_default();
    matches!(first, "else" | "elif" | "fi" | "esac" | "done" | "}" | "") || line.starts_with(";;")
}

fn stops_at_failure(line: &str) -> bool {
    let sets = line.split([';', '&']).any(|part| {
        let mut words = part.split_whitespace();
        words.next() == Some("set")
            && part.split_whitespace().skip(1).any(|word| sets_e(word) || word == "errexit")
    });
    let trapped = line.starts_with("trap ") && line.contains("ERR");
    sets || trapped || LOOKS_AFTER.iter().any(|sign| line.contains(sign)) || line == "exec \"$@\""
}

/// `-e`, `-eu`, `-euo`
fn sets_e(word: &str) -> bool {
    word.strip_prefix('-')
        .is_some_and(|flags| flags.contains('e') && flags.bytes().all(|b| b.is_ascii_lowercase()))
}

fn can_fail(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let assigns = first
        .split_once('=')
        .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    let asks = assigns && line.contains("$(");
    let begins_function = line.ends_with("() {") || line.ends_with("()");
    let is_harmless = HARMLESS.contains(&first) || (assigns && !asks);
    // A label of `case`, the end of a group, or a failure that is looked after.
    let is_looked_after = first.ends_with(')') || line.contains("||");
    !(is_harmless || begins_function || is_looked_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_on_at(line: usize, command: &str) -> Worry {
        Worry::GoesOn { line, command: command.into() }
    }

    #[test]
    fn a_command_in_the_middle_may_fail_unnoticed() {
        let script = "#!/bin/bash\n# client\ncd client\nnpm run build -- --all\ncp -r a b\n";
        assert_eq!(worries(script), [goes_on_at(3, "cd client")]);
        let script = "export A=1\nnpm run build -- --all\n\necho done\n";
        assert_eq!(worries(script), [goes_on_at(2, "npm run build --")]);
    }

    #[test]
    fn who_looks_after_failures_is_left_alone() {
        for script in [
            "#!/bin/bash\nset -e\na\nb\n",
            "#!/usr/bin/env bash\nset -euo pipefail\na\nb\n",
            "#!/bin/bash -e\na\nb\n",
            "#!/bin/sh -eu\na\nb\n",
            "#!/bin/bash\nset -o errexit\na\nb\n",
            "#!/bin/bash\na || exit 1\nb\n",
            "#!/bin/bash\ntrap 'exit 1' ERR\na\nb\n",
            "#!/bin/bash\na\nif [ $? != 0 ]; then exit 1; fi\nb\n",
            "#!/bin/bash\n# only one\necho begin\nnpm run build\n",
            "#!/bin/bash\na &&\n  b &&\n  c\n",
            "#!/bin/bash\nif [ -f manage.py ]; then\n  a\nelse\n  b\nfi\n",
            "#!/bin/bash\nmain() {\n  a\n}\nmain \"$@\"\n",
            "#!/bin/bash\ncat \\\n  a \\\n  b\n",
            "#!/bin/bash\necho <<EOF\nnot a command\nnor this\nEOF\n",
            "#!/usr/bin/env python\nimport os\nimport sys\n",
            "",
        ] {
            assert_eq!(worries(script), [], "{script}");
        }
    }

    #[test]
    fn root_and_other_systems_are_named() {
        let script = "#!/bin/sh -e\n# sudo make me\necho 'no sudo here'\nsudo apt-get install x\n";
        assert_eq!(worries(script), [Worry::Sudo { line: 4 }]);
        let script = "#!/bin/sh -e\n/opt/homebrew/bin/node build.js\n";
        let path = "/opt/homebrew".to_owned();
        assert_eq!(worries(script), [Worry::OtherSystem { line: 2, path }]);
        let script = "#!/bin/sh -e\nif [ \"$(uname)\" = Darwin ]; then sudo x; fi\n";
        assert_eq!(worries(script), []);
    }

    #[test]
    fn the_example_gives_no_reason_to_worry() {
        let example =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/library/bin/post_compile");
        assert_eq!(worries(&fs_err::read_to_string(example).unwrap()), []);
    }
}
