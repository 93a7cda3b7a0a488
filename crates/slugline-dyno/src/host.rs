//! What this machine offers: the parts of a stack, and what to do where it forbids dynos.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use slugline_model::dyno::Network;
use slugline_model::sandbox::{HOST_ETC, HostFacts, PROC_MASKED, PROC_READ_ONLY, USR_NAMES};

use crate::network::Order;

/// Reads what a launch needs to know of the host.
pub(crate) fn host_facts(network: Network, order: &Order) -> HostFacts {
    let usr_names = USR_NAMES
        .iter()
        .filter_map(|name| {
            let path = Path::new("/").join(name);
            let kind = std::fs::symlink_metadata(&path).ok()?;
            let target = std::fs::read_link(&path).ok();
            (kind.is_dir() || target.is_some())
                .then(|| ((*name).to_owned(), target.map(|t| t.to_string_lossy().into_owned())))
        })
        .collect();
    let those_in = |directory: &str, names: &[&str]| -> Vec<String> {
        let exists = |name: &&&str| Path::new(directory).join(name).exists();
        names.iter().filter(exists).map(|name| (*name).to_owned()).collect()
    };
    HostFacts {
        usr_names,
        etc: those_in("/etc", &HOST_ETC),
        proc: those_in("/proc", &[PROC_READ_ONLY.as_slice(), &PROC_MASKED].concat()),
        resolv_conf: resolv_conf(network).unwrap_or_default(),
        outside: order.outside,
        closed: order.closed(),
    }
}

/// Which files those of [`HOST_ETC`] are by now: the device and inode of each that exists.
pub(crate) fn etc_files() -> Vec<Option<(u64, u64)>> {
    let file = |name: &str| {
        let metadata = Path::new("/etc").join(name).metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    HOST_ETC.into_iter().map(file).collect()
}

/// A resolver's configuration for a dyno. In a network of its own it cannot reach a resolver on the
/// machine's loopback: what that one asks is then in a second file. None where nothing is known
/// that a dyno can reach.
pub(crate) fn resolv_conf(network: Network) -> Option<String> {
    const FILES: [&str; 3] = [
        "/etc/resolv.conf",
        "/run/systemd/resolve/resolv.conf",
        "/run/NetworkManager/no-stub-resolv.conf",
    ];
    let mut texts = FILES.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    match network {
        Network::Host => Some(std::mem::take(&mut texts[0])),
        Network::Own => slugline_model::network::resolv_conf(texts.iter().map(String::as_str)),
    }
}

/// Whether mounts may be idmapped and any uid may be used: root on the host itself, not root of
/// somebody's user namespace.
pub fn is_host_root() -> bool {
    rustix::process::geteuid().is_root()
        && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_whole(&map))
}

/// Whether a `uid_map` is the host's own, which maps every uid to itself. Root who makes a user
/// namespace maps 0 to 0 too, but only that one.
fn is_whole(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether the kernel counts a user's processes in each user namespace of its own, as it does from
/// 5.14 on. Before, a limit on a dyno's would count all that the server's user has.
pub(crate) fn counts_processes_by_namespace() -> bool {
    is_at_least(&rustix::system::uname().release().to_string_lossy(), (5, 14))
}

fn is_at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= wanted
}

/// Whether dynos are kept from the abstract sockets of this machine's programs.
pub fn closes_abstract_sockets() -> bool {
    crate::sys::knows_abstract_sockets()
}

/// What the operator can do when a launch fails at a step; empty where nothing is known.
pub(crate) fn remedy(step: &str) -> String {
    match step {
        "clone" => user_namespace_remedy(),
        "overlay" => "overlay mounts in user namespaces need Linux 5.11 or newer with overlayfs: \
                      load it with `sudo modprobe overlay`"
            .to_owned(),
        "proc" => "a sandbox around this shell hides parts of /proc, so the kernel refuses a new \
                   one: run Slugline outside of it"
            .to_owned(),
        _ => String::new(),
    }
}

/// Names the switch that forbids user namespaces, if one of the known ones does.
fn user_namespace_remedy() -> String {
    let is = |name: &str, value: &str| {
        std::fs::read_to_string(Path::new("/proc/sys").join(name)).is_ok_and(|t| t.trim() == value)
    };
    let switches = [
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ];
    match switches.iter().find(|(name, value, _)| is(name, value)) {
        Some((_, _, setting)) => {
            format!("user namespaces are switched off here; allow them: `sudo sysctl -w {setting}`")
        }
        None => "user namespaces are not allowed here; the kernel needs CONFIG_USER_NS, and a \
                 sandbox around this shell must permit them"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_as_old_as_its_name_says() {
        for new in ["6.18.44-fc", "5.14.0-rc1", "5.15"] {
            assert!(is_at_least(new, (5, 14)), "{new}");
        }
        for old in ["5.10.0-21-amd64", "4.19", "odd"] {
            assert!(!is_at_least(old, (5, 14)), "{old}");
        }
    }

    #[test]
    fn only_the_hosts_own_map_is_whole() {
        assert!(is_whole("         0          0 4294967295\n"));
        assert!(!is_whole("         0          0          1\n"), "root's own namespace");
        assert!(!is_whole("         0       1000          1\n"), "a user's namespace");
        assert!(!is_whole("         0     100000      65536\n"), "a container's");
    }
}
