//! `store:fsck`: by the server where one runs, else on the store itself.

use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::care::{self, Checked};
use slugline_model::port::{CheckRequest, ReadError};
use slugline_platform::Offline;
use slugline_store::{Backup, Copies, FsckRequest, KeptTrees, Store};

use super::Fsck;
use crate::client::Lines;
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::server;
use crate::slugs::unread;

/// Checks a store, with the copies that a request names.
pub(crate) fn fsck(
    store: &Store,
    request: &CheckRequest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Checked, ReadError> {
    let backup = request.from.as_deref().map(backup_at).transpose()?;
    let trees = KeptTrees::of(&request.trees);
    let mut copies: Vec<&dyn Copies> = backup.iter().map(|backup| backup as _).collect();
    copies.push(&trees);
    let in_bucket = store.copies_in_bucket();
    copies.extend(in_bucket.iter().map(|copies| copies as &dyn Copies));
    let repair = request.repair;
    // With a bucket not every slug need be here.
    let expected = if store.bucket().is_some() { vec![] } else { request.expected.clone() };
    let request = FsckRequest { expected, repair, copies };
    store.fsck(&request, &mut |step| progress(step.objects, step.of)).map_err(unread)
}

fn backup_at(path: &Path) -> Result<Backup, ReadError> {
    Backup::at(path).ok_or_else(|| ReadError(format!("{} holds no slug store", path.display())))
}

/// Runs the command; the exit code says whether damage remains.
pub(super) async fn run(fsck: Fsck) -> Result<i32, CommandError> {
    let data_dir = fsck.options.server.data_dir()?;
    let checked = if data_dir.join("store").is_dir() {
        match server::lock(&data_dir) {
            Ok(_lock) => offline(&fsck, &data_dir)?,
            // A server runs there.
            Err(CommandError::DataDirectoryInUse { .. }) => online(&fsck).await?,
            Err(error) => return Err(error),
        }
    } else {
        online(&fsck).await?
    };
    if fsck.options.json {
        say(&format!("{:#}", json!(checked)));
    } else {
        for finding in &checked.findings {
            say(&care::describe(finding).join("\n"));
        }
        say(&care::summary(&checked).join("\n"));
        if checked.is_damaged() {
            next_step(&fsck);
        }
    }
    Ok(if checked.is_damaged() { exit_code::STORE } else { exit_code::OK })
}

fn next_step(fsck: &Fsck) {
    say(match (fsck.repair, &fsck.from) {
        (false, _) => "Next: slugline store:fsck --repair, with --from DIRECTORY of a backup",
        (true, None) => {
            "Next: the same with --from DIRECTORY of a backup, or build again: slugline up"
        }
        (true, Some(_)) => {
            "Next: build again what it hits: slugline up. What is left of the damaged files is \
             out of the way."
        }
    });
}

fn offline(fsck: &Fsck, data_dir: &Path) -> Result<Checked, CommandError> {
    let state = Offline::open(data_dir)?;
    let known = state.check_request(data_dir)?;
    let request = CheckRequest { repair: fsck.repair, from: fsck.from.clone(), ..known };
    let store = Store::open(data_dir.join("store"))?;
    let mut tell = progress();
    let checked = self::fsck(&store, &request, &mut tell);
    let mut checked = checked.map_err(|error| could_not_check(&error.0))?;
    state.name_slugs(&mut checked);
    Ok(checked)
}

async fn online(fsck: &Fsck) -> Result<Checked, CommandError> {
    // The server's working directory is another one.
    let absolute = |path: &std::path::PathBuf| std::path::absolute(path).unwrap_or(path.clone());
    let body = json!({ "repair": fsck.repair, "from": fsck.from.as_ref().map(absolute) });
    let client = fsck.options.server.client()?;
    let answer = client.open(Method::POST, "/store/actions/fsck", &body).await?;
    let mut lines = Lines::of(answer);
    let mut tell = progress();
    while let Some(line) = lines.next().await {
        let line: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(error) = line["error"].as_str() {
            return Err(could_not_check(error));
        }
        if let Ok(checked) = serde_json::from_value(line["checked"].clone()) {
            return Ok(checked);
        }
        if let (Some(objects), Some(of)) = (line["objects"].as_u64(), line["of"].as_u64()) {
            tell(objects, of);
        }
    }
    Err(could_not_check("the server went away"))
}

fn could_not_check(found: &str) -> CommandError {
    CommandError::Api { what: "check the slug store".to_owned(), found: found.to_owned() }
}

/// Tells each tenth on stderr.
fn progress() -> impl FnMut(u64, u64) {
    let mut told = 0;
    move |objects, of| {
        let tenth = objects * 10 / of.max(1);
        if tenth > told && of > 5_000 {
            told = tenth;
            complain(&format!("checked {objects} of {of} objects"));
        }
    }
}
