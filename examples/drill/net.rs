//! The mirrors' addresses: of both families in a network of the drill's own, where packets can vanish; else on loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt;

use crate::{MIRRORS, namespace, wire};

/// The argument of the program that runs in its own network.
pub(crate) const INSIDE: &str = "inside";

/// Goes on in a network of its own, with the same arguments; returns only where this system does not permit it.
pub(crate) fn enter(words: &[String]) {
    let setup = wire::setup(MIRRORS);
    let permitted = namespace::set_up(&setup).output();
    if permitted.is_ok_and(|ran| ran.status.success()) {
        let mut again = namespace::this_after(&setup);
        println!("unshare: {}", again.args(words).arg(INSIDE).exec());
    }
}

/// The addresses of a mirror, counted from 1.
pub(crate) fn ips(number: u8, inside: bool) -> Vec<IpAddr> {
    if inside {
        wire::ips(number).to_vec()
    } else {
        vec![Ipv4Addr::new(127, 0, 53, number).into()]
    }
}
