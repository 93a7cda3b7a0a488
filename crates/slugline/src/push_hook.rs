//! What git runs on the server before it takes a push: the push is built here, and refused where the
//! build fails, so that a branch is never ahead of what was released.
//!
//! Everything that it prints, git passes on to whoever pushes, as `remote:` lines.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::read::GzEncoder;
use http::Method;
use serde_json::{Value, json};
use slugline_model::large_file::{Pointer, VERSION};
use slugline_model::message::{Message, gutter_line};
use slugline_model::outbound::Outbound;
use slugline_model::push::{self, RefUpdate, is_nothing};
use slugline_model::submodule;

use crate::builds::follow::follow;
use crate::client::Client;
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::outgoing::stream;
use crate::push_source::{Fetched, Fetching, Source, large_files};

/// Files and submodules that are named where something is said of them.
const NAMED: usize = 3;

/// Why a push is not taken.
enum Refused {
    /// As who pushes is told it.
    Because(String),
    /// The same, at length.
    Told(Box<Message>),
    /// The build's own output has said why.
    ByBuild,
    /// The server was not reached, or refused.
    Server(CommandError),
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        Self::Server(error)
    }
}

/// Runs as git's hook; gives the exit code, which is git's verdict.
pub(crate) fn pre_receive() -> i32 {
    let mut input = String::new();
    if io::stdin().read_to_string(&mut input).is_err() {
        complain(&gutter_line("The push could not be read."));
        return 1;
    }
    let Some(hook) = std::env::var("SLUGLINE_PUSH").ok().and_then(|url| Hook::of(&url)) else {
        complain(&gutter_line("Only the server runs this: SLUGLINE_PUSH is not set."));
        return 1;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        complain(&gutter_line("The machine has no room for another process."));
        return 1;
    };
    match runtime.block_on(hook.judge(&input)) {
        Ok(()) => 0,
        Err(refused) => {
            tell(&refused);
            1
        }
    }
}

/// The push that the hook is run for.
struct Hook {
    client: Client,
    /// Its path in the API.
    path: String,
}

impl Hook {
    fn of(url: &str) -> Option<Self> {
        let (host, name) = url.split_once("://")?.1.split_once('/')?;
        let port = host.rsplit_once(':')?.1.parse().ok()?;
        // The URL is known to nobody else: that is what lets the hook in.
        Some(Self { client: Client::new(port, String::new()), path: format!("/{name}") })
    }

    async fn judge(&self, input: &str) -> Result<(), Refused> {
        let because = |found: &str| Refused::Because(found.to_owned());
        let updates = push::parse(input).ok_or_else(|| because("git's words are not known."))?;
        self.note(&updates).await?;
        let judged = push::judge(&updates).map_err(Refused::Because)?;
        for line in &judged.told {
            say(line);
        }
        match judged.deploy {
            Some(update) => self.deploy(update).await,
            None => Ok(()),
        }
    }

    /// Has the audit trail know what is about to change.
    async fn note(&self, updates: &[RefUpdate]) -> Result<(), CommandError> {
        let part = |update: &RefUpdate| {
            let to = if update.is_deletion() { "deleted" } else { &update.new[..8] };
            format!("{} {to}", update.short_name())
        };
        let parts: Vec<String> = updates.iter().map(part).collect();
        let refs: BTreeMap<&str, Option<&str>> = updates
            .iter()
            .map(|update| (&*update.name, (!update.is_deletion()).then_some(&*update.new)))
            .collect();
        let body = json!({ "action": format!("push {}", parts.join(", ")), "refs": refs });
        self.client.send(Method::POST, &format!("{}/audit", self.path), &body).await.map(drop)
    }

    async fn deploy(&self, update: &RefUpdate) -> Result<(), Refused> {
        if self.client.get(&self.path).await?["waits"] == true {
            say("-----> Waiting for the app's other push to finish");
        }
        let turn = format!("{}/turn", self.path);
        self.client.send(Method::POST, &turn, &json!({})).await?;
        refuse_overtaken(update)?;
        tell_what_is_not_there(&update.new);
        let submodules = self.submodules(&update.new).await?;
        let build = self.upload(&update.new, submodules).await?;
        say("Building source:");
        say("");
        let ended = follow(&self.client, &self.path, &build, 0, say).await?;
        if ended["status"] != "succeeded" {
            return Err(Refused::ByBuild);
        }
        say("");
        say("Verifying deploy... done.");
        Ok(())
    }

    async fn submodules(&self, commit: &str) -> Result<Fetched, Refused> {
        let about = self.client.get(&self.path).await?;
        let allow = about["outbound"].as_array().into_iter().flatten();
        let allow = allow.filter_map(|net| net.as_str()?.parse().ok()).collect();
        let limit = about["limit"].as_u64().unwrap_or_default();
        let fetching = Fetching { outbound: Outbound { allow }, limit };
        fetching.all_of(commit).await.map_err(|message| Refused::Told(Box::new(message)))
    }

