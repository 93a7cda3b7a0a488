//! The routes as they stand in the sources of the API, so that no test forgets one.

use std::path::{Path, PathBuf};

/// One `.route(…)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) path: String,
    /// As its code has them; `any` for one that answers all alike.
    pub(crate) methods: Vec<String>,
    /// The name of its file.
    pub(crate) file: String,
}

/// All of them, by path.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        routes.extend(text.split(".route(").skip(1).filter_map(|code| route(code, &file)));
    }
    routes.sort();
    assert!(routes.len() > 80, "{routes:?}");
    routes
}

fn sources() -> Vec<PathBuf> {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api")];
    let mut sources = Vec::new();
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                sources.push(path);
            }
        }
    }
    sources
}

fn route(code: &str, file: &str) -> Option<Route> {
    let (path, rest) = code.trim_start().strip_prefix('"')?.split_once('"')?;
    let mut depth = 1;
    let end = rest.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    let rest = &rest[..end?];
    let is_there = |method: &&str| {
        let call = format!("{method}(");
        rest.match_indices(&call)
            .any(|(at, _)| !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let methods = ["any", "delete", "get", "patch", "post", "put"];
    let methods = methods.iter().filter(|method| is_there(method));
    let methods = methods.map(|method| (*method).to_owned()).collect();
    Some(Route { path: path.to_owned(), methods, file: file.to_owned() })
}

#[test]
fn a_route_is_read_with_its_methods() {
    let code = " \"/a/{b}\", get(x::output).post(create).delete(y))\n.route(\"/c\", put(z))";
    let read = route(code, "mod.rs").unwrap();
    assert_eq!(
        (read.path.as_str(), read.methods),
        ("/a/{b}", vec!["delete".into(), "get".into(), "post".into()])
    );
}
