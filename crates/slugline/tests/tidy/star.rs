//! The shape of the workspace: every library knows the model, none a sibling.

use crate::files::File;
use crate::finding::Finding;

const MODEL: &str = "slugline-model";
const BINARY: &str = "slugline";

/// Looks at a `Cargo.toml` below `crates/`.
pub(crate) fn check(file: &File) -> Vec<Finding> {
    let Some(name) = crate_of(&file.path) else { return vec![] };
    if name == BINARY {
        return vec![];
    }
    let used: Vec<(usize, &str)> = dependencies(file).collect();
    let mut findings: Vec<Finding> = used
        .iter()
        .filter(|(_, used)| name == MODEL || *used != MODEL)
        .map(|(line, sibling)| finding(file, *line, &depends_on(name, sibling)))
        .collect();
    if name != MODEL && !used.iter().any(|(_, used)| *used == MODEL) {
        findings.push(finding(file, 0, &format!("{name} does not depend on {MODEL}")));
    }
    findings
}

fn depends_on(name: &str, sibling: &str) -> String {
    format!("{name} depends on {sibling}")
}

fn finding(file: &File, line: usize, rule: &str) -> Finding {
    let advice = format!(
        "a library depends on {MODEL} and on no sibling; move what both need to {MODEL}, and let \
         the binary bring them together"
    );
    Finding { path: file.path.clone(), line, rule: rule.to_owned(), advice }
}

fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")
}

/// Our own crates among the dependencies of any kind, with their lines.
fn dependencies(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    file.lines().filter_map(move |(number, line)| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header.ends_with("dependencies");
            let table = header.rsplit_once("dependencies.").map(|(_, name)| name);
            return table.filter(|name| is_ours(name)).map(|name| (number, name));
        }
        let key = line.split(['=', '.', ' ']).next().unwrap_or_default().trim_matches('"');
        (inside && is_ours(key)).then_some((number, key))
    })
}

fn is_ours(name: &str) -> bool {
    name == BINARY || name.starts_with("slugline-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::file;

    fn broken(name: &str, text: &str) -> Vec<(usize, String)> {
        let file = file(&format!("crates/{name}/Cargo.toml"), text);
        check(&file).into_iter().map(|f| (f.line, f.rule)).collect()
    }

    #[test]
    fn a_library_with_the_model_alone_is_in_order() {
        let text = "[dependencies]\nslugline-model.workspace = true\nserde = \"1\"\n";
        assert_eq!(broken("slugline-dyno", text), []);
        assert_eq!(broken("slugline", "[dependencies]\nslugline-dyno.workspace = true\n"), []);
        assert_eq!(broken("slugline-model", "[dependencies]\nserde = \"1\"\n"), []);
    }

    #[test]
    fn a_sibling_is_found_in_every_table() {
        let model = "[dependencies]\nslugline-model.workspace = true\n";
        let found = |text: &str| broken("slugline-dyno", &format!("{model}{text}"));
        let wanted = |line| vec![(line, "slugline-dyno depends on slugline-store".to_owned())];
        assert_eq!(found("slugline-store.workspace = true\n"), wanted(3));
        assert_eq!(found("\"slugline-store\" = { path = \"x\" }\n"), wanted(3));
        assert_eq!(found("[dev-dependencies]\nslugline-store = { path = \"x\" }\n"), wanted(4));
        assert_eq!(found("[dependencies.slugline-store]\nworkspace = true\n"), wanted(3));
        assert_eq!(found("[target.'cfg(unix)'.dependencies]\nslugline-store = \"1\"\n"), wanted(4));
        assert_eq!(found("[features]\nslugline-store = []\n"), []);
    }

    #[test]
    fn the_model_knows_nobody_and_everybody_knows_it() {
        let model = "[dependencies]\nslugline-store.workspace = true\n";
        assert_eq!(broken("slugline-model", model).len(), 1);
        assert_eq!(
            broken("slugline-logs", "[dependencies]\n"),
            [(0, "slugline-logs does not depend on slugline-model".to_owned())]
        );
    }
}
