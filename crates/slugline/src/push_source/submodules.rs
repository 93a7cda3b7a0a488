//! Submodules, fetched from where `.gitmodules` says, as far as users may reach.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use slugline_model::message::Message;
use slugline_model::outbound::Outbound;
use slugline_model::submodule::{DEEPEST, MOST, Submodule, found, message, objection, shown};

use crate::console::say;

/// All of the commit is built, whatever it would leave out of an archive.
const ATTRIBUTES: &str = "* -export-ignore -export-subst\n";

/// How long one may take (seconds).
const PATIENCE: &str = "600";

/// What was fetched; it goes with this value.
pub(crate) struct Fetched {
    directory: tempfile::TempDir,
    all: Vec<One>,
}

/// A submodule in a repository of its own.
struct One {
    repository: PathBuf,
    /// From the root of the source.
    path: String,
    commit: String,
}

impl Fetched {
    pub(super) fn archives(&self) -> impl Iterator<Item = Command> {
        let archive = |one: &One| {
            let mut git = git(&one.repository);
            git.args(["archive", "--format=tar"]).arg(format!("--prefix={}/", one.path));
            git.arg(&one.commit);
            git
        };
        self.all.iter().map(archive)
    }
}

/// How submodules are fetched.
pub(crate) struct Fetching {
    pub(crate) outbound: Outbound,
    /// The longest file that git may write meanwhile (bytes): a pack.
    pub(crate) limit: u64,
}

impl Fetching {
    /// Those of a commit of the repository that git runs the hook in, and those within them.
    pub(crate) async fn all_of(&self, commit: &str) -> Result<Fetched, Message> {
        let own = |args: &[&str]| read(Command::new("git").args(args));
        let nothing = |error: std::io::Error| message(".", &format!("The disk: {error}."));
        let mut fetched = Fetched { directory: place().map_err(nothing)?, all: Vec::new() };
        let mut room = self.limit;
        let mut left: Vec<(usize, Submodule)> = Vec::new();
        left.extend(of(own, commit).into_iter().map(|one| (1, one)));
        if let Some((_, one)) = left.iter().find(|(_, one)| one.url.is_some()) {
            if !keeps_to_addresses() {
                return Err(message(&one.path, "The server's git is older than 2.37."));
            }
            say("-----> Git submodules detected, installing:");
        }
        while let Some((depth, one)) = left.pop() {
            let Some(url) = &one.url else { continue };
            if depth > DEEPEST || fetched.all.len() >= MOST {
                let bounds = format!(
                    "A source has at most {MOST} submodules, at most {DEEPEST} within each other."
                );
                return Err(message(&one.path, &bounds));
            }
            let repository = fetched.directory.path().join(fetched.all.len().to_string());
            self.fetch(&one, url, &repository, room).await?;
            room = room.saturating_sub(size(&repository));
            say(&format!("       Submodule path '{}': checked out '{}'", one.path, one.commit));
            let inner = |args: &[&str]| read(git(&repository).args(args));
            left.extend(of(inner, &one.commit).into_iter().map(|below| {
                let path = format!("{}/{}", one.path, below.path);
                (depth + 1, Submodule { path, ..below })
            }));
            fetched.all.push(One { repository, path: one.path, commit: one.commit });
        }
        Ok(fetched)
    }

