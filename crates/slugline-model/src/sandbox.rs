//! The launch of a dyno as a list of steps: decided here, carried out by the dyno crate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dyno::{Bind, DynoSpec, Network};
use crate::network::{Outside, Subnet};

/// The uid and gid that an app sees itself run under.
pub const DYNO_UID: u32 = 1_000;

/// What the host offers as a stack, read once per launch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// Top-level names beside `/usr` that programs need, with their link target where they are
    /// links: `("bin", Some("usr/bin"))`.
    pub usr_names: Vec<(String, Option<String>)>,
    /// Which of [`HOST_ETC`] exist.
    pub etc: Vec<String>,
    /// The host's resolver configuration.
    pub resolv_conf: String,
    /// Which of [`PROC_READ_ONLY`] and [`PROC_MASKED`] exist.
    pub proc: Vec<String>,
    /// How a network of the dyno's own reaches the outside.
    pub outside: Outside,
    /// What it is told itself not to reach.
    pub closed: Vec<Subnet>,
}

/// Parts of `/proc` that are the machine's and that a dyno may read: what container engines make
/// read-only by default.
pub const PROC_READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Parts of `/proc` that tell of the machine what no dyno has a use for: what container engines
/// hide by default, the kernel's log, and where the kernel lies in memory.
pub const PROC_MASKED: [&str; 13] = [
    "acpi",
    "asound",
    "interrupts",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Top-level names beside `/usr` that programs need, where a host has them.
pub const USR_NAMES: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// What a dyno starts a command with: bash with these options and this text, then `bash` as its
/// name and the command. It runs the slug's profile scripts in order, then the app's own, as Heroku
/// does. The command gets a bash of its own, so that a plain command replaces it.
pub const COMMAND_PROFILE: &str = r#"
for file in "$HOME"/.profile.d/*.sh; do [ -r "$file" ] && source "$file"; done; unset file
[ -r "$HOME/.profile" ] && source "$HOME/.profile"
exec bash -c "$1"
"#;

/// Where a dyno's programs are looked for first to last, before its slug adds to it.
pub const STACK_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Parts of the host's `/etc` that belong to `/usr`: the linker's cache, certificates, time zones,
/// and what `update-alternatives` links to. Nothing here is a secret.
pub const HOST_ETC: [&str; 12] = [
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "pki",
    "ssl/certs",
    "ssl/openssl.cnf",
];

/// Where a dyno may write even if it is held to declare where: what runtimes rewrite as they boot,
/// caches, and places for files that nobody keeps.
pub const ALWAYS_OPEN: [&str; 6] =
    ["/tmp", "/var/tmp", "/run", "/app/.heroku", "/app/.cache", "/app/tmp"];

/// One step of a launch, in the dyno's own namespaces. Paths are relative to the dyno's root
/// unless they name a source on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Directories of the stack, below the overlay.
    Directory {
        /// Where.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// A synthesised file of the stack, below the overlay.
    File {
        /// Where.
        path: PathBuf,
        /// What it holds.
        content: String,
    },
    /// A symbolic link of the stack, below the overlay.
    Link {
        /// Where.
        path: PathBuf,
        /// What it points at.
        target: String,
    },
    /// The overlay of stack, slug and layer becomes the root.
    Overlay {
        /// Whether a slug lies between stack and layer.
        slug: bool,
    },
    /// A path of the host's stack appears in the dyno at the same place, read-only.
    Stack {
        /// Absolute.
        path: PathBuf,
    },
    /// A path of the server's own appears in the dyno.
    Bind(Bind),
    /// A `/dev` with the harmless devices and its own terminals.
    Devices,
    /// A `/proc` of the dyno's own pid namespace.
    Proc,
    /// What was made beforehand appears in the dyno.
    Place {
        /// Absolute.
        path: PathBuf,
    },
    /// Shared memory: memory that belongs to no process.
    SharedMemory {
        /// The most that it holds (bytes).
        bytes: u64,
    },
    /// What is there can be read only.
    ReadOnly {
        /// Absolute.
        path: PathBuf,
    },
    /// What lies below can be written to although the root cannot.
    Open {
        /// Absolute; made if it is not there.
        path: PathBuf,
    },
    /// Of the overlay, only what was opened can be written to.
    Close,
    /// Something empty hides what is there, a directory or a file.
    Mask {
        /// Absolute.
        path: PathBuf,
    },
    /// The overlay becomes `/`; the host's files are out of reach.
    Pivot,
    /// Loopback comes up in the dyno's own network, and the outside is waited for.
    Network {
        /// How the outside is reached.
        outside: Outside,
        /// What is not reached, in the dyno's own table of routes.
        closed: Vec<Subnet>,
    },
    /// The dyno's host name.
    HostName {
        /// At most 63 bytes.
        name: String,
    },
    /// No new privileges, no capabilities, no abstract sockets of others.
    DropPrivileges,
    /// Init reaps, passes signals on, and starts the command.
    Run,
}

/// The launch of a dyno on the host's own stack.
pub fn plan(spec: &DynoSpec, host: &HostFacts) -> Vec<Step> {
    let mut steps = plan_ahead(host);
    steps.extend(plan_rest(spec, host));
    steps
}

/// The first part of a launch, which is the same for every dyno of a machine: it may be carried out
/// before anybody asks for one.
pub fn plan_ahead(host: &HostFacts) -> Vec<Step> {
    let mut steps = skeleton(host);
    steps.push(Step::Devices);
    steps.push(Step::Proc);
    steps.extend(proc_parts(host));
    steps
}

/// The second part: what depends on the dyno.
pub fn plan_rest(spec: &DynoSpec, host: &HostFacts) -> Vec<Step> {
    let mut steps = own_files(spec);
    steps.push(Step::Overlay { slug: spec.slug.is_some() });
    steps.extend(stack_paths(host).into_iter().map(|path| Step::Stack { path }));
    steps.extend(spec.binds.iter().cloned().map(Step::Bind));
    steps.extend(["/dev", "/proc"].map(|path| Step::Place { path: path.into() }));
    // The part of memory that the kernel gives such a file system by default.
    steps.push(Step::SharedMemory { bytes: spec.resources.memory / 2 });
    if spec.layer.strict {
        let open = ALWAYS_OPEN.into_iter().chain(spec.layer.scratch.iter().map(String::as_str));
        steps.extend(open.map(|path| Step::Open { path: path.into() }));
        steps.push(Step::Close);
    }
    steps.push(Step::HostName { name: spec.id.to_string() });
    steps.push(Step::Pivot);
    if spec.network == Network::Own {
        // What leads outside is there by now, which takes a while where it is pasta.
        steps.push(Step::Network { outside: host.outside, closed: host.closed.clone() });
    }
    steps.push(Step::DropPrivileges);
    steps.push(Step::Run);
    steps
}

/// The directories of a dyno's root, parents first, and their permission bits.
pub fn root_directories() -> impl Iterator<Item = (&'static str, u32)> {
    let closed =
        ["app", "dev", "etc", "etc/ssl", "home", "mnt", "opt", "proc", "run", "sys", "usr"];
    let more = ["root", "srv", "var", "var/lib", "var/log", "var/cache", "var/run"];
    let open = ["tmp", "var/tmp"].map(|path| (path, 0o1777));
    closed.into_iter().chain(more).map(|path| (path, 0o755)).chain(open)
}

fn skeleton(host: &HostFacts) -> Vec<Step> {
    let directory = |(path, mode)| Step::Directory { path: PathBuf::from(path), mode };
    let mut steps: Vec<Step> = root_directories().map(directory).collect();
    steps.push(Step::Directory { path: MEMORY_GROUP.into(), mode: 0o755 });
    for (name, target) in &host.usr_names {
        match target {
            Some(target) => {
                steps.push(Step::Link { path: name.into(), target: target.clone() });
            }
            None => steps.push(Step::Directory { path: name.into(), mode: 0o755 }),
        }
    }
    let files = [
        ("etc/passwd", passwd()),
        ("etc/group", group()),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
        ("etc/resolv.conf", host.resolv_conf.clone()),
        ("etc/protocols", "tcp 6 TCP\nudp 17 UDP\n".to_owned()),
        ("etc/services", "http 80/tcp\nhttps 443/tcp\nsmtp 25/tcp\n".to_owned()),
    ];
    steps.extend(files.map(|(path, content)| Step::File { path: path.into(), content }));
    steps
}

/// Where Heroku's buildpacks read how much memory a dyno has, to choose `WEB_CONCURRENCY`. It is
/// all that there is of `/sys`: the machine's own says nothing about the dyno.
const MEMORY_GROUP: &str = "sys/fs/cgroup/memory";

/// The files of the stack that are about this dyno.
fn own_files(spec: &DynoSpec) -> Vec<Step> {
    let file = |path: String, content| Step::File { path: path.into(), content };
    vec![
        file("etc/hosts".to_owned(), hosts(spec)),
        file("etc/hostname".to_owned(), format!("{}\n", spec.id)),
        file(
            format!("{MEMORY_GROUP}/memory.limit_in_bytes"),
            format!("{}\n", spec.resources.memory),
        ),
    ]
}

/// The users that a dyno knows, as `/etc/passwd` lists them.
pub fn passwd() -> String {
    format!(
        "root:x:0:0:root:/root:/bin/bash\n\
         dyno:x:{DYNO_UID}:{DYNO_UID}:dyno:/app:/bin/bash\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
}

/// The groups that a dyno knows, as `/etc/group` lists them.
pub fn group() -> String {
    format!("root:x:0:\ndyno:x:{DYNO_UID}:\nnogroup:x:65534:\n")
}

/// The names that a dyno knows without asking anybody.
fn hosts(spec: &DynoSpec) -> String {
    let own = format!("127.0.0.1 localhost {}\n::1 localhost ip6-localhost\n", spec.id);
    spec.hosts.iter().fold(own, |all, name| format!("{all}127.0.0.1 {name}\n"))
}

/// The parts of the host that are the stack.
pub fn stack_paths(host: &HostFacts) -> Vec<PathBuf> {
    let names = host.usr_names.iter().filter(|(_, target)| target.is_none());
    let names = names.map(|(name, _)| format!("/{name}"));
    let etc = host.etc.iter().map(|name| format!("/etc/{name}"));
    let paths = std::iter::once("/usr".to_owned()).chain(names).chain(etc);
    paths.map(PathBuf::from).collect()
}

/// Everything else in `/proc` is the dyno's own, or open to every user of a machine. Processes are
/// not hidden from each other: they are all the dyno's.
fn proc_parts(host: &HostFacts) -> impl Iterator<Item = Step> {
    let there = |name: &&str| host.proc.iter().any(|there| there == name);
    let path = |name: &str| PathBuf::from("/proc").join(name);
    let read_only = PROC_READ_ONLY.into_iter().filter(there);
    let read_only = read_only.map(move |name| Step::ReadOnly { path: path(name) });
    let masked = PROC_MASKED.into_iter().filter(there);
    read_only.chain(masked.map(move |name| Step::Mask { path: path(name) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dyno::{Layer, Streams, Times};
    use crate::resources::Resources;
    use std::collections::BTreeMap;

    fn spec() -> DynoSpec {
        DynoSpec {
            id: uuid::Uuid::nil(),
            app: "library".parse().unwrap(),
            dyno: "web.1".parse().unwrap(),
            release: 1,
            command: "true".into(),
            env: BTreeMap::new(),
            slug: Some(crate::slug::SlugView::Tree("/slug".into())),
            slug_id: None,
            binds: vec![],
            port: Some(5),
            host_uid: None,
            times: Times { boot: 1, stop: 1, run: None },
            resources: Resources::default(),
            network: Network::Own,
            hosts: vec![],
            streams: Streams::Lines,
            layer: Layer::default(),
        }
    }

    #[test]
    fn privileges_go_last_and_the_host_is_left_before() {
        let host = HostFacts {
            usr_names: vec![("bin".into(), Some("usr/bin".into())), ("lib".into(), None)],
            etc: vec!["ssl/certs".into()],
            resolv_conf: String::new(),
            proc: vec!["sys".into(), "kcore".into()],
            outside: Outside::Pasta,
            closed: vec![],
        };
        let steps = plan(&spec(), &host);
        let at = |wanted: &dyn Fn(&Step) -> bool| steps.iter().position(wanted).unwrap();
        let overlay = at(&|s| matches!(s, Step::Overlay { slug: true }));
        let first_bind = at(&|s| matches!(s, Step::Stack { .. }));
        let pivot = at(&|s| *s == Step::Pivot);
        assert!(overlay < first_bind && first_bind < pivot);
        let network = Step::Network { outside: Outside::Pasta, closed: vec![] };
        assert_eq!(steps[steps.len() - 3..], [network, Step::DropPrivileges, Step::Run]);
        let build = plan(&DynoSpec { network: Network::Host, ..spec() }, &host);
        assert!(!build.iter().any(|step| matches!(step, Step::Network { .. })));
        let bound: Vec<_> = steps
            .iter()
            .filter_map(|s| match s {
                Step::Stack { path } => Some(path.display().to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(bound, ["/usr", "/lib", "/etc/ssl/certs"]);
        let proc = at(&|s| *s == Step::Proc);
        let parts = [
            Step::ReadOnly { path: "/proc/sys".into() },
            Step::Mask { path: "/proc/kcore".into() },
        ];
        assert_eq!(steps[proc + 1..=proc + 2], parts, "only what is there");
        let placed = at(&|s| *s == Step::Place { path: "/proc".into() });
        assert!(proc < overlay && overlay < placed && placed < pivot);
        let other = DynoSpec { id: uuid::Uuid::max(), release: 2, ..spec() };
        let both = [plan(&spec(), &host), plan(&other, &host)];
        let same = plan_ahead(&host);
        assert!(both.iter().all(|steps| steps.starts_with(&same)), "whoever the dyno is");
        let layer = Layer { strict: true, scratch: vec!["/app/x".into()], ..Layer::default() };
        let strict = plan(&DynoSpec { layer, ..spec() }, &host);
        let close = strict.iter().position(|step| *step == Step::Close).unwrap();
        assert_eq!(strict[close - 1], Step::Open { path: "/app/x".into() });
        assert!(strict[close..].contains(&Step::Pivot) && !steps.contains(&Step::Close));
        assert!(steps.contains(&Step::Link { path: "bin".into(), target: "usr/bin".into() }));
    }
}
