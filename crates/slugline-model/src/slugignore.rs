//! `.slugignore`: what of the source is not part of the slug.
//!
//! Roughly git's patterns: `#` comments, `*`, `?`, `[a-z]`, `**`, a leading or inner `/` anchors to
//! the root, a trailing `/` means directories only. As on Heroku there is no `!` negation.

/// The patterns of a `.slugignore`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slugignore {
    patterns: Vec<Pattern>,
    negations: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    segments: Vec<String>,
    directories_only: bool,
}

impl Slugignore {
    /// Reads a `.slugignore`.
    pub fn parse(text: &str) -> Self {
        let mut slugignore = Self::default();
        for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(trim_end) {
            if line.starts_with('!') {
                slugignore.negations.push(line.to_owned());
            } else if !line.starts_with('#') {
                slugignore.patterns.extend(Pattern::parse(line));
            }
        }
        slugignore
    }

    /// Lines that start with `!`. They have no effect, which their author should hear.
    pub fn negations(&self) -> &[String] {
        &self.negations
    }

    /// Whether nothing is ignored.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path relative to the root (`client/src`) is ignored by itself. Whoever walks the
    /// tree does not descend into ignored directories, so that what is below them goes too.
    pub fn ignores(&self, path: &str, is_directory: bool) -> bool {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        self.patterns.iter().any(|pattern| pattern.matches(&names, is_directory))
    }
}

impl Pattern {
    fn parse(line: &str) -> Option<Self> {
        let body = line.strip_suffix('/').unwrap_or(line);
        let anchored = body.contains('/');
        let mut segments: Vec<String> =
            body.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        if segments.is_empty() {
            return None;
        }
        if !anchored {
            segments.insert(0, "**".to_owned());
        }
        Some(Self { segments, directories_only: line.ends_with('/') })
    }

    fn matches(&self, names: &[&str], is_directory: bool) -> bool {
        (is_directory || !self.directories_only) && path_matches(&self.segments, names)
    }
}

/// Trailing white space does not count, unless a backslash keeps it.
fn trim_end(line: &str) -> &str {
    let trimmed = line.trim_end();
    let kept = line[trimmed.len()..].chars().next().filter(|_| trimmed.ends_with('\\'));
    &line[..trimmed.len() + kept.map_or(0, char::len_utf8)]
}

fn path_matches(segments: &[String], names: &[&str]) -> bool {
    match (segments.split_first(), names.split_first()) {
        (None, None) => true,
        // `a/**` is everything below `a`, not `a` itself.
        (Some((first, [])), below) if first == "**" => below.is_some(),
        (Some((first, rest)), _) if first == "**" => {
            (0..=names.len()).any(|skipped| path_matches(rest, &names[skipped..]))
        }
        (Some((first, rest)), Some((name, below))) => {
            let (glob, name): (Vec<char>, Vec<char>) =
                (first.chars().collect(), name.chars().collect());
            name_matches(&glob, &name) && path_matches(rest, below)
        }
        _ => false,
    }
}

/// Matches one name, going back only to the last `*`, so that no pattern takes exponential time.
fn name_matches(glob: &[char], name: &[char]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        if glob.get(g) == Some(&'*') {
            last_star = Some((g, n));
            g += 1;
        } else if let Some(width) = one_matches(&glob[g..], name[n]) {
            g += width;
            n += 1;
        } else if let Some((star, taken)) = last_star {
            last_star = Some((star, taken + 1));
            g = star + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    glob[g..].iter().all(|&c| c == '*')
}

/// How many characters of the pattern match this one character, if they do.
fn one_matches(glob: &[char], c: char) -> Option<usize> {
    match glob.first()? {
        '?' => Some(1),
        '[' => class_matches(glob, c),
        '\\' if glob.len() > 1 => (glob[1] == c).then_some(2),
        literal => (*literal == c).then_some(1),
    }
}

/// `[abc]`, `[a-z]`, `[!a-z]`; a `[` that is never closed matches nothing, as with git.
fn class_matches(glob: &[char], c: char) -> Option<usize> {
    let negated = matches!(glob.get(1), Some('!' | '^'));
    let start = if negated { 2 } else { 1 };
    let length = glob.get(start + 1..)?.iter().position(|&c| c == ']')?;
    let end = start + 1 + length;
    (in_class(&glob[start..end], c) != negated).then_some(end + 1)
}

fn in_class(class: &[char], c: char) -> bool {
    let mut index = 0;
    while index < class.len() {
        let range = class.get(index + 1) == Some(&'-') && index + 2 < class.len();
        let last = if range { class[index + 2] } else { class[index] };
        if (class[index]..=last).contains(&c) {
            return true;
        }
        index += if range { 3 } else { 1 };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, ignored: &[&str], kept: &[&str]) {
        let slugignore = Slugignore::parse(pattern);
        let ignored_here = |path: &str| {
            let is_directory = path.ends_with('/');
            slugignore.ignores(path.trim_end_matches('/'), is_directory)
        };
        for path in ignored {
            assert!(ignored_here(path), "`{pattern}` should ignore {path}");
        }
        for path in kept {
            assert!(!ignored_here(path), "`{pattern}` should keep {path}");
        }
    }

    #[test]
    fn patterns_match_as_git_matches_them() {
        check("*.psd", &["a.psd", "b/c.psd", ".psd"], &["a.psd.txt"]);
        check("/docs", &["docs/", "docs"], &["a/docs/"]);
        check("docs/", &["docs/", "a/docs/"], &["docs"]);
        check("a/b", &["a/b"], &["c/a/b", "a"]);
        check("a/**", &["a/b", "a/b/c"], &["a/"]);
        check("**/t", &["t", "a/t", "a/b/t"], &["a/tt"]);
        check("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["a/zz"]);
        check("[a-c]?[!x]", &["azz", "c1a"], &["azx", "dzz", "az"]);
        check("\\#x", &["#x"], &["x"]);
        check("a\\*", &["a*"], &["ab"]);
        check("[x", &[], &["[x", "x"]);
        check("a b  ", &["a b"], &["a b  "]);
        check("a\\  ", &["a "], &["a", "a  "]);
        check("a\\\u{85}", &["a\u{85}"], &["a"]);
        check("été*", &["été 2026"], &["ete"]);
    }

    #[test]
    fn comments_are_passed_over_and_negations_kept_aside() {
        let slugignore = Slugignore::parse("# docs\r\n\r\n!keep\r\n/\r\n");
        assert!(slugignore.is_empty());
        assert_eq!(slugignore.negations(), ["!keep"]);
    }

    proptest! {
        #[test]
        fn any_pattern_answers_for_any_path(pattern in ".{0,30}", path in "[a-c*/\\[]{0,30}") {
            let _ = Slugignore::parse(&pattern).ignores(&path, false);
        }

        #[test]
        fn a_plain_name_ignores_itself(name in "[a-z]{1,8}") {
            let below = format!("x/{name}");
            prop_assert!(Slugignore::parse(&name).ignores(&below, false));
        }
    }
}
