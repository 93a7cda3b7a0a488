//! What is said to people when something could not be done, in five parts.

use std::fmt::Write as _;

/// A message of five parts, in this order: what could not be done, what was found, what is
/// allowed, the next command, and the state of the world now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// What could not be done, with the value.
    pub what: String,
    /// What was found instead. May be empty where `what` says it all.
    pub found: String,
    /// What is allowed, or what to check.
    pub allowed: String,
    /// The next command, ready to be pasted. May be empty.
    pub next: String,
    /// What is true now: what was released, what runs on. May be empty where another part of the
    /// program adds it.
    pub state: String,
}

impl Message {
    /// The parts that say nothing, by name: a message that people read has none but, where another
    /// part of the program adds it, `state`.
    pub fn silent_parts(&self) -> Vec<&'static str> {
        let Self { what, found, allowed, next, state } = self;
        [("what", what), ("found", found), ("allowed", allowed), ("next", next), ("state", state)]
            .into_iter()
            .filter(|(_, text)| text.is_empty())
            .map(|(name, _)| name)
            .collect()
    }

    /// The message in the gutter that Heroku uses during a push: each line behind ` !     `.
    pub fn gutter(&self) -> String {
        let mut out = String::new();
        for (index, paragraph) in self.paragraphs().enumerate() {
            if index > 0 {
                out.push_str(" !\n");
            }
            for line in paragraph.lines() {
                out.push_str(&gutter_line(line));
                out.push('\n');
            }
        }
        out
    }

    /// The message for a person at a terminal: `error: …` and one paragraph a part.
    pub fn plain(&self) -> String {
        let mut out = String::from("error: ");
        for (index, paragraph) in self.paragraphs().enumerate() {
            if index > 0 {
                out.push_str("\n  ");
            }
            let _ = write!(out, "{}", paragraph.replace('\n', "\n  "));
        }
        out
    }

    fn paragraphs(&self) -> impl Iterator<Item = String> {
        let next =
            if self.next.is_empty() { String::new() } else { format!("Next: {}", self.next) };
        [self.what.clone(), self.found.clone(), self.allowed.clone(), next, self.state.clone()]
            .into_iter()
            .filter(|part| !part.is_empty())
    }
}

/// One line in Heroku's error gutter.
pub fn gutter_line(line: &str) -> String {
    if line.is_empty() { " !".to_owned() } else { format!(" !     {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parts_leave_no_gap() {
        let message = Message {
            what: "No buildpack recognises this app".into(),
            found: "Found: README.md,\nsrc/".into(),
            state: "Nothing was released.".into(),
            ..Message::default()
        };
        assert_eq!(message.silent_parts(), ["allowed", "next"]);
        assert_eq!(
            message.gutter(),
            " !     No buildpack recognises this app\n !\n !     Found: README.md,\n !     src/\n \
             !\n !     Nothing was released.\n"
        );
        assert_eq!(
            message.plain(),
            "error: No buildpack recognises this app\n  Found: README.md,\n  src/\n  Nothing was \
             released."
        );
    }
}
