//! Patterns of paths: `*` is anything within one segment, `**` anything at all.

/// A pattern that matches whole paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Segment,
    Anything,
}

impl Glob {
    /// Reads a pattern. Every text is one.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("**") {
                parts.push(Part::Anything);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('*') {
                parts.push(Part::Segment);
                rest = after;
            } else {
                let end = rest.find('*').unwrap_or(rest.len());
                parts.push(Part::Text(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        Self(parts)
    }

    /// Whether a path matches from its start to its end.
    pub fn matches(&self, path: &str) -> bool {
        // All positions that the parts so far can reach: no pattern makes this slow.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            reached = step(part, path, &reached);
        }
        reached[path.len()]
    }
}

fn step(part: &Part, path: &str, reached: &[bool]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    match part {
        Part::Text(text) => {
            let starts = (0..reached.len()).filter(|&at| reached[at]);
            for at in starts.filter(|&at| path.as_bytes()[at..].starts_with(text.as_bytes())) {
                next[at + text.len()] = true;
            }
        }
        Part::Segment | Part::Anything => {
            let mut open = false;
            for at in 0..reached.len() {
                open |= reached[at];
                next[at] = open;
                let slash = path.as_bytes().get(at) == Some(&b'/');
                open &= *part == Part::Anything || !slash;
            }
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_star_stays_in_its_segment_and_two_do_not() {
        let check = |glob: &str, path: &str, expect: bool| {
            assert_eq!(Glob::new(glob).matches(path), expect, "{path} against {glob}");
        };
        check("/*.html", "/baz.html", true);
        check("/*.html", "/bar/baz.html", false);
        check("/route/**", "/route/foo/bar", true);
        check("/route/**", "/route/", true);
        check("/route/**", "/other", false);
        check("/**", "/", true);
        check("/a/*/c", "/a/b/c", true);
        check("/a/*/c", "/a/b/d/c", false);
        check("/foo", "/foo/", false);
        check("/é*", "/éa", true);
        check("", "", true);
    }

    proptest! {
        #[test]
        fn a_pattern_without_stars_matches_itself_alone(a in "[a-z/é.]{0,12}", b in "[a-z/é.]{0,12}") {
            prop_assert_eq!(Glob::new(&a).matches(&b), a == b);
        }
    }
}
