//! System calls that a name server has no use for are refused to it, and to the commands of its exec probes (seccomp(2)): who comes into the
//! process by an error in it cannot trace others, mount, load modules, set the clock, or get at the parts of the kernel that most errors are found in.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// What is refused. All else is allowed: what libraries call is not ours to foresee.
const REFUSED: [libc::c_long; 47] = [
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // What files there are.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Namespaces; `clone` below.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_personality,
    // Its keys.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine's time and name.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// A kernel of x86-64 takes the calls of x32 too, if it was made so: the same numbers with this bit.
const X32: i64 = 0x4000_0000;
/// `ptrace`, `kexec_load`, `process_vm_readv` and `process_vm_writev`, which have numbers of their own there. Old kernels take those without the
/// bit too.
const ONLY_X32: [i64; 4] = [521, 528, 539, 540];

/// What `clone` is refused with: it makes threads and processes, but no namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refuses them from now on, to the threads and processes too that this one starts. Filters are never taken away, they add up: once is enough.
///
/// # Errors
/// In words: the kernel has no such filters, or filters forbid it.
pub(super) fn refuse() -> Result<(), String> {
    let mut rules: Rules = REFUSED.map(|call| (call, Vec::new())).into();
    let flags = NAMESPACES.map(|flag| with_flag(flag.unsigned_abs().into()));
    let flags = flags.into_iter().collect::<Result<_, _>>();
    rules.insert(libc::SYS_clone, flags.map_err(|e| e.to_string())?);
    if ARCH == "x86_64" {
        rules.extend(ONLY_X32.map(|call| (call, Vec::new())));
    }
    lay(rules, libc::EPERM)?;
    // A filter cannot look behind pointers: who is told that there is no such call makes threads by `clone`.
    lay([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS)
}

/// Met where the first argument has this bit.
fn with_flag(bit: u64) -> seccompiler::Result<SeccompRule> {
    let masked = SeccompCmpOp::MaskedEq(bit);
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, masked, bit);
    let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
    rule.map_err(Into::into)
}

fn lay(mut rules: Rules, error: libc::c_int) -> Result<(), String> {
    if ARCH == "x86_64" {
        let same = rules.clone().into_iter();
        rules.extend(same.map(|(call, how)| (call | X32, how)));
    }
    let arch = ARCH
        .try_into()
        .map_err(|_| format!("nothing is known of {ARCH}"))?;
    let refused = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch);
    let program = filter
        .and_then(BpfProgram::try_from)
        .map_err(|e| e.to_string())?;
    apply_filter(&program).map_err(|e| e.to_string())
}
