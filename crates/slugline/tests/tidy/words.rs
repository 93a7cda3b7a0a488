//! One thing has one word: those of other platforms stay out of code, messages and documents.

use crate::files::File;
use crate::finding::Finding;

/// Words that mean a thing of ours and are not ours, and the word that is. Only words and phrases
/// that have no other use here: a driver of the kernel or an instance of a problem is none of these.
const WORDS: [(&str, &str); 22] = [
    ("app container", "dyno"),
    ("app image", "slug"),
    ("app instance", "dyno"),
    ("artefact", "slug"),
    ("artifact", "slug"),
    ("base image", "stack"),
    ("build job", "build"),
    ("build plugin", "buildpack"),
    ("bundle", "source"),
    ("callback", "hook"),
    ("config setting", "config var"),
    ("deployment", "release"),
    ("dyno container", "dyno"),
    ("dyno instance", "dyno"),
    ("error number", "code"),
    ("ingress", "router"),
    ("plugin", "buildpack"),
    ("replica set", "formation"),
    ("replicaset", "formation"),
    ("service binding", "attachment"),
    ("sidecar", "dyno"),
    ("web container", "dyno"),
];

/// Where a word is somebody else's: below a folder, or on a line with these characters.
const ELSEWHERE: [(&str, Elsewhere); 6] = [
    // What webpack makes.
    ("bundle", Elsewhere::Below("examples/")),
    // Certificates: the environment's names for a file of them.
    ("bundle", Elsewhere::Beside("CA_BUNDLE")),
    // Ruby's package client.
    ("bundle", Elsewhere::Beside("bundle exec")),
    // A field of Heroku's API.
    ("artifact", Elsewhere::Beside("\"artifacts\"")),
    // Another one, and a path of it.
    ("plugin", Elsewhere::Beside("\"cli_plugin_name\"")),
    ("deployment", Elsewhere::Beside("/latest-deployments")),
];

enum Elsewhere {
    Below(&'static str),
    Beside(&'static str),
}

/// This folder lists the words.
const OWN_FOLDER: &str = "crates/slugline/tests/tidy/";

pub(crate) fn check(file: &File) -> Vec<Finding> {
    if !file.has_extension(&["rs", "md", "toml", "sh"]) || file.path.starts_with(OWN_FOLDER) {
        return vec![];
    }
    let mut findings = vec![];
    for (number, line) in file.lines() {
        let found = words_of(line);
        for (word, ours) in WORDS {
            if holds(&found, word) && !is_elsewhere(word, &file.path, line) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line: number,
                    rule: format!("`{word}` is another platform's word"),
                    advice: format!("Heroku's and ours is `{ours}`"),
                });
            }
        }
    }
    findings
}

fn is_elsewhere(word: &str, path: &str, line: &str) -> bool {
    let applies = |place: &Elsewhere| match place {
        Elsewhere::Below(folder) => path.starts_with(folder),
        Elsewhere::Beside(characters) => line.contains(characters),
    };
    ELSEWHERE.iter().any(|(other, place)| *other == word && applies(place))
}

/// Whether the words of a phrase follow each other; its last one may be in the plural.
fn holds(found: &[String], phrase: &str) -> bool {
    let wanted: Vec<&str> = phrase.split(' ').collect();
    let plural = format!("{}s", wanted[wanted.len() - 1]);
    found.windows(wanted.len()).any(|window| {
        let (last, first) = (&window[window.len() - 1], &window[..window.len() - 1]);
        first.iter().zip(&wanted).all(|(a, b)| a == b)
            && (last == wanted[wanted.len() - 1] || *last == plural)
    })
}

/// The words of a line in lower case, with those of `snake_case` and `CamelCase` apart. A name
/// behind a dot, such as `.bundle`, is somebody else's file.
fn words_of(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word = String::new();
    let (mut before, mut dotted) = (' ', false);
    for c in line.chars().chain([' ']) {
        let starts_anew = c.is_uppercase() && before.is_lowercase();
        if (starts_anew || !c.is_alphanumeric()) && !word.is_empty() {
            let finished = std::mem::take(&mut word);
            if !dotted {
                words.push(finished.to_lowercase());
            }
        }
        if c.is_alphanumeric() {
            if word.is_empty() {
                dotted = before == '.';
            }
            word.push(c);
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::file;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&file(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_word_is_found_however_it_is_written() {
        for text in ["A plugin.", "PLUGINS", "struct PluginName;", "fn load_plugin() {}"] {
            assert_eq!(
                found("a.rs", text),
                ["a.rs:1: `plugin` is another platform's word: Heroku's and ours is `buildpack`"],
                "{text}"
            );
        }
        assert_eq!(found("a.md", "two replica\nsets, a replica set").len(), 1);
        assert_eq!(found("a.toml", "description = \"Base images\"").len(), 1);
    }

    #[test]
    fn other_words_and_other_peoples_files_are_let_pass() {
        for text in ["plugged in", "deploy, deployed", "~/.bundle/cache", "an image, for instance"]
        {
            assert_eq!(found("a.rs", text), [""; 0], "{text}");
        }
        assert_eq!(found("a.py", "plugin"), [""; 0]);
        assert_eq!(found("a.rs", "web: bundle exec puma"), [""; 0]);
        assert_eq!(found("a.rs", "let bundle = \"CURL_CA_BUNDLE\";"), [""; 0]);
        assert_eq!(found("examples/library/README.md", "webpack's bundle"), [""; 0]);
        assert_eq!(found("examples/library/README.md", "a deployment").len(), 1);
    }

    #[test]
    fn the_list_is_sorted_and_names_nothing_twice() {
        assert!(WORDS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
