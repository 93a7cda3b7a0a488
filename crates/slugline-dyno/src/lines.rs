//! Bytes of a pipe to lines of a log.

use slugline_model::dyno::Event;

/// The longest line that is passed on whole (bytes); longer ones are split. Heroku: 10,000.
const LONGEST: usize = 10_000;

/// Collects bytes until they are lines.
#[derive(Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Takes bytes as they were read, and gives each line that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(Event)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.pending.pop();
                self.split_long(&mut emit);
                emit(self.take(self.pending.len(), false));
            } else {
                self.split_long(&mut emit);
            }
        }
    }

    /// Gives what is left when the pipe was closed.
    pub(crate) fn finish(&mut self, emit: impl FnOnce(Event)) {
        if !self.pending.is_empty() {
            emit(self.take(self.pending.len(), false));
        }
    }

    fn split_long(&mut self, emit: &mut impl FnMut(Event)) {
        while self.pending.len() > LONGEST {
            emit(self.take(character_boundary(&self.pending, LONGEST), true));
        }
    }

    fn take(&mut self, length: usize, partial: bool) -> Event {
        let rest = self.pending.split_off(length);
        let line = std::mem::replace(&mut self.pending, rest);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        Event::Line { text: String::from_utf8_lossy(line).into_owned(), partial }
    }
}

/// The last place at or before `limit` where no UTF-8 character is cut.
fn character_boundary(bytes: &[u8], limit: usize) -> usize {
    let is_inner = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    (limit.saturating_sub(3)..=limit).rev().find(|at| !is_inner(bytes[*at])).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let mut emit = |event| match event {
            Event::Line { text, partial } => {
                out.push(if partial { format!("{text}…") } else { text });
            }
            _ => unreachable!(),
        };
        for chunk in chunks {
            lines.push(chunk, &mut emit);
        }
        lines.finish(&mut emit);
        out
    }

    #[test]
    fn lines_are_cut_at_newlines_whatever_the_chunks() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_long_line_is_split_between_characters() {
        let long = "é".repeat(7_500);
        let out = lines(&[long.as_bytes(), b"\n"]);
        assert_eq!(out.len(), 2);
        assert!(out[0].ends_with('…') && !out[0].contains('\u{fffd}'));
        assert_eq!(out.concat().replace('…', ""), long);
    }
}
