//! `slugline doctor`: whether this machine can run dynos, found out by running one.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slugline_dyno::{LocalEngine, Mechanism, NetworkFacts};
use slugline_model::build::exit_code;
use slugline_model::dyno::{DynoSpec, Event, Network, Streams, Times};
use slugline_model::name::DynoName;
use slugline_model::network::{INTERFACE_PREFIX, Outside};
use slugline_model::port::Engine as _;
use slugline_model::resources::Resources;

use slugline_store::{IngestRequest, Store};

use crate::console::{complain, say};

/// How long a dyno that only says its name may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a dyno that does nothing, and says how it went. Gives the exit code.
pub(crate) fn doctor(as_json: bool) -> i32 {
    let who = if slugline_dyno::is_host_root() { "root" } else { "an ordinary user" };
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    if !as_json {
        say(&format!("Running as {who} on {kernel}"));
    }
    let facts = slugline_dyno::network_facts();
    let ran = run_a_dyno(&facts);
    let lines = ran.as_ref().map(|inbound| findings(&facts, inbound.as_deref()));
    if as_json {
        let found: Vec<Value> =
            lines.as_ref().into_iter().flatten().map(|line| finding(line)).collect();
        let error = lines.as_ref().err();
        let told = json!({ "user": who, "kernel": kernel, "findings": found, "error": error });
        say(&format!("{told:#}"));
        return if error.is_none() { exit_code::OK } else { exit_code::INTERNAL };
    }
    match lines {
        Ok(lines) => {
            for line in &lines {
                say(line);
            }
            exit_code::OK
        }
        Err(why) => {
            complain(&format!("error: a dyno cannot be started here\n  {why}"));
            exit_code::INTERNAL
        }
    }
}

/// What there is, a line each, once a dyno has run.
fn findings(facts: &NetworkFacts, inbound: Option<&str>) -> Vec<String> {
    let starts = "ok    a dyno starts: user, mount, pid, network, ipc, uts and cgroup namespaces, \
                  overlay, bash";
    let mut lines = vec![starts.to_owned(), views(), limits()];
    lines.extend(network(facts, inbound));
    lines.push(abstract_sockets().to_owned());
    lines.extend(["git", "python3", "uv", "node", "npm"].map(|tool| Tool(tool).to_string()));
    lines
}

/// A line for programs: `ok` or `none`, and the rest.
fn finding(line: &str) -> Value {
    let (state, text) = line.split_once(' ').unwrap_or((line, ""));
    json!({ "state": state, "text": text.trim_start() })
}

/// What dynos reach from here, why not more, and what would change it.
fn network(facts: &NetworkFacts, inbound: Option<&str>) -> Vec<String> {
    let mut lines = vec![outside(facts.outside).to_owned()];
    lines.extend(inbound.map(|why| format!("none  dynos reach nobody now: {why}")));
    if is_to_be_switched(facts) {
        lines.push(
            "ok    net.ipv4.ip_forward is 0 here: the server switches it on with the first dyno"
                .to_owned(),
        );
    }
    if facts.dropped_by_others {
        lines.push(format!(
            "none  other rules drop what dynos send: the chain FORWARD has the policy drop, which \
             Docker sets; let dynos through by `iptables -I DOCKER-USER -i {INTERFACE_PREFIX}+ -j \
             ACCEPT` and `iptables -I DOCKER-USER -o {INTERFACE_PREFIX}+ -j ACCEPT`"
        ));
    }
    if facts.outside != Outside::None && !facts.resolves {
        lines.push(
            "none  dynos resolve no names: the servers in /etc/resolv.conf are on this machine's \
             loopback or have IPv6 alone, and dynos reach neither; name another one there"
                .to_owned(),
        );
    }
    lines
}

/// Whether the first dyno with a network of its own switches something on for the whole machine,
/// which is not for a doctor to do.
fn is_to_be_switched(facts: &NetworkFacts) -> bool {
    facts.outside == Outside::Veth && !facts.forwards
}

fn outside(outside: Outside) -> &'static str {
    match (outside, slugline_dyno::is_host_root()) {
        (Outside::Veth, _) => {
            "ok    dynos reach the outside by interfaces of their own and rules of nftables, and not \
             this machine, its link, or each other; of IPv6 they have loopback alone"
        }
        (Outside::Pasta, _) => {
            "ok    dynos reach the outside by pasta, and not this machine, its link, or each other; of \
             IPv6 they have loopback alone"
        }
        (Outside::None, true) => {
            "none  dynos reach nobody, and only the router reaches them: rules for their networks \
             need nft; install it: `sudo apt-get install nftables`"
        }
        (Outside::None, false) => {
            "none  dynos reach nobody, and only the router reaches them: an ordinary user's need \
             pasta; install it: `sudo apt-get install passt`"
        }
    }
}

fn abstract_sockets() -> &'static str {
    if slugline_dyno::closes_abstract_sockets() {
        "ok    abstract sockets of other programs are out of a dyno's reach"
    } else {
        "none  abstract sockets of other programs are within a dyno's reach: Linux 6.12 or newer \
         closes them, with Landlock"
    }
}

