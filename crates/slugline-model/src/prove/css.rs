//! References of a style sheet: `url(…)`, `@import`, and its source map.

use super::{Base, Kind, Reference, Trust, resolve};

/// The references of a style sheet, which are as sure as it is itself.
pub(super) fn references(text: &str, base: &Base, trust: Trust) -> Vec<Reference> {
    let mut scan = Scan { text, at: 0, found: vec![] };
    scan.run();
    scan.found.into_iter().filter_map(|found| found.reference(base, trust)).collect()
}

struct Found {
    target: String,
    what: What,
}

enum What {
    Import,
    Url,
    Map,
}

impl Found {
    fn reference(self, base: &Base, trust: Trust) -> Option<Reference> {
        let url = resolve(base, &self.target)?;
        let kind = match self.what {
            What::Import => Kind::Style,
            What::Url => Kind::of_path(&url),
            What::Map => Kind::Map,
        };
        // Who only reads pages needs no map, and nobody's browser asks for `.eot` any more.
        let seldom = kind == Kind::Map || super::extension(&url) == "eot";
        Some(Reference { url, kind, trust: if seldom { Trust::Guess } else { trust } })
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    found: Vec<Found>,
}

impl Scan<'_> {
    fn run(&mut self) {
        let mut import = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'/' if self.rest().starts_with("/*") => self.comment(),
                b'"' | b'\'' => {
                    let target = self.string(byte);
                    if std::mem::take(&mut import) {
                        self.found.push(Found { target, what: What::Import });
                    }
                }
                b'@' => {
                    import = self.word("@import");
                    self.at += 1;
                }
                b'u' | b'U' if self.word("url(") && !self.follows_name() => {
                    let target = self.url();
                    let what = if std::mem::take(&mut import) { What::Import } else { What::Url };
                    self.found.push(Found { target, what });
                }
                b';' | b'{' | b'}' => {
                    import = false;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What is left; nothing in the middle of a character.
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn word(&self, word: &str) -> bool {
        let bytes = self.text.as_bytes();
        let here = bytes.get(self.at..self.at + word.len());
        here.is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether this is the end of a longer name: `my-url(`.
    fn follows_name(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.text.as_bytes()[at]);
        before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    }

    fn comment(&mut self) {
        let rest = self.rest();
        let length = rest.find("*/").unwrap_or(rest.len());
        let comment = rest[2..length.max(2)].trim().to_owned();
        self.at += (length + 2).min(rest.len());
        if let Some(target) = comment.strip_prefix("# sourceMappingURL=") {
            self.found.push(Found { target: target.trim().to_owned(), what: What::Map });
        }
    }

    /// A string, from its quote on; what is escaped stands for itself.
    fn string(&mut self, quote: u8) -> String {
        self.at += 1;
        self.until(|byte| byte == quote || byte == b'\n')
    }

    fn url(&mut self) -> String {
        self.at += "url(".len();
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.string(quote),
            _ => self.until(|byte| byte == b')').trim().to_owned(),
        }
    }

    fn until(&mut self, is_end: impl Fn(u8) -> bool) -> String {
        let mut text = vec![];
        while let Some(byte) = self.peek() {
            self.at += 1;
            if is_end(byte) {
                break;
            }
            if byte == b'\\' {
                text.extend(self.peek());
                self.at += 1;
            } else {
                text.push(byte);
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
