//! The client subnet option: read as two others read it, echoed as it came; and the scope of an answer is the truth, as any other
//! client in it is told the same.
//!
//! Which name, which states, from where, a draw, eight octets that choose the other client; then the option's data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::opt::ClientSubnet;
use nearmost::answer::{Asker, Request, Transport};
use nearmost::wire::{Ecs, HEADER, Query, rcode};

use super::generation::{self, Generation};
use super::message::{self, Edns, Message, option};

/// Names of pools, and what is behind them.
const NAMES: [&str; 12] = [
    "made.example",
    "x.made.example",
    "all.made.example",
    "far.made.example",
    "or.made.example",
    "no.made.example",
    "get.plain.example",
    "all.plain.example",
    "x.wp.signed.example",
    "rule.signed.example",
    "www.signed.example",
    "none.signed.example",
];

/// Runs one input.
pub fn run(octets: &[u8]) {
    let Some(([name, table, source, draw, other @ ..], data)) = octets.split_first_chunk::<12>()
    else {
        return;
    };
    if data.len() > 256 {
        return;
    }
    let read = Ecs::parse(data);
    assert_eq!(read.is_some(), is_right(data), "{data:02x?}");
    if let Some(ecs) = read
        && let Ok(theirs) = ClientSubnet::try_from(data)
    {
        let client = (theirs.source_prefix() > 0).then(|| theirs.addr());
        assert_eq!(ecs.client(), client);
        assert_eq!(ecs.room(), 4 + data.len());
    }
    let asked = Asked {
        generation: generation::get(),
        name: NAMES[usize::from(*name) % NAMES.len()],
        qtype: if name & 0x80 == 0 { 1 } else { 28 },
        table: usize::from(*table) % 4,
        source: generation::source(*source),
        draw: (*draw).into(),
    };
    let (reply, by_ecs) = asked.reply(data);
    let Some(ecs) = read else {
        assert_eq!((reply.rcode, reply.answer.len()), (rcode::FORMERR, 0));
        return;
    };
    let scope = echoed(data, &reply);
    if let Some(client) = ecs.client().filter(|_| by_ecs) {
        let other = within(client, scope, u64::from_be_bytes(*other));
        let (theirs, by_ecs) = asked.reply(&whole(other));
        if by_ecs {
            let what = |m: &Message| (m.rcode, m.answer.clone());
            assert_eq!(what(&theirs), what(&reply), "{client}/{scope} and {other}");
            assert_eq!(
                echoed(&whole(other), &theirs),
                scope,
                "{client}/{scope} and {other}"
            );
        }
    }
}

/// RFC 7871 6 once more, by arithmetic.
fn is_right(data: &[u8]) -> bool {
    let [0, family, source, 0, address @ ..] = data else {
        return false;
    };
    let bits: u32 = match family {
        0 => 0,
        1 => 32,
        2 => 128,
        _ => return false,
    };
    let source = u32::from(*source);
    let octets = u32::try_from(address.len()).unwrap_or(u32::MAX);
    if source > bits || octets != source.div_ceil(8) {
        return false;
    }
    let value = address.iter().fold(0u128, |n, o| n << 8 | u128::from(*o));
    let beyond = octets * 8 - source;
    value.trailing_zeros() >= beyond
}

struct Asked<'g> {
    generation: &'g Generation,
    name: &'static str,
    qtype: u16,
    table: usize,
    source: IpAddr,
    draw: u64,
}

impl Asked<'_> {
    /// What is replied to a question with this option, and whether it counted.
    fn reply(&self, data: &[u8]) -> (Message, bool) {
        let edns = Edns {
            options: option(Ecs::CODE, data),
            ..Edns::of_size(1232)
        };
        let packet = message::query(7, &message::name(self.name), self.qtype, Some(&edns));
        let request = Request {
            packet: &packet,
            source: self.source,
            transport: Transport::Tcp,
            draw: self.draw,
        };
        let generation = self.generation;
        let table = &generation.tables[self.table];
        let (_, reply) = generation.ask(table, request, None);
        let asker = Query::parse(&packet).map(|q| Asker::of(&q, self.source, &generation.snapshot));
        let message = Message::read(&reply).unwrap_or_else(|e| panic!("{e}: {reply:02x?}"));
        assert_eq!(
            message.question.len(),
            packet[HEADER..].len() - edns.octets().len()
        );
        (message, asker.is_ok_and(|a| a.by_ecs))
    }
}

/// The scope that is told with the very block that was sent.
fn echoed(data: &[u8], reply: &Message) -> u8 {
    let options = &reply.edns.as_ref().expect("OPT").options;
    let start = option(Ecs::CODE, data);
    let at = options.windows(start.len()).find(|o| {
        let mut echo = o.to_vec();
        echo[7] = 0;
        echo == start
    });
    at.expect("the option's echo")[7]
}

/// An address of the block of `len` bits around `client`, others by `seed`.
fn within(client: IpAddr, len: u8, seed: u64) -> IpAddr {
    let len = u32::from(len);
    match client {
        IpAddr::V4(a) => {
            let beyond = u32::MAX.checked_shr(len).unwrap_or(0);
            let [.., s0, s1, s2, s3] = seed.to_be_bytes();
            let seed = u32::from_be_bytes([s0, s1, s2, s3]);
            Ipv4Addr::from_bits(a.to_bits() & !beyond | seed & beyond).into()
        }
        IpAddr::V6(a) => {
            let beyond = u128::MAX.checked_shr(len).unwrap_or(0);
            let seed = u128::from(seed) << 64 | u128::from(seed.rotate_left(17));
            Ipv6Addr::from_bits(a.to_bits() & !beyond | seed & beyond).into()
        }
    }
}

/// The option that tells all of an address.
fn whole(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => [&[0, 1, 32, 0][..], &a.octets()].concat(),
        IpAddr::V6(a) => [&[0, 2, 128, 0][..], &a.octets()].concat(),
    }
}
