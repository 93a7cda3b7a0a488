//! The launch of a dyno, step by step, for people.

use std::path::Path;

use crate::network::Outside;
use crate::sandbox::Step;
use crate::size::human;

/// A line for each step, in order; neighbours of a kind share one.
pub fn lines(steps: &[Step]) -> Vec<String> {
    let mut lines = vec![
        "A process of its own user, mount, pid, ipc, uts, cgroup and network namespaces".to_owned(),
    ];
    let mut rest = steps;
    while let Some(first) = rest.first() {
        let alike = rest.iter().take_while(|step| kind(step) == kind(first)).count();
        let alike = if kind(first).is_some() { alike } else { 1 };
        let (these, others) = rest.split_at(alike);
        lines.push(match kind(first) {
            Some(kind) => format!("{kind}: {}", names(these)),
            None => single(first),
        });
        rest = others;
    }
    lines
}

/// What several neighbours are called together; none for those that stand alone.
fn kind(step: &Step) -> Option<&'static str> {
    Some(match step {
        Step::Directory { .. } => "Directories of the stack",
        Step::File { .. } => "Files of the stack, made for this dyno",
        Step::Link { .. } => "Links of the stack",
        Step::Stack { .. } => "The machine's, read-only",
        Step::Bind(bind) if bind.writable => "The server's, writable",
        Step::Bind(_) => "The server's, read-only",
        Step::ReadOnly { .. } => "Read-only",
        Step::Mask { .. } => "Hidden",
        Step::Place { .. } => "Made before, now in the root",
        Step::Open { .. } => "Writable",
        _ => return None,
    })
}

fn names(steps: &[Step]) -> String {
    let name = |step: &Step| match step {
        Step::Directory { path, .. }
        | Step::File { path, .. }
        | Step::Stack { path }
        | Step::ReadOnly { path }
        | Step::Open { path }
        | Step::Place { path }
        | Step::Mask { path } => absolute(path),
        Step::Link { path, target } => format!("{} -> {target}", absolute(path)),
        Step::Bind(bind) => absolute(&bind.to),
        _ => String::new(),
    };
    steps.iter().map(name).collect::<Vec<_>>().join(" ")
}

fn absolute(path: &Path) -> String {
    Path::new("/").join(path).display().to_string()
}

fn single(step: &Step) -> String {
    match step {
        Step::Overlay { slug: true } => {
            "The root: the stack, above it the slug, above it the dyno's own layer".to_owned()
        }
        Step::Overlay { slug: false } => {
            "The root: the stack, above it the dyno's layer".to_owned()
        }
        Step::Devices => {
            "A /dev of null, zero, full, random, urandom, tty and its own terminals".to_owned()
        }
        Step::SharedMemory { bytes } => format!("{} of /dev/shm", human(*bytes)),
        Step::Proc => "A /proc of its own processes".to_owned(),
        Step::Close => "Nothing else of the app's disk is writable (EROFS)".to_owned(),
        Step::Pivot => "The root becomes /; the machine's files are out of reach".to_owned(),
        Step::Network { outside, closed } => network(*outside, closed.len()),
        Step::HostName { name } => format!("Its host name: {name}"),
        Step::DropPrivileges => "No capability, no new privileges, no socket of others".to_owned(),
        Step::Run => "Init starts the command by bash, under a filter of system calls".to_owned(),
        // They have a kind.
        other => format!("{other:?}"),
    }
}

fn network(outside: Outside, closed: usize) -> String {
    let outside = match outside {
        Outside::Veth => "the outside by a pair of interfaces, under the server's rules",
        Outside::Pasta => "the outside by pasta",
        Outside::None => "nothing outside",
    };
    match closed {
        0 => format!("Loopback of its own, and {outside}; the router comes in through init"),
        _ => format!(
            "Loopback of its own, and {outside} but {closed} closed networks; the router comes in \
             through init"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{HostFacts, plan};

    #[test]
    fn a_launch_reads_from_the_namespaces_to_the_command() {
        let spec = serde_json::json!({
            "id": "00000000-0000-4000-8000-000000000001", "app": "owl", "dyno": "web.1",
            "release": 1, "command": "true", "env": {}, "slug": { "tree": "/slug" }, "binds": [],
            "port": 5000, "host_uid": null, "times": { "boot": 1, "stop": 1, "run": null },
        });
        let host = HostFacts {
            usr_names: vec![("bin".into(), Some("usr/bin".into())), ("lib".into(), None)],
            etc: vec!["ssl/certs".into(), "localtime".into()],
            proc: vec!["kcore".into()],
            ..HostFacts::default()
        };
        let steps = plan(&serde_json::from_value(spec).unwrap(), &host);
        let lines = lines(&steps);
        assert!(lines[0].contains("namespaces"), "{lines:#?}");
        for line in [
            "Links of the stack: /bin -> usr/bin",
            "The root: the stack, above it the slug, above it the dyno's own layer",
            "The machine's, read-only: /usr /lib /etc/localtime /etc/ssl/certs",
            "The root becomes /; the machine's files are out of reach",
        ] {
            let words = |text: &str| {
                let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
                words.sort_unstable();
                words
            };
            assert!(lines.iter().any(|known| words(known) == words(line)), "{line}: {lines:#?}");
        }
        assert!(lines.last().unwrap().starts_with("Init starts the command"), "{lines:#?}");
    }
}