    /// Sends the source of a commit; gives its build.
    async fn upload(&self, commit: &str, submodules: Fetched) -> Result<Value, Refused> {
        let archive = Source::of(commit, submodules)
            .map_err(|error| Refused::Because(format!("git could not read the commit: {error}")))?;
        let subject = git(&["log", "-1", "--format=%s", commit]).unwrap_or_default();
        let subject: String = subject.trim().chars().take(200).collect();
        let path = &self.path;
        let query = format!("commit={commit}&description={}", escaped(&subject));
        let packed = GzEncoder::new(archive, Compression::fast());
        let body = stream(packed);
        let build = self.client.put_body(&format!("{path}/source?{query}"), body).await?;
        say("Compressing source files... done.");
        Ok(build)
    }
}

/// Tells whoever pushes why not.
fn tell(refused: &Refused) {
    let found = match refused {
        Refused::Because(found) | Refused::Server(CommandError::Api { found, .. }) => {
            Some(found.clone())
        }
        Refused::Told(message) => Some(parts(message)),
        Refused::ByBuild => None,
        Refused::Server(error) => {
            let message = error.explain();
            Some(format!("{} {}", message.what, message.found))
        }
    };
    complain(&gutter_line(""));
    for line in found.iter().flat_map(|found| found.lines()) {
        complain(&gutter_line(line));
    }
    complain(&gutter_line("Push rejected: the branch is as it was."));
    complain("");
}
fn parts(message: &Message) -> String {
    let Message { what, found, allowed, next, state } = message;
    format!("{what}\n{found}\n{allowed}\nNext: {next}\n{state}")
}

/// Another push may have come first while this one waited.
fn refuse_overtaken(update: &RefUpdate) -> Result<(), Refused> {
    let current = git(&["rev-parse", "--verify", "--quiet", &update.name]);
    let current = current.map(|id| id.trim().to_owned()).unwrap_or_default();
    if current == update.old || (current.is_empty() && is_nothing(&update.old)) {
        return Ok(());
    }
    let name = update.short_name();
    Err(Refused::Because(format!(
        "Another push to {name} came first. To build yours: git fetch, then push again."
    )))
}

/// Says what a checkout has and this source has not: files of git-lfs that are elsewhere, and submodules
/// of which nobody says where.
fn tell_what_is_not_there(commit: &str) {
    let tree = git(&["ls-tree", "-r", "-z", "--full-tree", commit]).unwrap_or_default();
    let blob = format!("--blob={commit}:.gitmodules");
    let settings = git(&["config", "--list", "-z", &blob]).unwrap_or_default();
    let submodules = submodule::found(&tree, &settings);
    let lost: Vec<&str> =
        submodules.iter().filter(|one| one.url.is_none()).map(|one| &*one.path).collect();
    if !lost.is_empty() {
        warn(&lost, "is a submodule without a URL in .gitmodules, and so an empty directory here");
    }
    let filters = ["grep", "-q", "-F", "filter=lfs", commit, "--", ":(glob)**/.gitattributes"];
    if git(&filters).is_some() {
        let found = git(&["grep", "-l", "-z", "-F", VERSION, commit]).unwrap_or_default();
        let prefix = format!("{commit}:");
        let files = found.split('\0').filter_map(|file| file.strip_prefix(&prefix));
        let files: Vec<&str> = files.filter(|file| is_elsewhere(commit, file)).collect();
        if !files.is_empty() {
            warn(&files, "is kept by git-lfs elsewhere, and only its pointer in this build");
        }
    }
}

/// Whether a file is a pointer to one that the server does not have.
fn is_elsewhere(commit: &str, file: &str) -> bool {
    let content = git(&["cat-file", "blob", &format!("{commit}:{file}")]).unwrap_or_default();
    let pointer = Pointer::of(content.as_bytes());
    pointer.is_some_and(|pointer| !large_files().join(pointer.oid.path()).is_file())
}

fn warn(names: &[&str], what: &str) {
    let shown = names[..names.len().min(NAMED)].join(", ");
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    say(&gutter_line(&format!("{shown}{more} {what}: `slugline up` brings it along.")));
}

/// What git answers; none where it fails.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As a part of a query.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let part = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_knows_its_server_and_its_push() {
        let hook = Hook::of("http://localhost:5055/pushes/12").unwrap();
        assert_eq!(hook.path, "/pushes/12");
        assert!(Hook::of("").is_none() && Hook::of("http://localhost/pushes/12").is_none());
    }

    #[test]
    fn a_query_holds_any_text() {
        assert_eq!(escaped("Fix a&b=ü, 100%"), "Fix%20a%26b%3D%C3%BC%2C%20100%25");
    }
}
