//! The code of a file: its lines without comments, and without what stands in strings.

use super::places::has_ending;

/// A file, read.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
}

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// Without comments.
    pub(super) text: String,
    /// The same with blanks for what stands in strings, byte for byte.
    pub(super) bare: String,
    /// White space before it (bytes).
    indent: usize,
}

/// How a language writes comments and strings.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a language has each of them or not")]
struct Syntax {
    hash: bool,
    slashes: bool,
    /// Text between three quotes is a comment, which is what Python's documentation is.
    triple: bool,
    backticks: bool,
}

impl Syntax {
    fn of(path: &str) -> Self {
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        let (hash, slashes, triple, backticks) = match ending {
            "py" => (true, false, true, false),
            "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => {
                (false, true, false, true)
            }
            "php" => (true, true, false, false),
            "prisma" => (false, true, false, false),
            "json" | "html" | "jinja" => (false, false, false, false),
            _ => (true, false, false, false),
        };
        Self { hash, slashes, triple, backticks }
    }
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Code,
    /// To the line's end.
    Comment,
    /// To `*/`.
    Block,
    /// To three of these.
    Triple(char),
    /// To this quote.
    Text(char),
}

impl Code {
    pub(super) fn of(path: &str, text: &str) -> Self {
        let (text, bare) = without_comments(text, Syntax::of(path));
        let is_ruby = has_ending(path, &["rb"]);
        let mut lines = Vec::new();
        let mut documented = false;
        for (index, (text, bare)) in text.lines().zip(bare.lines()).enumerate() {
            documented = is_ruby && (documented || text.starts_with("=begin"));
            let (text, bare) = if documented { ("", "") } else { (text, bare) };
            documented &= !text.starts_with("=end");
            let indent = text.len() - text.trim_start().len();
            let (text, bare) = (text.to_owned(), bare.to_owned());
            lines.push(Line { number: index + 1, text, bare, indent });
        }
        Self { path: path.to_owned(), lines }
    }

    /// Lines that always count: none below an `if` or an `else`, or in a class or block whose name
    /// says that it is for tests or development.
    pub(super) fn unconditional(&self) -> impl Iterator<Item = &Line> {
        let lines = self.lines.iter().enumerate();
        lines.filter(|(index, _)| !self.is_conditional(*index)).map(|(_, line)| line)
    }

    fn is_conditional(&self, index: usize) -> bool {
        let mut indent = self.lines[index].indent;
        if is_one_line_condition(&self.lines[index].bare) {
            return true;
        }
        for line in self.lines[..index].iter().rev() {
            if line.indent >= indent || line.bare.trim().is_empty() {
                continue;
            }
            indent = line.indent;
            if is_doubtful(line) {
                return true;
            }
            if indent == 0 {
                return false;
            }
        }
        false
    }

    /// What stands from a line's byte on, over at most so many lines: for calls with several arguments.
    pub(super) fn from(&self, line: &Line, byte: usize, lines: usize) -> String {
        let mut text = line.text.get(byte..).unwrap_or_default().to_owned();
        for next in self.lines.iter().skip(line.number).take(lines) {
            text.push('\n');
            text.push_str(&next.text);
        }
        text
    }

    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        self.lines.iter().any(|line| words.iter().any(|word| line.text.contains(word)))
    }
}

impl Line {
    /// What stands behind `NAME =` where the line begins with that, `export` and `const` aside.
    pub(super) fn value_of(&self, name: &str) -> Option<&str> {
        let start = self.text.find(name)?;
        let before = self.text[..start].trim();
        if !matches!(before, "" | "export" | "const" | "let" | "var") {
            return None;
        }
        let rest = self.text[start + name.len()..].trim_start();
        // `NAME: type = value` is Python's too.
        let rest = match rest.strip_prefix(':') {
            Some(typed) => typed.find('=').map_or(typed, |at| &typed[at..]),
            None => rest,
        };
        let value = rest.strip_prefix('=')?;
        (!value.starts_with('=')).then(|| value.trim())
    }

    /// Where a name stands as code, whole, and not in a string.
    pub(super) fn names(&self, name: &str) -> Option<usize> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut from = 0;
        while let Some(at) = self.bare[from..].find(name).map(|at| at + from) {
            let before = self.bare[..at].chars().next_back();
            let after = self.bare[at + name.len()..].chars().next();
            let ends_as_call = name.ends_with(['(', '.']);
            if !before.is_some_and(is_part) && (ends_as_call || !after.is_some_and(is_part)) {
                return Some(at);
            }
            from = at + name.len();
        }
        None
    }
}

fn is_one_line_condition(bare: &str) -> bool {
    let bare = bare.trim_start();
    bare.starts_with("if ") || bare.starts_with("if(") || bare.starts_with("elif ")
}

/// Whether a line opens a block that may not be entered on a server.
fn is_doubtful(line: &Line) -> bool {
    let head = line.bare.trim_start();
    let word = head.trim_start_matches(['}', ' ']);
    if word.starts_with("if not DEBUG") || word.starts_with("if not settings.DEBUG") {
        return false;
    }
    let conditional = ["if ", "if(", "elif ", "else", "unless ", "switch", "case ", "except"];
    if conditional.iter().any(|start| word.starts_with(start)) {
        return true;
    }
    let text = line.text.trim_start().to_ascii_lowercase();
    let opens = text.starts_with("class ") || text.ends_with(':') || text.ends_with('{');
    opens && ["dev", "test", "local"].iter().any(|word| has_word(&text, word))
}

