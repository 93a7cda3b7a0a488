//! Output of a program, indented by seven columns as it comes.

use std::io::{self, Read, Write};

const INDENT: &[u8] = b"       ";

/// How much of the end of an output is kept.
const TAIL: usize = 64 * 1024;

/// Copies until the end, with the indent before each line, and returns the end of it as it was. A
/// partial line is not held back: a prompt or a progress dot shows at once.
pub(crate) fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<Vec<u8>> {
    let mut at_line_start = true;
    let mut tail = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(tail),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&indented(&buffer[..read], &mut at_line_start))?;
        to.flush()?;
        tail.extend_from_slice(&buffer[..read]);
        tail.drain(..tail.len().saturating_sub(TAIL));
    }
}

fn indented(bytes: &[u8], at_line_start: &mut bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        if *at_line_start && line != b"\n" {
            out.extend_from_slice(INDENT);
        }
        out.extend_from_slice(line);
        *at_line_start = line.ends_with(b"\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_over_reads_are_indented_once() {
        let mut start = true;
        let mut out = indented(b"one\ntw", &mut start);
        out.extend(indented(b"o\n\nthree", &mut start));
        assert_eq!(String::from_utf8(out).unwrap(), "       one\n       two\n\n       three");
    }
}
