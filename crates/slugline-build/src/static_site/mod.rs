//! heroku/static: a site of files, or what a Node.js buildpack built before, served by this program.

mod error;

use std::path::Path;

use slugline_model::build::exit_code;
use slugline_model::static_site::StaticSite;

use crate::builtin::Call;
use crate::record::Failure;
use crate::{files, log};
use error::StaticError;

/// Where a site is looked for that has no static.json: built ones first, since an app's root often
/// holds the page that they are built from. The last is the root itself.
const ROOTS: [&str; 5] = ["public_html", "dist", "build", "public", ""];

/// Where the server is in the slug.
const SERVER: &str = ".slugline/bin/slugline";

/// What starts it, under the name that apps for Heroku's own buildpack have in their Procfiles.
const BOOT: &str = "bin/boot";

/// `bin/detect`: an app with a static.json, or with an index.html where one is looked for.
pub(crate) fn detect(call: &Call) -> i32 {
    if call.build_dir.join("static.json").is_file() || root_without_json(&call.build_dir).is_some()
    {
        log::line("Static HTML");
        exit_code::OK
    } else {
        1
    }
}

/// `bin/compile`.
pub(crate) fn compile(call: &Call) -> Result<(), Failure> {
    build(call).map_err(|error| Failure::new(error.exit_code(), error::explain(&error)))
}

/// `bin/release`: what runs if the Procfile does not say so.
pub(crate) fn release() {
    log::line(&format!("---\ndefault_process_types:\n  web: {BOOT}"));
}

/// `bin/report`: there is nothing to tell of.
pub(crate) fn report() {
    log::line("{}");
}

fn build(call: &Call) -> Result<(), StaticError> {
    let root = root(&call.build_dir)?;
    let shown = if root.is_empty() { "the app's root" } else { &root };
    log::heading(format!("Serving {shown}"));
    let program = files::own_program().map_err(StaticError::io("find the server"))?;
    put_server(call, &program).map_err(StaticError::io("put the server into the slug"))?;
    let boot = call.build_dir.join(BOOT);
    if boot.exists() {
        log::detail(format!("{BOOT} is the app's own, and starts what it starts"));
        return Ok(());
    }
    // In a process type the app is the working directory, but a person may start it from elsewhere.
    let script = format!(
        "#!/bin/bash\ncd \"$HOME\" && exec \"$HOME/{SERVER}\" static --root '{}'\n",
        if root.is_empty() { "." } else { &root }
    );
    let write = || {
        fs_err::create_dir_all(call.build_dir.join("bin"))?;
        fs_err::write(&boot, script)?;
        files::make_executable(&boot)
    };
    write().map_err(StaticError::io("write bin/boot"))
}

/// A copy, and no link: the slug's files are the app's, and the program is the host's.
fn put_server(call: &Call, program: &Path) -> std::io::Result<()> {
    let server = call.build_dir.join(SERVER);
    if let Some(directory) = server.parent() {
        fs_err::create_dir_all(directory)?;
    }
    files::remove(&server)?;
    fs_err::copy(program, &server)?;
    files::make_executable(&server)
}

/// The directory that is served, below the app's root.
fn root(build_dir: &Path) -> Result<String, StaticError> {
    let json = build_dir.join("static.json");
    let root = if json.is_file() {
        let text = fs_err::read_to_string(&json).map_err(StaticError::io("read static.json"))?;
        // Config vars of the build need not be those of the dyno, which reads it again.
        StaticSite::parse(&text, &|_| None).map_err(StaticError::Json)?.root
    } else {
        root_without_json(build_dir).unwrap_or_default().to_owned()
    };
    let found = build_dir.join(&root);
    if found.is_dir() { Ok(root) } else { Err(StaticError::NoRoot { root }) }
}

fn root_without_json(build_dir: &Path) -> Option<&'static str> {
    ROOTS.into_iter().find(|root| build_dir.join(root).join("index.html").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(&str, &str)]) -> Result<String, StaticError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in entries {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        root(dir.path())
    }

    #[test]
    fn the_root_is_what_static_json_says_or_where_the_index_is() {
        assert_eq!(of(&[("index.html", "")]).unwrap(), "");
        assert_eq!(of(&[("index.html", ""), ("dist/index.html", "")]).unwrap(), "dist");
        let json = ("static.json", r#"{"root": "www/"}"#);
        assert_eq!(of(&[json, ("www/index.html", ""), ("index.html", "")]).unwrap(), "www");
        let missing = of(&[("static.json", "{}"), ("index.html", "")]);
        assert!(matches!(missing, Err(StaticError::NoRoot { root }) if root == "public_html"));
        let broken = of(&[("static.json", "{")]);
        assert!(matches!(broken, Err(StaticError::Json(_))));
    }
}