/// Whether a word begins somewhere in a text: `DevConfig`, `development:`, `test_settings`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(char::is_alphanumeric)
    })
}

fn without_comments(text: &str, syntax: Syntax) -> (String, String) {
    let (mut code, mut bare) =
        (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let mut at = At::Code;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (next, taken) = step(at, c, rest, syntax, code.chars().next_back());
        let piece = &rest[..taken];
        let is_comment = is_comment(at) || is_comment(next);
        let in_text = matches!((at, next), (At::Text(_), At::Text(_)));
        for c in piece.chars() {
            push(&mut code, c, is_comment);
            push(&mut bare, c, is_comment || in_text);
        }
        at = next;
        rest = &rest[taken..];
    }
    (code, bare)
}

fn is_comment(at: At) -> bool {
    matches!(at, At::Comment | At::Block | At::Triple(_))
}

fn push(out: &mut String, c: char, blank: bool) {
    if c == '\n' || !blank {
        out.push(c);
    } else {
        out.extend(std::iter::repeat_n(' ', c.len_utf8()));
    }
}

/// Where the reader stands behind the next piece, and how long that is (bytes).
fn step(at: At, c: char, rest: &str, syntax: Syntax, before: Option<char>) -> (At, usize) {
    let one = c.len_utf8();
    match at {
        At::Code => step_in_code(c, rest, syntax, before),
        At::Comment if c == '\n' => (At::Code, one),
        At::Block if rest.starts_with("*/") => (At::Code, 2),
        At::Triple(quote) if is_triple(rest, quote) => (At::Code, 3),
        At::Text(_) if c == '\\' => {
            let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
            (at, one + escaped)
        }
        At::Text(quote) if c == quote || (c == '\n' && quote != '`') => (At::Code, one),
        other => (other, one),
    }
}

fn step_in_code(c: char, rest: &str, syntax: Syntax, before: Option<char>) -> (At, usize) {
    let apart = before.is_none_or(|before| before.is_whitespace() || ";,({[".contains(before));
    if syntax.triple && is_triple(rest, c) {
        return (At::Triple(c), 3);
    }
    if syntax.slashes && rest.starts_with("/*") {
        return (At::Block, 2);
    }
    if syntax.slashes && rest.starts_with("//") && before != Some(':') {
        return (At::Comment, 2);
    }
    match c {
        '#' if syntax.hash && (apart || syntax.triple) => (At::Comment, 1),
        '\'' | '"' => (At::Text(c), 1),
        '`' if syntax.backticks => (At::Text(c), 1),
        _ => (At::Code, c.len_utf8()),
    }
}

fn is_triple(rest: &str, quote: char) -> bool {
    match quote {
        '"' => rest.starts_with("\"\"\""),
        '\'' => rest.starts_with("'''"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(path: &str, text: &str) -> Vec<String> {
        Code::of(path, text).lines.iter().map(|line| line.text.trim().to_owned()).collect()
    }

    #[test]
    fn comments_are_no_code_and_strings_are_kept_apart() {
        assert_eq!(
            text("a.py", "x = 'a#b' # c\n\"\"\"doc\nMEDIA_ROOT = 1\"\"\"\ny = 2"),
            ["x = 'a#b'", "", "", "y = 2"]
        );
        assert_eq!(text("a.js", "a('http://x') // b\n/* c\n d */ e"), ["a('http://x')", "", "e"]);
        assert_eq!(text("Procfile", "# a\nweb: x#y"), ["", "web: x#y"]);
        let code = Code::of("a.js", "log('multer(1)', `é`)");
        assert_eq!(code.lines[0].bare, "log('         ', `  `)");
        assert_eq!(code.lines[0].names("multer("), None);
        assert_eq!(code.lines[0].names("log("), Some(0));
    }

    #[test]
    fn what_stands_below_a_condition_is_told_apart() {
        let code = Code::of(
            "a.py",
            "A = 1\nif DEBUG:\n    B = 1\nelse:\n    C = 1\nclass Config:\n    D = 1\n\
             class DevConfig:\n    E = 1\nif not DEBUG:\n    F = 1\nG = {\n    'x': 1,\n}\n",
        );
        let names: String = code
            .unconditional()
            .filter_map(|line| line.text.trim().chars().next().filter(char::is_ascii_uppercase))
            .collect();
        assert_eq!(names, "ADFG");
    }

    #[test]
    fn a_value_is_what_is_assigned() {
        let value =
            |text: &str| Code::of("a.py", text).lines[0].value_of("MEDIA_ROOT").map(str::to_owned);
        assert_eq!(value("MEDIA_ROOT = BASE / 'm'"), Some("BASE / 'm'".into()));
        assert_eq!(value("MEDIA_ROOT: str = 'm'"), Some("'m'".into()));
        assert_eq!(value("MEDIA_ROOT == 1"), None);
        assert_eq!(value("print(MEDIA_ROOT)"), None);
        assert_eq!(value("OLD_MEDIA_ROOT = 1"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_keeps_its_lines(text in "[a-z#'\"`/*\\\\\n é(){}:]{0,80}") {
            for path in ["a.py", "a.js", "a.rb", "a.php", "Procfile", "a.json"] {
                let code = Code::of(path, &text);
                prop_assert_eq!(code.lines.len(), text.lines().count());
                for line in &code.lines {
                    prop_assert_eq!(line.text.len(), line.bare.len());
                }
                let _ = code.unconditional().count();
            }
        }
    }
}
