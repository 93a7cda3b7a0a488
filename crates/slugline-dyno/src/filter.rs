//! Which system calls a dyno's programs may make.
//!
//! At least as strict as what container engines start programs under by default, which a test holds
//! it against: everything that is for administrators is refused as if it were not permitted, and
//! everything that is newer than this list as if the kernel did not know it. Namespaces are among
//! the former, so that a dyno cannot get at the kernel's parts that are only reachable with
//! privileges of one's own making.

use std::sync::LazyLock;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, c_int,
    c_long, sock_filter,
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
const SECOND_ARGUMENT: u32 = 24;

/// Flags of `clone` that make namespaces.
const NAMESPACES: u32 = 0x7E02_0000;

/// What refuses, with an error in its low bits, and what allows.
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// Calls that no program of a dyno has a use for, and that change or reveal more than the dyno.
const REFUSED: [c_long; 60] = [
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
    libc::SYS_process_madvise,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    459, // lsm_get_self_attr
    460, // lsm_set_self_attr
    461, // lsm_list_modules
    // Where memory lies on a machine with several nodes.
    libc::SYS_mbind,
    libc::SYS_get_mempolicy,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// More of them that only this kind of machine has: its ports, and what is older than its kernels.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: [c_long; 15] = [
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
    174, // create_module
    177, // get_kernel_syms
    178, // query_module
    libc::SYS_getpmsg,
    libc::SYS_putpmsg,
    libc::SYS_afs_syscall,
    libc::SYS_tuxcall,
    libc::SYS_security,
    libc::SYS_vserver,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: [c_long; 0] = [];

/// Sockets to the hypervisor, past every network, and to the kernel's ciphers.
const REFUSED_FAMILIES: [c_int; 2] = [libc::AF_VSOCK, libc::AF_ALG];

/// What a program may ask to be run as: what it is, one of 32 bits, one that sees an old version's
/// name, both, and the question what it is. Others lay memory out so that it can be guessed.
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, u32::MAX];

/// What types into a terminal as if its user had, and what reads the console.
const REFUSED_REQUESTS: [u32; 2] = [0x5412, 0x541C];

/// The filter as the kernel runs it, made before it is needed.
pub(crate) fn program() -> &'static [sock_filter] {
    static PROGRAM: LazyLock<Vec<sock_filter>> = LazyLock::new(make_program);
    &PROGRAM
}

/// How many calls are compared with one after the other. The kernel tries a filter on each call that
/// there is before it takes it, so that a short way through it is what a start waits for.
const GROUP: usize = 8;

fn make_program() -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCH),
        jump(BPF_JEQ, ARCHITECTURE, 1, 0),
        answer(refuse(libc::ENOSYS)),
        load(NUMBER),
        jump(BPF_JGT, NEWEST, 0, 1),
        answer(refuse(libc::ENOSYS)),
    ];
    let mut rules = rules();
    rules.sort_by_key(|(call, _)| number(*call));
    for group in rules.chunks(GROUP) {
        let mut those: Vec<_> = group.iter().flat_map(|(call, judge)| when(*call, judge)).collect();
        those.push(answer(ALLOW));
        let last = group.iter().map(|(call, _)| number(*call)).max().unwrap_or(0);
        program.push(jump(BPF_JGT, last, over(&those), 0));
        program.extend(those);
    }
    program.push(answer(ALLOW));
    program
}

/// The calls that are judged, each with the instructions that do it and answer.
fn rules() -> Vec<(c_long, Vec<sock_filter>)> {
    let namespaces = vec![
        load(FIRST_ARGUMENT),
        instruction(BPF_ALU | BPF_AND | BPF_K, NAMESPACES),
        jump(BPF_JEQ, 0, 0, 1),
        answer(ALLOW),
        answer(refuse(libc::EPERM)),
    ];
    let families = REFUSED_FAMILIES.map(c_int::cast_unsigned);
    let refused = REFUSED.into_iter().chain(REFUSED_HERE);
    let mut rules: Vec<_> = refused.map(|call| (call, vec![answer(refuse(libc::EPERM))])).collect();
    rules.extend([
        // Its flags lie in memory, where no filter sees them; every C library then uses `clone`.
        (libc::SYS_clone3, vec![answer(refuse(libc::ENOSYS))]),
        (libc::SYS_clone, namespaces),
        (libc::SYS_socket, unless(FIRST_ARGUMENT, &families)),
        (libc::SYS_ioctl, unless(SECOND_ARGUMENT, &REFUSED_REQUESTS)),
        (libc::SYS_personality, only(FIRST_ARGUMENT, &PERSONALITIES)),
    ]);
    rules
}

