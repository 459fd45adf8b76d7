//! A line of the query log: numbers become names again.

use std::net::IpAddr;

use serde::Serialize;

use crate::snapshot::{Asked, Snapshot};
use crate::wire::{Ecs, Malformed, Query, rcode};
use crate::zone::{Name, RecordType};

/// A line.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    time: &'a str,
    client: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<u8>,
    transport: &'static str,
    name: Option<String>,
    #[serde(rename = "type")]
    qtype: Option<String>,
    rcode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<IpAddr>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    none_left: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fail_open: bool,
}

impl<'a> Line<'a> {
    /// Without a generation nobody knows what its numbers mean.
    pub(super) fn of(asked: &Asked, time: &'a str, of: Option<&'a Snapshot>) -> Self {
        let (name, qtype, ecs) = question(asked.packet());
        let subnet = ecs.and_then(|ecs| Some((ecs.client()?, ecs.source())));
        let zone = of.zip(asked.zone);
        let zone = zone.and_then(|(of, n)| of.zones.list().get(n as usize));
        let pool = of.zip(asked.pool);
        let pool = pool.and_then(|(of, n)| of.pools.get(n as usize));
        let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
        for number in asked.given() {
            let Some((of, (node, ip))) =
                of.and_then(|of| Some((of, of.addresses.get(*number as usize)?)))
            else {
                continue;
            };
            let node = of.nodes[*node as usize].name.as_str();
            if nodes.last() != Some(&node) {
                nodes.push(node);
            }
            addresses.push(*ip);
        }
        Self {
            time,
            client: asked.source,
            subnet: subnet.map(|(addr, len)| format!("{addr}/{len}")),
            scope: subnet.map(|_| asked.scope),
            transport: asked.transport,
            name: name
                .and_then(|wire| Name::from_wire(wire).ok())
                .map(|name| name.to_string()),
            qtype: qtype.map(|code| RecordType(code).to_string()),
            rcode: rcode::mnemonic(asked.rcode),
            zone: zone.map(|zone| zone.apex().to_string()),
            pool: pool.map(|pool| pool.name.as_str()),
            nodes,
            addresses,
            truncated: asked.truncated,
            none_left: asked.none_left,
            fail_open: asked.fail_open,
        }
    }
}

/// Name, type and client subnet, as far as they can be read.
fn question(packet: &[u8]) -> (Option<&[u8]>, Option<u16>, Option<Ecs<'_>>) {
    match Query::parse(packet) {
        Ok(query) => (
            Some(query.qname),
            Some(query.qtype),
            query.edns.and_then(|edns| edns.ecs),
        ),
        Err(Malformed::Reply {
            question: Some(octets),
            ..
        }) => match octets.split_last_chunk() {
            Some((name, [t0, t1, _, _])) => {
                (Some(name), Some(u16::from_be_bytes([*t0, *t1])), None)
            }
            None => (None, None, None),
        },
        Err(_) => (None, None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Queue, Waiting};

    #[test]
    fn what_is_odd_is_escaped_and_what_is_not_known_is_left_out() {
        let queue = Queue::new(1, 1);
        // No OPT, as the header says there is one: FORMERR, and the question can be read.
        let packet = b"\0\x01\0\0\0\x01\0\0\0\0\0\x01\x03a\0\"\x02b.\0\0\x63\0\x01";
        queue.put(0, |asked| {
            asked.rcode = rcode::FORMERR;
            asked.zone = Some(7);
            asked.keep(packet, &[3]);
        });
        let mut text = String::new();
        queue.take(&mut Waiting::room(), |all| {
            for asked in all {
                text = serde_json::to_string(&Line::of(asked, "now", None)).unwrap();
            }
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            line,
            serde_json::json!({
                "time": "now", "client": "0.0.0.0", "transport": "udp",
                "name": "a\\000\\\".b\\..", "type": "SPF", "rcode": "FORMERR",
            })
        );
    }
}
