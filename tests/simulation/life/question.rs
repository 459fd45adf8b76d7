//! Who asks what, and what the server says.

use std::net::IpAddr;

use nearmost::answer::{LONGEST, Request, Scratch, Transport, answer};
use nearmost::prefix::is_routable;
use nearmost::snapshot::Snapshot;
use nearmost::zone::rtype;

use super::Life;
use crate::dns::{Ecs, Question, Reply};
use crate::model::{Net, Pool, anywhere};
use crate::random::Random;

/// A question of the simulation and what the server said.
pub(super) struct Asked {
    pub(super) pool: Pool,
    pub(super) v4: bool,
    pub(super) question: Question,
    /// Whom the answer is for.
    pub(super) client: IpAddr,
    pub(super) by_ecs: bool,
    pub(super) draw: u64,
}

pub(super) type Answer = (u16, Vec<(IpAddr, u32)>, Option<u8>);

impl Life {
    pub(super) fn question(&mut self) -> Asked {
        let mut random = self.random.clone();
        let pool = random.pick(&self.model.pools).clone();
        let v4 = random.percent(60);
        let resolver = self.somebody(&mut random);
        let mut client = self.somebody(&mut random);
        let draw = random.next();
        let mut len = match client {
            IpAddr::V4(_) => *random.pick(&[24, 24, 24, 32, 20, 16]),
            IpAddr::V6(_) => *random.pick(&[56, 56, 48, 64, 128]),
        };
        if let (IpAddr::V4(a), true) = (client, random.percent(15)) {
            // What a NAT64, a 6to4 router or a lazy program makes of it.
            let [x, y] =
                [a.to_bits() >> 16, a.to_bits() & 0xffff].map(|n| u16::try_from(n).unwrap());
            (client, len) = match random.below(3) {
                0 => ([0x64, 0xff9b, 0, 0, 0, 0, x, y].into(), len + 96),
                1 => ([0, 0, 0, 0, 0, 0xffff, x, y].into(), len + 96),
                _ => ([0x2002, x, y, 0, 0, 0, 0, 1].into(), len + 16),
            };
        }
        // An option without an address, one that nobody can have, or none: the resolver counts.
        let (ecs, by_ecs) = match random.below(10) {
            0 => (Some((client, 0)), false),
            1 => (Some(([10, 1, 2, 0].into(), 24)), false),
            2 | 3 => (None, false),
            _ => (Some((Net::around(client, len).addr, len)), true),
        };
        self.random = random;
        let client = match ecs {
            Some((block, _)) if by_ecs => block,
            _ => resolver,
        };
        let ecs = ecs.map(|(addr, len)| Ecs::of(addr, len));
        let by_ecs = by_ecs && is_routable(client);
        let client = if by_ecs { client } else { resolver };
        Asked {
            question: question(&pool, v4, resolver, ecs),
            pool,
            v4,
            client,
            by_ecs,
            draw,
        }
    }

    /// The same question for another client of the scope.
    pub(super) fn twin(&mut self, asked: &Asked, scope: u8) -> Option<Asked> {
        let client = Net::around(asked.client, scope).any(&mut self.random);
        let bits = if client.is_ipv4() { 32 } else { 128 };
        is_routable(client).then(|| Asked {
            question: question(
                &asked.pool,
                asked.v4,
                asked.question.from,
                Some(Ecs::of(client, bits)),
            ),
            pool: asked.pool.clone(),
            client,
            ..*asked
        })
    }

    /// Somebody in or at the edge of a network that is known, or anybody.
    pub(super) fn somebody(&self, random: &mut Random) -> IpAddr {
        if random.percent(15) {
            let v4 = random.percent(70);
            return anywhere(random, v4);
        }
        let model = &self.model;
        let nets = model.blocks.iter().chain(&model.overrides).map(|b| b.net);
        let limits = model
            .nodes
            .iter()
            .flat_map(|n| n.only.iter().chain(&n.except));
        let limits = limits.filter_map(|w| match w {
            crate::model::Whom::Net(net) => Some(*net),
            _ => None,
        });
        let systems = model.systems.iter().map(|s| s.0);
        let nets: Vec<Net> = nets.chain(limits).chain(systems).collect();
        let net = *random.pick(&nets);
        match random.below(4) {
            0 => beside(net.addr, false),
            _ => net.any(random),
        }
    }

    pub(super) fn answer(&self, asked: &Asked) -> Result<Answer, String> {
        answer_of(&self.snapshot, asked)
    }
}

pub(super) fn question(pool: &Pool, v4: bool, from: IpAddr, ecs: Option<Ecs>) -> Question {
    let qtype = if v4 { rtype::A } else { rtype::AAAA };
    Question::about(&pool.host(), qtype, from, ecs).unwrap()
}

pub(super) fn answer_of(snapshot: &Snapshot, asked: &Asked) -> Result<Answer, String> {
    let request = Request {
        packet: &asked.question.packet(),
        source: asked.question.from,
        transport: Transport::Udp,
        draw: asked.draw,
    };
    let mut out = vec![0; LONGEST];
    let table = snapshot.table.load();
    let outcome = answer(snapshot, &table, request, &mut Scratch::default(), &mut out);
    let reply = Reply::read(&asked.question, &out[..outcome.len])?;
    Ok((outcome.rcode, reply.addresses(), reply.scope))
}

/// The address before or behind.
fn beside(addr: IpAddr, behind: bool) -> IpAddr {
    let step = |n: u128| {
        if behind {
            n.wrapping_add(1)
        } else {
            n.wrapping_sub(1)
        }
    };
    match addr {
        IpAddr::V4(a) => {
            let next = u32::try_from(step(a.to_bits().into()) & 0xffff_ffff).unwrap();
            next.to_be_bytes().into()
        }
        IpAddr::V6(a) => step(a.to_bits()).to_be_bytes().into(),
    }
}
