//! The system calls that need `unsafe`. Each block argues; nothing outside this module has one.
#![expect(unsafe_code, reason = "the one place for it")]

mod fanotify;
mod idmap;
mod landlock;
mod process;
mod seccomp;
mod signals;

pub(crate) use fanotify::{Written, read_written, watch_file_system, watch_no_more, watch_writes};
pub(crate) use idmap::{idmap_mount, restrict_mount};
pub(crate) use landlock::{knows_abstract_sockets, leave_abstract_sockets};
pub(crate) use process::{
    Forked, clone_into_namespaces, close_what_was_inherited, die_with_parent, drop_groups, exit,
    forget_arguments, fork, kill_all, leave_group_names, leave_keyring, leave_mounts,
    leave_network, wait_for_disks_of_others,
};
pub(crate) use seccomp::filter_calls;
pub(crate) use signals::{Signals, as_a_shell_has_them};
