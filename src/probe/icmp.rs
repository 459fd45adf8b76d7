//! Echo requests through the kernel's datagram sockets, which need no privilege but a group in
//! `net.ipv4.ping_group_range` (IPv6 included).

use std::io::{self, Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::words::{self, Phase};
use super::{Problem, random};

/// Octets behind the header of an echo request: chance, so that no late reply to another run is taken for this one's.
const CHANCE: usize = 8;
const HEADER: usize = 8;

/// Whether the kernel lets us ask an address of this family.
pub(super) fn allowed(address: IpAddr) -> Result<(), Problem> {
    match socket(address) {
        Ok(_) => Ok(()),
        // Others may pass: they are told when the check runs.
        Err(error) if error.kind() != ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(Problem::Ping(error.to_string())),
    }
}

/// Whether `node` answers an echo request.
pub(super) async fn echoed(node: IpAddr, patience: Duration) -> Result<(), String> {
    match timeout(patience, exchange(node)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(words::io(&error, Phase::Waiting)),
        Err(_) => Err(words::timed_out(patience, Phase::Waiting)),
    }
}

async fn exchange(node: IpAddr) -> io::Result<()> {
    let socket: std::net::UdpSocket = socket(node)?.into();
    // The same system calls as on a datagram socket of UDP; ports mean nothing.
    let socket = UdpSocket::from_std(socket)?;
    socket.connect(SocketAddr::new(node, 0)).await?;
    let (request, reply) = messages(node, random());
    socket.send(&request).await?;
    let mut room = [0; 128];
    loop {
        let length = socket.recv(&mut room).await?;
        if is_reply(&room[..length], reply, &request) {
            return Ok(());
        }
    }
}

fn socket(node: IpAddr) -> io::Result<Socket> {
    let (domain, protocol) = match node {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol)).map_err(unsupported)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A kernel without the protocol says something that nobody understands.
fn unsupported(error: Error) -> Error {
    const EPROTONOSUPPORT: i32 = 93;
    match error.raw_os_error() {
        Some(EPROTONOSUPPORT) => {
            Error::new(ErrorKind::Unsupported, "this system has no ping sockets")
        }
        _ => error,
    }
}

/// A request, and the type of its reply. Checksum and identifier are the kernel's to fill in.
fn messages(node: IpAddr, chance: [u8; CHANCE]) -> ([u8; HEADER + CHANCE], u8) {
    let (request, reply) = match node {
        IpAddr::V4(_) => (8, 0),
        IpAddr::V6(_) => (128, 129),
    };
    let mut message = [0; HEADER + CHANCE];
    message[0] = request;
    message[HEADER..].copy_from_slice(&chance);
    (message, reply)
}

/// Whether a message is the reply to the request: sequence number and data come back as they were.
fn is_reply(message: &[u8], reply: u8, request: &[u8; HEADER + CHANCE]) -> bool {
    message.first() == Some(&reply) && message.get(6..) == Some(&request[6..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reply_to_this_request_counts() {
        let (request, reply) = messages(IpAddr::from([192, 0, 2, 1]), [7; CHANCE]);
        let mut message = request;
        assert!(!is_reply(&message, reply, &request), "our own request");
        message[0] = 0;
        (message[2], message[4], message[5]) = (9, 1, 2);
        assert!(is_reply(&message, reply, &request));
        assert!(!is_reply(&message[..15], reply, &request));
        message[15] = 8;
        assert!(!is_reply(&message, reply, &request));
        let (request, reply) = messages(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), [7; CHANCE]);
        assert_eq!((request[0], reply), (128, 129));
    }
}
