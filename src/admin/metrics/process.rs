//! What the system knows of the process, under the names that Prometheus has for it, and of its sockets.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::page::Page;
use crate::control::Handle;

/// Ticks in a second of `/proc/self/stat`: the same on every architecture that Rust's standard library runs on under Linux.
const TICKS: f64 = 100.0;

pub(super) fn write(page: &mut Page<'_>, handle: &Handle) -> fmt::Result {
    page.gauge(
        "process_start_time_seconds",
        "When the process was started, in seconds since 1970.",
        handle.started().as_secs_f64(),
    )?;
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    if let Some(ticks) = cpu_ticks(&read("/proc/self/stat")) {
        let help = "CPU time of user and system.";
        page.seconds("process_cpu_seconds", help, ticks / TICKS)?;
    }
    let status = read("/proc/self/status");
    for (key, name, help, unit) in [
        ("VmRSS:", "process_resident_memory_bytes", "Memory.", 1024.0),
        (
            "VmSize:",
            "process_virtual_memory_bytes",
            "Virtual memory.",
            1024.0,
        ),
        ("Threads:", "process_threads", "Threads.", 1.0),
    ] {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        if let Some(number) = line.and_then(first_number) {
            page.gauge(name, help, number * unit)?;
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let count = u32::try_from(open.count()).unwrap_or(u32::MAX);
        let help = "Open file descriptors.";
        page.gauge("process_open_fds", help, count.into())?;
    }
    let limits = read("/proc/self/limits");
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    match limit.and_then(first_number) {
        Some(most) => page.gauge("process_max_fds", "The most that are allowed.", most),
        None => Ok(()),
    }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// User and system time. The name of the program, in brackets, may hold anything.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Datagrams that the system dropped as the receive queue of one of our sockets was full; none where it does not tell.
pub(super) fn queue_drops(listen: &[SocketAddr]) -> Option<u64> {
    // By the process: where only processes are seen of `/proc` there is no `/proc/net`.
    let files = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let texts: Vec<String> = files.iter().flat_map(fs::read_to_string).collect();
    let drops = texts.iter().map(|text| drops_in(text, listen)).sum();
    (!texts.is_empty()).then_some(drops)
}

/// Of a table of the system's sockets: the local address is the second column, what was dropped the last.
fn drops_in(table: &str, listen: &[SocketAddr]) -> u64 {
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let ours = listen.contains(&address(columns.nth(1)?)?);
        let dropped: u64 = columns.next_back()?.parse().ok()?;
        ours.then_some(dropped)
    };
    table.lines().filter_map(row).sum()
}

/// `0100007F:14B4`: words of 32 bits as they stand in memory, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok();
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?.to_ne_bytes()).into(),
        32 => {
            let mut octets = [0; 16];
            for (at, four) in octets.chunks_mut(4).enumerate() {
                four.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read() {
        assert_eq!(
            cpu_ticks("7 (a) b) S 1 7 7 0 -1 0 1 2 3 4 250 50 0 0"),
            Some(300.0)
        );
        let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
        let table = format!(
            "  sl  local_address rem_address\n 1: {loopback:08X}:14B4 00000000:0000 07 0:0 00:0 0 0 0 9 2 f 12\n 2: {loopback:08X}:14B5 00000000:0000 07 0:0 00:0 0 0 0 9 2 f 30\n"
        );
        let ours = ["127.0.0.1:5300".parse().expect("an address")];
        assert_eq!(drops_in(&table, &ours), 12);
    }
}
