//! Which CPUs there are, and what processes have used of them.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The first two CPUs that we may use; none on a machine that has only one.
pub fn two() -> Option<[usize; 2]> {
    let all = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let mut those = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu) == Ok(true));
    Some([those.next()?, those.next()?])
}

/// Binds the calling thread, and all processes and threads that it starts from now on.
pub fn bind(cpus: &[usize]) {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu).expect("a CPU that we may use");
    }
    sched_setaffinity(Pid::from_raw(0), &set).expect("a CPU that we may use");
}

/// CPU time of a process's threads so far; of those of one name, if one is given.
pub fn used(process: u32, thread: Option<&str>) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let nanoseconds = tasks.filter_map(|task| {
        let task = task.ok()?.path();
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let counts = thread.is_none_or(|thread| name.trim_end() == thread);
        let times = std::fs::read_to_string(task.join("schedstat")).ok()?;
        counts.then(|| times.split(' ').next()?.parse::<u64>().ok())?
    });
    Duration::from_nanos(nanoseconds.sum::<u64>())
}

/// Resident memory of a process in MiB.
pub fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