/// How dynos see slugs here, and what each of the two ways takes.
fn views() -> String {
    match measure_views() {
        Ok(Views { mounted: Ok(mounted), linked }) => format!(
            "ok    slugs are mounted: a view of {FILES} files takes {} each time, where hard links \
             would take {} the first time",
            milliseconds(mounted),
            milliseconds(linked)
        ),
        Ok(Views { mounted: Err(why), linked }) => format!(
            "ok    slugs are trees of hard links: a first view of {FILES} files takes {}; they cannot \
             be mounted: {why}",
            milliseconds(linked)
        ),
        Err(why) => format!("none  slugs cannot be stored in the temporary directory: {why}"),
    }
}

/// Of the slug that is measured.
const FILES: usize = 2_000;

struct Views {
    mounted: Result<Duration, String>,
    linked: Duration,
}

fn measure_views() -> Result<Views, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let tree = directory.path().join("tree");
    fs_err::create_dir(&tree)?;
    fs_err::write(tree.join("probe"), "probe")?;
    for number in 1..FILES {
        fs_err::write(tree.join(number.to_string()), number.to_string())?;
    }
    let store = Store::open(directory.path().join("store"))?;
    let id = store.ingest(&tree, &IngestRequest::default(), &mut |_| {})?.id;
    let started = Instant::now();
    store.checkout(&id)?;
    let linked = started.elapsed();
    let image = store.image(&id)?;
    let started = Instant::now();
    let mounted = slugline_dyno::can_mount_slugs(&image, &store.objects());
    Ok(Views { mounted: mounted.map(|()| started.elapsed()), linked })
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// What limits dynos and builds here, and what would do it better.
fn limits() -> String {
    let found = tempfile::tempdir().map(|directory| slugline_dyno::mechanism(directory.path()));
    let Ok(mechanism) = found else {
        return "none  dynos cannot be limited: there is no temporary directory".to_owned();
    };
    let better = match mechanism {
        Mechanism::Unified => "",
        Mechanism::Older => {
            ": as well as v2 does; started by an ordinary user, dynos would get process limits"
        }
        Mechanism::Rlimits => {
            "; exact limits need control groups: start the server in a group of its own, such as \
             by `systemd-run --user --scope -p Delegate=yes slugline serve`, or as root"
        }
    };
    format!("ok    dynos and builds are limited by {mechanism}{better}; {}", disks(mechanism))
}

/// Who reads and writes first.
fn disks(mechanism: Mechanism) -> &'static str {
    match (mechanism, slugline_dyno::has_fair_disks()) {
        (Mechanism::Unified, _) => "disks are shared by weight as far as they know weights",
        (Mechanism::Older, true) => "disks are shared by weight",
        (Mechanism::Older, false) => {
            "disks are shared by priority alone: weights need the scheduler bfq, or v2, and a fixed \
             rate would slow a dyno down that nobody is in the way of"
        }
        (Mechanism::Rlimits, _) => "disks are shared by priority alone",
    }
}

/// A program that builds use where the host is the stack.
struct Tool(&'static str);

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let found = ["/usr/local/bin", "/usr/bin", "/bin"]
            .iter()
            .map(|directory| std::path::Path::new(directory).join(self.0))
            .find(|path| path.exists());
        match found {
            Some(path) => write!(f, "ok    the stack has {}", path.display()),
            None => {
                write!(f, "none  the stack has no {}: builds fetch it where they need it", self.0)
            }
        }
    }
}

/// Says why that dyno reached nobody outside, if it did not.
fn run_a_dyno(facts: &NetworkFacts) -> Result<Option<String>, String> {
    let directory =
        tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let (send, events) = mpsc::channel();
    let sink = Box::new(move |_, event| {
        let _ = send.send(event);
    });
    let engine = LocalEngine::open(directory.path(), &program, sink).map_err(|e| e.to_string())?;
    let network = if is_to_be_switched(facts) { Network::Host } else { Network::Own };
    let spec = DynoSpec { network, ..spec()? };
    engine.start(&spec).map_err(|error| format!("{}: {}", error.operation, error.source))?;
    let mut verdict = Ok(None);
    loop {
        match events.recv_timeout(PATIENCE).map(|timed| timed.event) {
            Ok(Event::Inbound { why }) => verdict = Ok(Some(why)),
            Ok(Event::LaunchFailed { step, error, remedy }) => {
                verdict = Err(format!("{step}: {error}\n  {remedy}"));
            }
            Ok(Event::Exited { status }) if status != 0 => {
                verdict = Err(format!("bash exited with status {status}"));
            }
            Ok(Event::Discarded { .. }) => break,
            Ok(_) => {}
            Err(_) => return Err("the dyno did not end in time".to_owned()),
        }
    }
    engine.forget(spec.id).map_err(|error| error.to_string())?;
    verdict
}

fn spec() -> Result<DynoSpec, String> {
    let named = |error: slugline_model::name::NameError| error.to_string();
    Ok(DynoSpec {
        id: uuid::Uuid::new_v4(),
        app: "doctor".parse().map_err(named)?,
        dyno: DynoName::new("run".parse().map_err(named)?, 1),
        release: 1,
        command: "true".to_owned(),
        env: BTreeMap::from([("HOME".to_owned(), "/app".to_owned())]),
        slug: None,
        slug_id: None,
        binds: vec![],
        port: None,
        host_uid: None,
        times: Times { boot: 0, stop: 1_000, run: Some(10_000) },
        resources: Resources::default(),
        network: Network::Own,
        hosts: vec![],
        streams: Streams::Lines,
        layer: slugline_model::dyno::Layer::default(),
    })
}
