//! Hosts of both families in a network of a test's own (`namespace`), to which packets can be made to vanish.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// The addresses of a host, counted from 1: IPv4, IPv6.
pub fn ips(host: u8) -> [IpAddr; 2] {
    [
        Ipv4Addr::new(192, 0, 2, host).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into(),
    ]
}

/// Makes so many hosts. Their addresses are local; behind these, on a wire, stand neighbours that do not exist.
pub fn setup(hosts: u8) -> String {
    let mut out = String::from(
        "ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up \
         && ip addr add 192.0.2.254/24 dev v0 && ip addr add 2001:db8::fe/64 dev v0 nodad",
    );
    for ip in (1..=hosts).flat_map(ips) {
        write!(
            out,
            " && ip addr add {ip} dev lo && ip neigh add {ip} lladdr 02:00:00:00:00:09 dev v0 nud permanent"
        )
        .unwrap();
    }
    out
}

/// From now on nothing that is sent to an address arrives, and nothing says so: it goes to the wire.
pub fn lose(ip: IpAddr) {
    address("del", ip);
}

/// It is local again. Who listens there has never ceased to.
pub fn find(ip: IpAddr) {
    address("add", ip);
}

fn address(verb: &str, ip: IpAddr) {
    let prefix = if ip.is_ipv4() { 32 } else { 128 };
    let status = Command::new("ip")
        .args(["addr", verb, &format!("{ip}/{prefix}"), "dev", "lo"])
        .status()
        .unwrap();
    assert!(status.success(), "ip addr {verb} {ip}");
}