    /// Fetches one into a repository that takes no more than so many bytes.
    async fn fetch(
        &self,
        one: &Submodule,
        url: &str,
        repository: &Path,
        room: u64,
    ) -> Result<(), Message> {
        let told = |found: &str| message(&one.path, &format!("Its URL, {}, {found}.", shown(url)));
        if let Some(objection) = objection(url) {
            return Err(told(objection));
        }
        // As the one reads it who asks: git is given the same text.
        let url = reqwest::Url::parse(url.trim()).map_err(|_| told("is none"))?;
        let (host, port, addresses) = slugline_logs::reached(&self.outbound, url.as_str())
            .await
            .map_err(|error| told(&format!("leads nowhere: {error}")))?;
        say(&format!(
            "       Submodule '{}' ({}) registered for path '{}'",
            one.path,
            shown(url.as_str()),
            one.path
        ));
        let to = pinned(&host, port, &addresses);
        let begun = read(Command::new("git").env_clear().envs(surroundings()).args([
            "init",
            "--quiet",
            "--bare",
            "--template=",
            &*repository.to_string_lossy(),
        ]));
        let info = repository.join("info");
        let placed = fs_err::create_dir_all(&info)
            .and_then(|()| fs_err::write(info.join("attributes"), ATTRIBUTES));
        if begun.is_none() || placed.is_err() {
            return Err(message(&one.path, "The server's disk took no repository."));
        }
        // Not every server gives out a commit by its name, or knows what is shallow.
        let ways: [&[&str]; 2] = [
            &["--depth=1", url.as_str(), &one.commit],
            &[url.as_str(), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"],
        ];
        let mut said = String::new();
        for way in ways {
            match run(repository, &to, way, room) {
                Ok(()) => {}
                Err(error) => said = error,
            }
            let commit = format!("{}^{{commit}}", one.commit);
            if read(git(repository).args(["rev-parse", "--verify", "--quiet", &commit])).is_some() {
                return Ok(());
            }
        }
        let last =
            said.lines().last().unwrap_or("it has no such commit").replace(url.as_str(), "it");
        Err(told(&format!("did not give commit {}: {last}", one.commit)))
    }
}

/// One fetch, in so much time and onto so much of the disk.
fn run(repository: &Path, to: &str, way: &[&str], room: u64) -> Result<(), String> {
    let mut fetch = Command::new("timeout");
    fetch.env_clear().envs(surroundings()).arg(PATIENCE).arg("prlimit");
    fetch.arg(format!("--fsize={room}")).arg("git").arg("-C").arg(repository);
    for setting in [
        "protocol.allow=never",
        "protocol.http.allow=always",
        "protocol.https.allow=always",
        "http.followRedirects=false",
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=60",
        "fetch.fsckObjects=true",
        "core.hooksPath=/dev/null",
        "gc.auto=0",
        "pack.threads=1",
        &format!("http.curloptResolve={to}"),
    ] {
        fetch.args(["-c", setting]);
    }
    fetch.args(["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]).args(way);
    let output = fetch.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Beside the repositories, where a server that starts removes what another one left.
fn place() -> std::io::Result<tempfile::TempDir> {
    let own = std::env::var_os("GIT_DIR").map_or_else(|| ".".into(), PathBuf::from);
    let own = fs_err::canonicalize(own)?;
    let beside = own.parent().unwrap_or(&own);
    tempfile::Builder::new().prefix("submodules-").suffix(".new").tempdir_in(beside)
}

/// Whether the machine's git connects where it is told to: since 2.37 it takes addresses.
fn keeps_to_addresses() -> bool {
    let version = read(Command::new("git").arg("version")).unwrap_or_default();
    let mut parts = version.split_whitespace().nth(2).unwrap_or_default().split('.');
    let mut part = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    (part(), part()) >= (2, 37)
}

/// What a repository's files take (bytes).
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

/// What curl is told of a host: the addresses that were checked, and no others.
fn pinned(host: &str, port: u16, addresses: &[SocketAddr]) -> String {
    let addresses: Vec<String> = addresses
        .iter()
        .map(|address| match address.ip() {
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            std::net::IpAddr::V4(ip) => ip.to_string(),
        })
        .collect();
    format!("{host}:{port}:{}", addresses.join(","))
}

/// Those of a commit, where this runs git.
fn of(git: impl Fn(&[&str]) -> Option<String>, commit: &str) -> Vec<Submodule> {
    let tree = git(&["ls-tree", "-r", "-z", "--full-tree", commit]).unwrap_or_default();
    let blob = format!("--blob={commit}:.gitmodules");
    let settings = git(&["config", "--list", "-z", &blob]).unwrap_or_default();
    found(&tree, &settings)
}

/// git in a repository, with nothing of the push around it.
fn git(repository: &Path) -> Command {
    let mut git = Command::new("git");
    git.env_clear().envs(surroundings()).arg("-C").arg(repository);
    git
}

fn surroundings() -> [(&'static str, std::ffi::OsString); 7] {
    [
        ("PATH", std::env::var_os("PATH").unwrap_or_default()),
        ("LANG", "C.UTF-8".into()),
        ("HOME", "/nonexistent".into()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
        ("GIT_TERMINAL_PROMPT", "0".into()),
        ("GIT_ASKPASS", "/bin/false".into()),
    ]
}

/// What a command answers; none where it fails.
fn read(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
