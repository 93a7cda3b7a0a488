//! Which system calls a dyno's programs may make.
//!
//! At least as strict as what container engines start programs under by default: everything that
//! is for administrators is refused as if it were not permitted, and everything that is newer than
//! this list as if the kernel did not know it. Namespaces are among the former, so that a dyno
//! cannot get at the kernel's parts that are only reachable with privileges of one's own making.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long,
    sock_filter,
};

/// The kernel's name of this machine's system calls; others, such as those of 32 bits, have other
/// numbers, and a filter that let them through could be walked around.
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xC000_003E } else { 0xC000_00B7 };

/// The newest call that is known here, `removexattrat`; the same number everywhere.
const NEWEST: u32 = 466;

/// Where `struct seccomp_data` has what is asked: on both machines the low half comes first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// Flags of `clone` that make namespaces.
const NAMESPACES: u32 = 0x7E02_0000;

/// What refuses, with an error in its low bits, and what allows.
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// Calls that no program of a dyno has a use for, and that change or reveal more than the dyno.
const REFUSED: [c_long; 57] = [
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    457, // statmount
    458, // listmount
    // Files by handles that lead around directories; disks.
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // The kernel's own program, its clock, its log.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Large parts of the kernel where mistakes are found year after year.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    // Where memory lies on a machine with several nodes.
    libc::SYS_mbind,
    libc::SYS_get_mempolicy,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    MACHINE,
];

/// Ports of the machine, where it has such.
#[cfg(target_arch = "x86_64")]
const MACHINE: c_long = libc::SYS_iopl;
#[cfg(not(target_arch = "x86_64"))]
const MACHINE: c_long = libc::SYS_nfsservctl;

/// The filter as the kernel runs it, for each call from its first instruction on.
pub(crate) fn program() -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCH),
        jump(BPF_JEQ, ARCHITECTURE, 1, 0),
        answer(refuse(libc::ENOSYS)),
        load(NUMBER),
        jump(BPF_JGT, NEWEST, 0, 1),
        answer(refuse(libc::ENOSYS)),
    ];
    for call in REFUSED {
        program.extend([jump(BPF_JEQ, number(call), 0, 1), answer(refuse(libc::EPERM))]);
    }
    // Its flags lie in memory, where no filter sees them; every C library then uses `clone`.
    program.extend([
        jump(BPF_JEQ, number(libc::SYS_clone3), 0, 1),
        answer(refuse(libc::ENOSYS)),
        jump(BPF_JEQ, number(libc::SYS_clone), 0, 4),
        load(FIRST_ARGUMENT),
        instruction(BPF_ALU | BPF_AND | BPF_K, NAMESPACES),
        jump(BPF_JEQ, 0, 4, 0),
        answer(refuse(libc::EPERM)),
        // A socket to the hypervisor, past every network.
        jump(BPF_JEQ, number(libc::SYS_socket), 0, 2),
        load(FIRST_ARGUMENT),
        jump(BPF_JEQ, libc::AF_VSOCK.cast_unsigned(), 1, 0),
        answer(ALLOW),
        answer(refuse(libc::EPERM)),
    ]);
    program
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn refuse(errno: i32) -> u32 {
    REFUSE | errno.cast_unsigned()
}

fn load(from: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, from)
}

fn answer(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, action)
}

fn instruction(code: u32, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
}

/// Skips so many instructions if the comparison holds, or if it does not.
fn jump(comparison: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { jt, jf, ..instruction(BPF_JMP | comparison | BPF_K, k) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter on a call, as the kernel does.
    fn judge(architecture: u32, call: u32, first: u32) -> u32 {
        let program = program();
        let (mut at, mut word) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let (code, skip) = (u32::from(code), |holds| usize::from(if holds { jt } else { jf }));
            match code & 0x07 {
                BPF_LD => {
                    word = match k {
                        ARCH => architecture,
                        NUMBER => call,
                        _ => first,
                    }
                }
                BPF_ALU => word &= k,
                BPF_JMP if code & 0xf0 == BPF_JGT => at += skip(word > k),
                BPF_JMP => at += skip(word == k),
                _ => return k,
            }
        }
    }

    fn here(call: c_long, first: u32) -> u32 {
        judge(ARCHITECTURE, number(call), first)
    }

    #[test]
    fn what_is_for_administrators_is_refused_and_the_rest_is_not() {
        for call in REFUSED {
            assert_eq!(here(call, 0), refuse(libc::EPERM), "{call}");
        }
        for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_futex, libc::SYS_ptrace] {
            assert_eq!(here(call, u32::MAX), ALLOW, "{call}");
        }
    }

    #[test]
    fn namespaces_are_refused_however_they_are_asked_for() {
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND).cast_unsigned();
        assert_eq!(here(libc::SYS_clone, thread), ALLOW);
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET] {
            assert_eq!(here(libc::SYS_clone, flag.cast_unsigned()), refuse(libc::EPERM));
        }
        assert_eq!(here(libc::SYS_clone3, 0), refuse(libc::ENOSYS));
    }

    #[test]
    fn other_machines_and_newer_calls_do_not_exist() {
        assert_eq!(judge(0x4000_0003, 1, 0), refuse(libc::ENOSYS), "32 bits");
        assert_eq!(here(0x4000_0000, 0), refuse(libc::ENOSYS), "x32");
        assert_eq!(here(c_long::from(NEWEST) + 1, 0), refuse(libc::ENOSYS));
        assert_eq!(here(c_long::from(NEWEST), 0), ALLOW);
    }

    #[test]
    fn a_socket_of_the_network_is_allowed_and_one_to_the_hypervisor_is_not() {
        assert_eq!(here(libc::SYS_socket, libc::AF_INET.cast_unsigned()), ALLOW);
        let to_the_hypervisor = here(libc::SYS_socket, libc::AF_VSOCK.cast_unsigned());
        assert_eq!(to_the_hypervisor, refuse(libc::EPERM));
    }
}
