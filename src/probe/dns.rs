//! A question over UDP, and a look at its reply.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::words::{self, Phase};
use super::{Problem, random};
use crate::health::{DnsCheck, RCODES};
use crate::zone::Name;

/// Octets of a header.
const HEADER: usize = 12;

/// A question and what its reply must be.
#[derive(Debug)]
pub(super) struct Question {
    /// Name, type and class as they stand in a message.
    wire: Vec<u8>,
    check: DnsCheck,
}

impl Question {
    /// The question of a check.
    pub(super) fn new(check: &DnsCheck) -> Result<Self, Problem> {
        let name = Name::absolute(&check.name)
            .map_err(|_| Problem::Host(format!("{:?} is no name to ask for", check.name)))?;
        let mut wire = name.wire().to_vec();
        wire.extend(check.rtype.to_be_bytes());
        wire.extend([0, 1]);
        Ok(Self {
            wire,
            check: check.clone(),
        })
    }

    /// Asks `node` once, and looks at the first reply to this very question.
    pub(super) async fn ask(&self, node: SocketAddr, patience: Duration) -> Result<(), String> {
        match timeout(patience, self.reply(node)).await {
            Ok(Ok(reply)) => self.judge(&reply),
            Ok(Err(error)) => Err(words::io(&error, Phase::Waiting)),
            Err(_) => Err(words::timed_out(patience, Phase::Waiting)),
        }
    }

    async fn reply(&self, node: SocketAddr) -> std::io::Result<Vec<u8>> {
        let local: SocketAddr = if node.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        // Connected, from a port of its own: the kernel keeps what others send away.
        let socket = UdpSocket::bind(local).await?;
        socket.connect(node).await?;
        let [a, b, ..] = random();
        let id = [a, b];
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
        let without = header[4..6] == [0, 0] && header[3] & 15 != 0;
        let (name, kind) = self.wire.split_at(self.wire.len() - 4);
        let echo = rest
            .get(..self.wire.len())
            .is_some_and(|echo| echo[..name.len()].eq_ignore_ascii_case(name));
        without
            || header[4..6] == [0, 1] && echo && rest.get(name.len()..self.wire.len()) == Some(kind)
    }

    fn judge(&self, reply: &[u8]) -> Result<(), String> {
        let (rcode, cut) = (reply[3] & 15, reply[2] & 2 != 0);
        if rcode != self.check.rcode {
            let [is, wanted] = [rcode, self.check.rcode].map(rcode_text);
            return Err(format!("rcode {is}, expected {wanted}"));
        }
        let Some(pattern) = &self.check.answer else {
            return Ok(());
        };
        let message = Message::from_vec(reply)
            .map_err(|error| format!("the reply is no good message: {error}"))?;
        let records: Vec<String> = message.answers.iter().map(ToString::to_string).collect();
        if records.iter().any(|record| pattern.is_match(record)) {
            return Ok(());
        }
        let cut = if cut { "the reply is cut, and " } else { "" };
        Err(match records.first() {
            None => format!("{cut}no record in the answer, expected /{pattern}/"),
            Some(first) => format!("{cut}no record matches /{pattern}/; the first is {first}"),
        })
    }
}

/// `NXDOMAIN`, or the number.
fn rcode_text(rcode: u8) -> String {
    RCODES
        .get(usize::from(rcode))
        .map_or_else(|| rcode.to_string(), |word| (*word).to_owned())
}
