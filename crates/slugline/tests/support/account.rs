//! Whom the server runs as: whoever runs the tests and, where that is root, an ordinary user too.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The ordinary user that root makes for these tests.
const USER: &str = "slugline-test";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// Whoever runs the tests.
    Mine { is_root: bool },
    /// An ordinary user, when root runs the tests.
    Ordinary { uid: String, gid: String, home: PathBuf },
}

impl Account {
    /// Those that a test is to pass under.
    pub(crate) fn all() -> Vec<Account> {
        let is_root = rustix::process::geteuid().is_root();
        let mine = Account::Mine { is_root };
        if is_root { vec![mine, ordinary()] } else { vec![mine] }
    }

    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Account::Mine { is_root: true })
    }

    /// A command that runs as this user, from its first instruction on and without a process
    /// between, so that the child's pid is the program's.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Account::Ordinary { uid, gid, home } = self else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", uid, "--regid", gid, "--clear-groups", "--"])
            .arg(program)
            .env("HOME", home)
            .env("USER", USER)
            .env("LOGNAME", USER)
            .env("PATH", public_path());
        command
    }

    /// Makes this user the owner of a tree that the test has made.
    pub(crate) fn own(&self, path: &Path) {
        if let Account::Ordinary { uid, gid, .. } = self {
            run(Command::new("chown").args(["-R", &format!("{uid}:{gid}")]).arg(path));
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Mine { is_root: true } => write!(f, "root"),
            Account::Mine { is_root: false } => write!(f, "whoever runs the tests"),
            Account::Ordinary { uid, .. } => write!(f, "{USER} ({uid})"),
        }
    }
}

/// Finds the user, making it first where it is missing. Tests run at once, and one of them wins.
fn ordinary() -> Account {
    open_tun();
    let entry = passwd_entry().unwrap_or_else(|| {
        let made = Command::new("useradd").args(["--system", "--create-home", USER]).output();
        passwd_entry().unwrap_or_else(|| panic!("there is no user {USER}; useradd: {made:?}"))
    });
    let [_, _, uid, gid, _, home, ..] = entry.split(':').collect::<Vec<_>>()[..] else {
        panic!("{USER} in the list of users: {entry}")
    };
    Account::Ordinary { uid: uid.into(), gid: gid.into(), home: home.into() }
}

/// What users' networks are made by is open to everybody wherever udev runs; a machine without it
/// keeps the kernel's mode.
fn open_tun() {
    let everybody = std::fs::Permissions::from_mode(0o666);
    // Where there is none, the tests that need it say so.
    let _ = std::fs::set_permissions("/dev/net/tun", everybody);
}

fn passwd_entry() -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").expect("a list of users");
    let mine = |line: &&str| line.strip_prefix(USER).is_some_and(|rest| rest.starts_with(':'));
    users.lines().find(mine).map(str::to_owned)
}

/// The search path without what lies in root's home: nobody else may look there.
fn public_path() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
    let public = std::env::split_paths(&path)
        .filter(|directory| !directory.starts_with(&home) && !directory.starts_with("/root"));
    std::env::join_paths(public).expect("a part of PATH is a path")
}

/// Runs a command that has to succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
