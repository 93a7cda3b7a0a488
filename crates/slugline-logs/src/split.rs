//! Lines of a bounded length.

use slugline_model::logline::LogLine;

/// Makes several lines of one that holds line breaks or is longer than `longest` bytes. A piece
/// ends between two characters.
pub(crate) fn split(line: LogLine, longest: usize) -> Vec<LogLine> {
    if line.text.len() <= longest && !line.text.contains('\n') {
        return vec![line];
    }
    let pieces = line.text.lines().flat_map(|text| pieces(text, longest));
    pieces.map(|text| LogLine { text: text.to_owned(), ..line.clone() }).collect()
}

fn pieces(text: &str, longest: usize) -> Vec<&str> {
    let (mut rest, mut pieces) = (text, Vec::new());
    while rest.len() > longest {
        // At least one character, or this would not end.
        let end = match rest.floor_char_boundary(longest) {
            0 => rest.ceil_char_boundary(1),
            end => end,
        };
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use slugline_model::logline::Source;

    fn check(text: &str, longest: usize, expected: &[&str]) {
        let line =
            LogLine { time: 1, source: Source::App, process: "web.1".into(), text: text.into() };
        let texts: Vec<String> = split(line, longest).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_long_line_is_split_between_characters() {
        check("abc", 3, &["abc"]);
        check("abcdefgh", 3, &["abc", "def", "gh"]);
        check("aöö", 2, &["a", "ö", "ö"]);
        check("ö", 1, &["ö"]);
        check("", 3, &[""]);
    }

    #[test]
    fn a_line_break_ends_a_line() {
        check("one\n\ntwo\n", 100, &["one", "", "two"]);
    }
}
