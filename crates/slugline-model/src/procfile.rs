//! The Procfile: one process type and its command a line.

use std::collections::BTreeMap;

use crate::name::ProcessType;

/// Process types and their commands.
pub type ProcessTypes = BTreeMap<ProcessType, String>;

/// A line of a Procfile that declares nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Procfile line {line} does not declare a process type: `{text}`")]
pub struct ProcfileError {
    /// Counts from 1.
    pub line: usize,
    /// The line as it stands.
    pub text: String,
}

/// Reads a Procfile. Blank lines and `#` comments are passed over; a later declaration of a
/// process type replaces an earlier one, as on Heroku.
///
/// The grammar is that of Heroku's slug compiler, `^([a-zA-Z0-9_]+):?\s+(.*)`, with `-` allowed in
/// the name; unlike there, a line that is none of these is an error instead of being dropped.
pub fn parse(text: &str) -> Result<ProcessTypes, ProcfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut types = ProcessTypes::new();
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let error = || ProcfileError { line: index + 1, text: raw.trim_end().to_owned() };
        let (process_type, command) = declaration(line).ok_or_else(error)?;
        types.insert(process_type, command);
    }
    Ok(types)
}

fn declaration(line: &str) -> Option<(ProcessType, String)> {
    let end = line.find(|c: char| c == ':' || c.is_whitespace())?;
    let process_type = line[..end].parse().ok()?;
    let command = line[end..].strip_prefix(':').unwrap_or(&line[end..]).trim();
    (!command.is_empty()).then(|| (process_type, command.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: &[(&str, &str)]) {
        let got = parse(text).unwrap();
        let got: Vec<_> = got.iter().map(|(t, c)| (t.as_str(), c.as_str())).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn real_procfiles_parse() {
        check(
            "web: gunicorn a.wsgi\nworker:python w.py",
            &[("web", "gunicorn a.wsgi"), ("worker", "python w.py")],
        );
        check("# the site\r\n\r\nweb:  a: b | c \"d\"\r\n", &[("web", "a: b | c \"d\"")]);
        check(
            "celery-beat: REMAP_SIGTERM=SIGQUIT celery beat",
            &[("celery-beat", "REMAP_SIGTERM=SIGQUIT celery beat")],
        );
        check("web npm start\nweb: node .", &[("web", "node .")]);
        check("", &[]);
    }

    #[test]
    fn a_line_that_declares_nothing_is_named() {
        let error = parse("web: a\n\n  == oops").unwrap_err();
        assert_eq!(error, ProcfileError { line: 3, text: "  == oops".into() });
        assert!(parse("web:").is_err());
        assert!(parse("web").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }
}
