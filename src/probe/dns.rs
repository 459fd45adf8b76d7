//! A question over UDP, and a look at its reply.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::time::timeout;

use super::Problem;
use super::ask::{Ask, is_cut, rcode, rcode_text};
use super::words::{self, Phase};
use crate::health::DnsCheck;
use crate::zone::Name;

/// A question and what its reply must be.
#[derive(Debug)]
pub(super) struct Question {
    ask: Ask,
    check: DnsCheck,
}

impl Question {
    /// The question of a check.
    pub(super) fn new(check: &DnsCheck) -> Result<Self, Problem> {
        let name = Name::absolute(&check.name)
            .map_err(|_| Problem::Host(format!("{:?} is no name to ask for", check.name)))?;
        Ok(Self {
            ask: Ask::new(&name, check.rtype),
            check: check.clone(),
        })
    }

    /// Asks `node` once, and looks at the first reply to this very question.
    pub(super) async fn ask(&self, node: SocketAddr, patience: Duration) -> Result<(), String> {
        match timeout(patience, self.ask.by_udp(node)).await {
            Ok(Ok(reply)) => self.judge(&reply),
            Ok(Err(error)) => Err(words::io(&error, Phase::Waiting)),
            Err(_) => Err(words::timed_out(patience, Phase::Waiting)),
        }
    }

    fn judge(&self, reply: &[u8]) -> Result<(), String> {
        let (rcode, cut) = (rcode(reply), is_cut(reply));
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
