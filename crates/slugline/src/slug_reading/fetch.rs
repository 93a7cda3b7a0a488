//! Files of a slug from the server: printed, or copied to where the user wants them.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use http::{Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::unpack;
use crate::builds::App;
use crate::errors::CommandError;

/// Prints a file, or where a link points.
pub(super) async fn cat(app: &App, path: &str) -> Result<(), CommandError> {
    let mut answer = app.client.open(Method::GET, path, &Value::Null).await?;
    if kind(&answer) == "directory" {
        return Err(refused(path, "It is a directory: slugline slug:tree shows what is in it."));
    }
    let mut out = std::io::stdout().lock();
    while let Some(chunk) = next(&mut answer, path).await? {
        if out.write_all(&chunk).is_err() {
            // Whoever read it has seen enough.
            return Ok(());
        }
    }
    if kind(&answer) == "symlink" {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
    Ok(())
}

/// Copies a file or a directory. Nothing is seen of it before all of it is there.
pub(super) async fn get(
    app: &App,
    path: &str,
    name: &OsStr,
    destination: &Path,
) -> Result<(), CommandError> {
    let mut answer = app.client.open(Method::GET, path, &Value::Null).await?;
    let destination = place(destination, name);
    let parent = match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let wrong = |source| CommandError::Destination { path: destination.clone(), source };
    if kind(&answer) == "directory" {
        // All of it first: a connection that breaks leaves nothing.
        let mut archive = tempfile::tempfile_in(parent).map_err(wrong)?;
        while let Some(chunk) = next(&mut answer, path).await? {
            archive.write_all(&chunk).map_err(wrong)?;
        }
        unpack::directory(archive, &destination).map_err(wrong)?;
    } else if kind(&answer) == "symlink" {
        let mut target = Vec::new();
        while let Some(chunk) = next(&mut answer, path).await? {
            target.extend_from_slice(&chunk);
        }
        unpack::link(&target, &destination).map_err(wrong)?;
    } else {
        let mut file = tempfile::NamedTempFile::new_in(parent).map_err(wrong)?;
        while let Some(chunk) = next(&mut answer, path).await? {
            file.write_all(&chunk).map_err(wrong)?;
        }
        let mode = if header(&answer, "x-slug-mode") == "755" { 0o755 } else { 0o644 };
        file.as_file().set_permissions(PermissionsExt::from_mode(mode)).map_err(wrong)?;
        file.persist(&destination).map_err(|error| wrong(error.error))?;
    }
    let told = json!({ "copied_to": destination });
    app.tell(&format!("Copied to {}", destination.display()), &told);
    Ok(())
}

/// A directory that is there takes the copy in, under its own name.
fn place(destination: &Path, path: &OsStr) -> PathBuf {
    let into = std::fs::metadata(destination).is_ok_and(|found| found.is_dir());
    match Path::new(path).file_name().filter(|_| into) {
        Some(name) => destination.join(name),
        None => destination.to_path_buf(),
    }
}

async fn next(
    answer: &mut Response<Incoming>,
    path: &str,
) -> Result<Option<hyper::body::Bytes>, CommandError> {
    while let Some(frame) = answer.body_mut().frame().await {
        let frame = frame.map_err(|error| refused(path, &format!("It broke off: {error}.")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn kind(answer: &Response<Incoming>) -> &str {
    header(answer, "x-slug-kind")
}

fn header<'a>(answer: &'a Response<Incoming>, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn refused(path: &str, found: &str) -> CommandError {
    CommandError::Api { what: format!("GET {path}"), found: found.to_owned() }
}
