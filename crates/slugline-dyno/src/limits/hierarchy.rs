//! Where control groups can be made on this machine, read from the kernel's two tables.

use std::path::{Path, PathBuf};

/// The file systems of control groups, and where in them this process is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// The unified one: where it is mounted, and this process's own group.
    pub(super) v2: Option<(PathBuf, PathBuf)>,
    /// This process's own groups of the older kind, by controller.
    pub(super) v1: Vec<(String, PathBuf)>,
}

impl Hierarchy {
    /// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`.
    pub(super) fn of_this_process() -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}"));
        Self::parse(&read("mountinfo").unwrap_or_default(), &read("cgroup").unwrap_or_default())
    }

    fn parse(mountinfo: &str, own: &str) -> Self {
        let mut found = Hierarchy::default();
        for mount in mountinfo.lines().filter_map(Mount::parse) {
            for (controllers, path) in own.lines().filter_map(own_group) {
                let Some(group) = mount.place(path) else { continue };
                if mount.unified && controllers.is_empty() && found.v2.is_none() {
                    found.v2 = Some((PathBuf::from(mount.point), group));
                } else if !mount.unified {
                    let here = controllers.split(',').filter(|name| mount.has(name));
                    found.v1.extend(here.map(|name| (name.to_owned(), group.clone())));
                }
            }
        }
        found
    }

    /// This process's own group of an older controller.
    pub(super) fn v1(&self, controller: &str) -> Option<&Path> {
        let found = self.v1.iter().find(|(name, _)| name == controller);
        found.map(|(_, group)| group.as_path())
    }
}

/// One mounted hierarchy.
struct Mount<'a> {
    /// What of the hierarchy is mounted.
    root: &'a str,
    point: &'a str,
    unified: bool,
    /// The controllers are among these.
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// `36 35 98:0 /root /point rw,noatime shared:1 - cgroup cgroup rw,memory`.
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (place.next()?, place.next()?);
        let mut kind = kind.split(' ');
        let unified = match kind.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        Some(Self { root, point, unified, options: kind.nth(1).unwrap_or_default() })
    }

    fn has(&self, controller: &str) -> bool {
        !controller.is_empty() && self.options.split(',').any(|option| option == controller)
    }

    /// The directory of a group, where it can be seen from here.
    fn place(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(self.root).ok()?;
        let upwards = below.components().any(|part| part == std::path::Component::ParentDir);
        (!upwards).then(|| Path::new(self.point).join(below))
    }
}

/// `4:memory:/user.slice` is the controllers and the group.
fn own_group(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(':')?;
    rest.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_both_kinds_has_its_controllers_in_the_older() {
        let mounts = "\
            30 22 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/\n0::/\n";
        let found = Hierarchy::parse(mounts, own);
        assert_eq!(found.v1("memory"), Some(Path::new("/sys/fs/cgroup/memory/a/b")));
        assert_eq!(found.v1("cpu"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/")));
        assert_eq!(found.v1("pids"), None);
        let unified = PathBuf::from("/sys/fs/cgroup/unified");
        assert_eq!(found.v2, Some((unified.clone(), unified.join(""))));
    }

    #[test]
    fn a_group_outside_of_what_is_mounted_has_no_place() {
        let mounts = "31 30 0:27 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        let inside = Hierarchy::parse(mounts, "0::/docker/x/y\n");
        assert_eq!(inside.v2.map(|(_, own)| own), Some("/sys/fs/cgroup/y".into()));
        assert_eq!(Hierarchy::parse(mounts, "0::/../other\n"), Hierarchy::default());
    }
}