/// Judges one call by these instructions, which answer.
fn when(call: c_long, judge: &[sock_filter]) -> Vec<sock_filter> {
    let mut program = vec![jump(BPF_JEQ, number(call), 0, over(judge))];
    program.extend_from_slice(judge);
    program
}

/// A jump over all of these.
fn over(program: &[sock_filter]) -> u8 {
    u8::try_from(program.len()).unwrap_or(u8::MAX)
}

/// Allows a call unless an argument is one of these.
fn unless(argument: u32, values: &[u32]) -> Vec<sock_filter> {
    judge(argument, values, refuse(libc::EPERM), ALLOW)
}

/// Allows a call if an argument is one of these.
fn only(argument: u32, values: &[u32]) -> Vec<sock_filter> {
    judge(argument, values, ALLOW, refuse(libc::EPERM))
}

fn judge(argument: u32, values: &[u32], listed: u32, other: u32) -> Vec<sock_filter> {
    let mut program = vec![load(argument)];
    for value in values {
        program.extend([jump(BPF_JEQ, *value, 0, 1), answer(listed)]);
    }
    program.push(answer(other));
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

    /// What the default profile of the container engines (moby/profiles, `seccomp/default.json` of
    /// June 2026) does not allow to a program without capabilities on this kind of machine, by
    /// number and name.
    #[cfg(target_arch = "x86_64")]
    const REFUSED_BY_ENGINES: &str = include_str!("filter_refused.txt");

    /// Runs the filter on a call whose first argument is this, as the kernel does.
    fn judge(architecture: u32, call: u32, first: u32) -> u32 {
        judge_both(architecture, call, [first, 0])
    }

    fn judge_both(architecture: u32, call: u32, arguments: [u32; 2]) -> u32 {
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
                        FIRST_ARGUMENT => arguments[0],
                        _ => arguments[1],
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
        for call in REFUSED.into_iter().chain(REFUSED_HERE) {
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
    #[cfg(target_arch = "x86_64")]
    fn whatever_the_engines_refuse_is_refused() {
        let calls: Vec<(u32, &str)> = REFUSED_BY_ENGINES
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(number, name)| (number.parse().unwrap(), name))
            .collect();
        assert!(calls.len() > 70, "{calls:?}");
        for (call, name) in calls {
            assert_ne!(judge(ARCHITECTURE, call, 0), ALLOW, "{name}");
        }
    }

    #[test]
    fn a_socket_of_the_network_is_allowed_and_those_past_it_are_not() {
        let socket = |family: c_int| here(libc::SYS_socket, family.cast_unsigned());
        for family in [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK] {
            assert_eq!(socket(family), ALLOW, "{family}");
        }
        for family in [libc::AF_VSOCK, libc::AF_ALG] {
            assert_eq!(socket(family), refuse(libc::EPERM), "{family}");
        }
    }

    #[test]
    fn a_program_is_run_as_what_it_is_or_as_engines_allow() {
        let run_as = |personality| here(libc::SYS_personality, personality);
        for allowed in [0, 8, 131_072, 131_080, 0xffff_ffff] {
            assert_eq!(run_as(allowed), ALLOW, "{allowed:#x}");
        }
        for layout in [0x004_0000, 0x010_0000, 0x040_0000, 1] {
            assert_eq!(run_as(layout), refuse(libc::EPERM), "{layout:#x}");
        }
    }

    #[test]
    fn nobody_types_for_another() {
        let request =
            |request: u32| judge_both(ARCHITECTURE, number(libc::SYS_ioctl), [0, request]);
        assert_eq!(request(0x5412), refuse(libc::EPERM), "TIOCSTI");
        assert_eq!(request(0x5401), ALLOW, "TCGETS");
    }
}
