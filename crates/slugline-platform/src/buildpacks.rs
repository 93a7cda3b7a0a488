//! Buildpacks that somebody asks for: by a name, a URL, or a directory.

/// The longest reference that is taken (bytes).
const LONGEST: usize = 2_000;

/// The arguments for `slugline compile` that ask for these, as a shell reads them.
pub(crate) fn arguments(buildpacks: &[String]) -> String {
    buildpacks
        .iter()
        .flat_map(|buildpack| [" --buildpack ".to_owned(), quoted(buildpack)])
        .collect()
}

/// A word that a shell takes as it is.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A reference as it is kept: without the `urn:buildpack:` that clients put before a name. The
/// error says why it is none.
pub(crate) fn reference(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("urn:buildpack:").unwrap_or(text);
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.is_empty() || text.len() > LONGEST || text.starts_with('-') || text.contains(odd) {
        return Err(format!(
            "`{}` names no buildpack: it must be a name such as heroku/python, or the URL of a git \
             repository or a .tgz",
            text.chars().filter(|c| !c.is_control()).take(80).collect::<String>()
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reference_leaves_its_word() {
        let asked = ["heroku/python".to_owned(), "https://x/y.git#it's; rm -rf /".to_owned()];
        assert_eq!(
            arguments(&asked),
            r" --buildpack 'heroku/python' --buildpack 'https://x/y.git#it'\''s; rm -rf /'"
        );
    }

    #[test]
    fn a_reference_is_one_word() {
        assert_eq!(reference("urn:buildpack:heroku/python").unwrap(), "heroku/python");
        for bad in ["", "a b", "-x", "a\nb"] {
            assert!(reference(bad).is_err(), "{bad}");
        }
    }
}
