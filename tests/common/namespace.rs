//! A network of a test's own, in which it is root: user and network namespaces, where this system permits them.

use std::process::Command;

/// Lets everybody in it send echo requests.
pub const PING: &str = "echo '0 0' > /proc/sys/net/ipv4/ping_group_range";

/// Packets to 192.0.2.9 and 2001:db8::9 go to a neighbour that does not exist.
pub const BLACKHOLE: &str = "ip link add v0 type veth peer name v1 \
    && ip addr add 192.0.2.1/24 dev v0 && ip addr add 2001:db8::1/64 dev v0 nodad \
    && ip link set v0 up && ip link set v1 up \
    && ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent \
    && ip neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev v0 nud permanent";

/// Only makes such a network: whether this system permits it.
pub fn set_up(setup: &str) -> Command {
    let script = format!("ip link set lo up && {setup}");
    let mut command = Command::new("unshare");
    command
        .args(["-Urn", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap());
    command
}

/// Runs this very program in such a network, with the arguments that are added.
pub fn this_after(setup: &str) -> Command {
    set_up(&format!("{setup} && exec \"$0\" \"$@\""))
}

const INSIDE: &str = "NEARMOST_TEST_INSIDE";

/// Whether the calling test, by its full name, is inside. Outside it is run again there once `setup` has succeeded, and must
/// pass; where this system does not permit it, that is printed, and the test fails where all are required.
pub fn inside(test: &str, setup: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let ran = |mut command: Command| {
        command
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .output()
    };
    let forbidden = match ran(set_up(setup)) {
        Ok(set_up) if set_up.status.success() => None,
        // Kernels and containers forbid it for reasons of their own; a package may be missing too.
        Ok(not) => Some(String::from_utf8_lossy(&not.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    };
    if let Some(why) = forbidden {
        let all = std::env::var_os("NEARMOST_REQUIRE_ALL").is_some();
        assert!(!all, "required, but no namespace for {test}: {why}");
        println!("skipped: no namespace for {test}: {why}");
        return false;
    }
    let ran = ran(this_after(setup)).unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "inside:\n{out}\n{err}");
    assert!(out.contains("1 passed"), "no test {test}:\n{out}");
    false
}
