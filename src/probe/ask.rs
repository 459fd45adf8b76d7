//! A question to a DNS server, over UDP or TCP, and the reply to this very question.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::random;
use crate::zone::Name;

/// Octets of a header.
const HEADER: usize = 12;

/// A question of class IN.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Name, type and class as they stand in a message.
    wire: Vec<u8>,
}

impl Ask {
    /// The question for a type of records at a name.
    pub(super) fn new(name: &Name, rtype: u16) -> Self {
        let mut wire = name.wire().to_vec();
        wire.extend(rtype.to_be_bytes());
        wire.extend([0, 1]);
        Self { wire }
    }

    /// Asks once over UDP.
    pub(super) async fn by_udp(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let local: SocketAddr = if server.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        // Connected, from a port of its own: the kernel keeps what others send away.
        let socket = UdpSocket::bind(local).await?;
        socket.connect(server).await?;
        let id = random_id();
        socket.send(&self.message(id)).await?;
        let mut room = vec![0; usize::from(u16::MAX)];
        loop {
            let length = socket.recv(&mut room).await?;
            // Whatever else comes from there answers something else: late replies, forgeries.
            if self.is_reply(id, &room[..length]) {
                room.truncate(length);
                return Ok(room);
            }
        }
    }

    /// Asks once over TCP.
    pub(super) async fn by_tcp(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server).await?;
        let id = random_id();
        let message = self.message(id);
        let length = u16::try_from(message.len()).expect("a name has at most 255 octets");
        stream
            .write_all(&[&length.to_be_bytes()[..], &message].concat())
            .await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        if self.is_reply(id, &reply) {
            Ok(reply)
        } else {
            Err(io::Error::other("the reply answers something else"))
        }
    }

    fn message(&self, id: [u8; 2]) -> Vec<u8> {
        // Recursion is desired: resolvers need it, and other servers do not mind.
        let mut out = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        out.extend(&self.wire);
        out
    }

    /// Whether a message is the reply to the question that was sent with `id`.
    fn is_reply(&self, id: [u8; 2], message: &[u8]) -> bool {
        let Some((header, rest)) = message.split_at_checked(HEADER) else {
            return false;
        };
        if header[..2] != id || header[2] & 0x80 == 0 {
            return false;
        }
        // Some errors come without the question, and letter case need not be kept.
        let without = header[4..6] == [0, 0] && rcode(message) != 0;
        let (name, kind) = self.wire.split_at(self.wire.len() - 4);
        let echo = rest
            .get(..self.wire.len())
            .is_some_and(|echo| echo[..name.len()].eq_ignore_ascii_case(name));
        without
            || header[4..6] == [0, 1] && echo && rest.get(name.len()..self.wire.len()) == Some(kind)
    }
}

/// The response code of a reply.
pub(super) fn rcode(reply: &[u8]) -> u8 {
    reply[3] & 15
}

/// Whether a reply was cut.
pub(super) fn is_cut(reply: &[u8]) -> bool {
    reply[2] & 2 != 0
}

/// `NXDOMAIN`, or the number.
pub(super) fn rcode_text(rcode: u8) -> String {
    crate::health::RCODES
        .get(usize::from(rcode))
        .map_or_else(|| rcode.to_string(), |word| (*word).to_owned())
}

fn random_id() -> [u8; 2] {
    let [a, b, ..] = random();
    [a, b]
}
