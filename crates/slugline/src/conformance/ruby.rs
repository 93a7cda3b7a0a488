//! The little of Ruby that the published tests of heroku-buildpack-python are written in: strings,
//! heredocs and constants.

use std::collections::BTreeMap;
use std::path::Path;

/// Constants by name.
pub(super) type Constants = BTreeMap<String, String>;

/// Reads the constants of `spec/spec_helper.rb` that are strings, or made of other ones in the few
/// ways that are used there.
pub(super) fn constants(root: &Path, text: &str) -> Constants {
    let mut constants = Constants::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(" = ") else { continue };
        let is_constant =
            name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if let (true, Some(value)) = (is_constant, value_of(root, value.trim(), &constants)) {
            constants.insert(name.to_owned(), value);
        }
    }
    constants
}

fn value_of(root: &Path, value: &str, known: &Constants) -> Option<String> {
    if let Some(package) = between(value, "get_requirement_version('", "')") {
        let file = root.join("requirements").join(format!("{package}.txt"));
        let text = fs_err::read_to_string(file).ok()?;
        return text.trim().strip_prefix(&format!("{package}==")).map(str::to_owned);
    }
    if let Some(name) = value.strip_suffix(r".gsub(/\.\d+$/, '')") {
        return known.get(name)?.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    }
    known.get(value).cloned().or_else(|| string(value, known))
}

/// What stands between a beginning and an end that make up the whole.
pub(super) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

/// A whole string literal.
pub(super) fn string(literal: &str, constants: &Constants) -> Option<String> {
    if let Some(text) = between(literal, "'", "'") {
        return (!text.contains(['\'', '\\'])).then(|| text.to_owned());
    }
    let text = between(literal, "\"", "\"").filter(|text| !text.contains('"'))?;
    interpolated(text, constants)
}

/// A heredoc's text (`<<~`): without the indentation that its lines share.
pub(super) fn heredoc(lines: &[&str], constants: &Constants) -> Option<String> {
    let indentation = |line: &&str| line.len() - line.trim_start_matches(' ').len();
    let shared = lines.iter().filter(|line| !line.trim().is_empty()).map(indentation).min();
    let shared = shared.unwrap_or(0);
    let cut = |line: &&str| line.get(shared..).unwrap_or_default().to_owned();
    let text: String = lines.iter().flat_map(|line| [cut(line), "\n".to_owned()]).collect();
    interpolated(&text, constants)
}

/// Escapes and `#{CONSTANT}`; nothing where there is something else in it.
fn interpolated(text: &str, constants: &Constants) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '#']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(inner) = rest.strip_prefix("#{") {
            let (name, after) = inner.split_once('}')?;
            plain.push_str(&expression(name, constants)?);
            rest = after;
        } else if let Some(escaped) = rest.strip_prefix('\\') {
            let (c, after) = unescaped(escaped)?;
            plain.push(c);
            rest = after;
        } else {
            plain.push('#');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    Some(plain)
}

fn expression(text: &str, constants: &Constants) -> Option<String> {
    if let Some(name) = between(text, "Regexp.escape(", ")") {
        return constants.get(name).map(|value| regex_lite::escape(value));
    }
    constants.get(text).cloned()
}

/// The character that stands behind a backslash, and what follows.
fn unescaped(text: &str) -> Option<(char, &str)> {
    let c = text.chars().next()?;
    let after = &text[c.len_utf8()..];
    match c {
        'n' => Some(('\n', after)),
        't' => Some(('\t', after)),
        'e' => Some(('\u{1b}', after)),
        '\\' | '"' | '#' | '\'' => Some((c, after)),
        'u' => {
            let code = u32::from_str_radix(after.get(..4)?, 16).ok()?;
            Some((char::from_u32(code)?, &after[4..]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Constants {
        let pairs = [("FULL", "3.14.7"), ("URL", "https://x.example/a.b")];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn constants_are_strings_or_made_of_strings() {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir(root.path().join("requirements")).unwrap();
        fs_err::write(root.path().join("requirements/pip.txt"), "pip==26.2.1\n").unwrap();
        let text = "A = '3.14.7'\nB = A\nC = B.gsub(/\\.\\d+$/, '')\n\
                    PIP = get_requirement_version('pip')\nD = Hatchet::App.default\nx = '1'\n";
        let constants = constants(root.path(), text);
        let value = |name: &str| constants.get(name).map(String::as_str);
        assert_eq!(
            [value("A"), value("B"), value("C")],
            [Some("3.14.7"), Some("3.14.7"), Some("3.14")]
        );
        assert_eq!([value("PIP"), value("D"), value("x")], [Some("26.2.1"), None, None]);
    }

    #[test]
    fn a_heredoc_loses_its_indentation_and_keeps_what_is_escaped() {
        let lines = ["    a #{FULL} \\\\(b\\\\) # c", "", "      d"];
        assert_eq!(heredoc(&lines, &known()).unwrap(), "a 3.14.7 \\(b\\) # c\n\n  d\n");
        assert_eq!(heredoc(&["#{1 + 1}"], &known()), None);
    }

    #[test]
    fn strings_are_read_whole_or_not_at_all() {
        assert_eq!(string("'a'", &known()).unwrap(), "a");
        assert_eq!(string("\"\\n#{FULL}\"", &known()).unwrap(), "\n3.14.7");
        assert_eq!(string("a", &known()), None);
        assert_eq!(string("'a' + 'b'", &known()), None);
    }
}
