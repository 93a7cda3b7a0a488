//! What must reach a client in one piece: the line by which the stock CLI learns a command's status.

/// What the line begins with: U+FFFF in UTF-8. The CLI has the shell print it behind the command.
const MARKER: [u8; 3] = [0xef, 0xbf, 0xbf];

/// How much may be held back (bytes): the marker's line is shorter.
const LONGEST: usize = 100;

/// How much of some output may go out now; the rest is, or may become, a marker's line.
pub(crate) fn whole(output: &[u8]) -> usize {
    let tail = output.len().saturating_sub(LONGEST);
    let begun = output[tail..].windows(3).rposition(|bytes| bytes == MARKER).map(|at| tail + at);
    if let Some(begun) = begun {
        return if output[begun..].contains(&b'\n') { output.len() } else { begun };
    }
    let part = (1..MARKER.len()).rev().find(|length| output.ends_with(&MARKER[..*length]));
    output.len() - part.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_held_until_its_line_is_whole() {
        let line = "hello\n\u{ffff} heroku-command-exit-status: 3\r\n".as_bytes();
        for cut in 0..=line.len() {
            let expected = if cut > 6 && cut < line.len() { 6 } else { cut };
            assert_eq!(whole(&line[..cut]), expected, "{cut}");
        }
        assert_eq!(whole(b""), 0);
        assert_eq!(whole("caf\u{e9}".as_bytes()), 5);
        let long = [&MARKER[..], &[b'x'; 200]].concat();
        assert_eq!(whole(&long), long.len(), "what is no marker's line is not held for ever");
    }
}
