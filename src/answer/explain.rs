//! Why a client is given what it is given: the same walk as the query path, with its reasons kept.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::pool::{family, ttl};
use super::{Asker, LONGEST, Request, Scratch, Transport, answer};
use crate::geo::{Place, PlaceSource, World};
use crate::health::{Board, STEADY, State, Table};
use crate::policy::{
    Cities, Entry, Measurements, Member, NoneLeft, Outcome, Plan, Steering, Verdict, Whom, Witness,
    distances,
};
use crate::prefix::Client;
use crate::snapshot::{Family, Pool, Snapshot};
use crate::wire::{Query, rcode};
use crate::zone::{Name, PoolUse, rtype};

/// The answer for one client, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The name asked for.
    pub name: String,
    /// The number of the type asked for.
    pub qtype: u16,
    /// The client.
    pub client: IpAddr,
    /// The address that was looked up: another where IPv4 is inside of IPv6.
    pub looked_up: IpAddr,
    /// The response code.
    pub rcode: u16,
    /// Whether the zone is here, and whoever asks is not let in.
    #[serde(default)]
    pub prohibited: bool,
    /// The whole reply, in wire form.
    pub reply: Vec<u8>,
    /// The pool's part of it, if the name has one.
    pub pool: Option<PoolPart>,
}

/// What a pool did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PoolPart {
    /// Its name.
    pub pool: String,
    /// Where the client is taken to be, degrees north and east, if a point is known.
    pub at: Option<(f64, f64)>,
    /// Its country, if known.
    pub country: Option<String>,
    /// The part of that country, if known, as in ISO 3166-2.
    pub subdivision: Option<String>,
    /// Its autonomous system, if a database knows it.
    pub asn: Option<AsnPart>,
    /// Which source said so: `override`, `asn-override`, `latency`, `city`, `country`, `unknown`.
    pub source: String,
    /// The number of the override, if one said so.
    pub override_number: Option<u32>,
    /// All nodes in the order of the walk.
    pub nodes: Vec<NodeLine>,
    /// Why nodes serve that do not otherwise; none: they do not.
    #[serde(default)]
    pub spilled: Option<String>,
    /// What happened with no node in service; empty otherwise.
    pub none_left: Option<String>,
    /// What the pool did that answered in its place.
    #[serde(default)]
    pub instead: Option<Box<Self>>,
    /// Seconds.
    pub ttl: u32,
    /// How they came about.
    pub ttl_why: String,
    /// The scope that a resolver is told.
    pub scope: u8,
    /// The client's own block counts for nothing, and its resolver's address was looked up.
    #[serde(default)]
    pub ignored: bool,
    /// First and last address of the merged range that it comes from.
    pub range: (IpAddr, IpAddr),
}

/// An autonomous system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AsnPart {
    /// Its number.
    pub number: u32,
    /// Whose it is, if the database says so.
    pub organisation: Option<String>,
}

impl AsnPart {
    /// That of a client.
    #[must_use]
    pub fn of(world: &World, client: Client) -> Option<Self> {
        let asn = world.asn(client)?;
        Some(Self {
            number: asn.number,
            organisation: asn.organisation.map(str::to_owned),
        })
    }
}

impl fmt::Display for AsnPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.number)?;
        let whose = self.organisation.iter();
        whose
            .into_iter()
            .try_for_each(|whose| write!(f, ", {whose}"))
    }
}

/// A node in an explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeLine {
    /// Its name.
    pub node: String,
    /// Place in the list, from 1; none for a node without addresses of the family, and for one that such clients are never given.
    pub rank: Option<usize>,
    /// Distance from the client, of country-only clients the mean; none for a node that is in no list.
    pub km: Option<f64>,
    /// The round-trip time from such clients, milliseconds, if it was measured.
    #[serde(default)]
    pub measured_ms: Option<f64>,
    /// `up`, `down`, `unknown` or `unprobed`.
    pub state: String,
    /// Whether it is in the answer.
    pub given: bool,
    /// The one reason why it is in or out.
    pub reason: String,
    /// Its addresses of this family.
    pub addresses: Vec<IpAddr>,
    /// The name that it is given as, in a CNAME; none: it is given by its addresses.
    #[serde(default)]
    pub alias: Option<String>,
}

/// Explains what `client` is answered by its resolver. With a `board` reasons hold the probes' own words.
#[must_use]
pub fn explain(
    snapshot: &Snapshot,
    table: &Table,
    board: Option<&Board>,
    (name, qtype): (&Name, u16),
    (client, resolver): (IpAddr, IpAddr),
    cities: Cities<'_>,
) -> Explanation {
    let packet = query(name, qtype, client);
    let mut reply = vec![0; LONGEST];
    let request = Request {
        packet: &packet,
        source: resolver,
        transport: Transport::Tcp,
        draw: 0,
    };
    let outcome = answer(
        snapshot,
        table,
        request,
        &mut Scratch::default(),
        &mut reply,
    );
    reply.truncate(outcome.len);
    let asker = Query::parse(&packet).map(|q| Asker::of(&q, resolver, snapshot));
    let part = outcome.pool.zip(asker.ok()).map(|(used, asker)| {
        let explainer = Explainer {
            snapshot,
            table,
            board,
            cities,
            used,
            asker,
            qtype,
        };
        let mut part = explainer.pool(used.pool);
        part.scope = outcome.scope;
        part.ignored = asker.ignored > 0;
        part
    });
    let looked_up = asker.map_or(client, |a| a.client.addr());
    Explanation {
        name: name.to_string(),
        qtype,
        client,
        looked_up,
        rcode: outcome.rcode,
        prohibited: outcome.rcode == rcode::REFUSED && outcome.zone.is_some(),
        reply,
        pool: part,
    }
}

/// The question as a resolver would ask it that sends the client's whole address.
fn query(name: &Name, qtype: u16, client: IpAddr) -> Vec<u8> {
    let (family, bits, octets) = match client {
        IpAddr::V4(addr) => (1, 32, addr.octets().to_vec()),
        IpAddr::V6(addr) => (2, 128, addr.octets().to_vec()),
    };
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.wire());
    packet.extend_from_slice(&qtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(&[
        0,
        0,
        41,
        0xff,
        0xff,
        0,
        0,
        0,
        0,
        0,
        8 + bits / 8,
        0,
        8,
        0,
        4 + bits / 8,
        0,
        family,
        bits,
        0,
    ]);
    packet.extend_from_slice(&octets);
    packet
}

struct Explainer<'a> {
    snapshot: &'a Snapshot,
    table: &'a Table,
    board: Option<&'a Board>,
    cities: Cities<'a>,
    used: PoolUse,
    asker: Asker,
    qtype: u16,
}

/// Says what counts for a member beside its distance.
fn add_distances(line: &mut NodeLine, plan: &Plan, member: u16, measured: Option<&Measurements>) {
    let mut samples = measured.into_iter().flat_map(|m| &m.samples);
    if let Some(sample) = samples.find(|s| s.member == member) {
        line.reason += &format!(", measured {:.1} ms", sample.rtt_ms);
        line.measured_ms = Some(sample.rtt_ms);
    }
    let bias = plan.members[usize::from(member)].bias;
    if bias.0 != 0 {
        let km = line.km.unwrap_or_default() * bias.factor();
        line.reason += &format!(", counted as {km:.0} km by its bias");
    }
}

/// The word for a place or an order that follows from measured times.
const LATENCY: &str = "latency";

/// Keeps what a walk saw.
#[derive(Default)]
struct Seen(Vec<(Entry, Verdict)>);

impl Witness for Seen {
    const TO_THE_END: bool = true;
    fn saw(&mut self, entry: Entry, verdict: Verdict) {
        self.0.push((entry, verdict));
    }
}

impl Seen {
    /// Those about as near as the first.
    fn first_band(&self) -> Vec<u16> {
        let begins = |(_, (entry, _)): &(usize, &(Entry, Verdict))| entry.begins_band();
        let end = self.0.iter().enumerate().skip(1).find(begins);
        let end = end.map_or(self.0.len(), |(end, _)| end);
        self.0[..end]
            .iter()
            .map(|(entry, _)| entry.member())
            .collect()
    }
}

impl Explainer<'_> {
    /// What a pool did, and what that did which answered in its place.
    fn pool(&self, number: u32) -> PoolPart {
        let pool = &self.snapshot.pools[number as usize];
        let Some(family) = family(self.snapshot, number, self.qtype) else {
            return without_family(self.snapshot, pool, self.asker, self.qtype);
        };
        let family = family.of(self.asker.resolver);
        let (mut part, outcome) = self.part(pool, family);
        if let (Outcome::Elsewhere, NoneLeft::Pool { number, .. }) =
            (outcome, &family.steering.none)
        {
            let mut instead = self.pool(*number);
            (instead.ttl, instead.ttl_why) = (part.ttl, part.ttl_why.clone());
            part.instead = Some(Box::new(instead));
        }
        part
    }

    fn part(&self, pool: &Pool, family: &Family) -> (PoolPart, Outcome) {
        let steering = &family.steering;
        let mut seen = Seen::default();
        let choice = steering.walk(self.asker.client, self.table, 0, &mut seen);
        let (place, _) = self.snapshot.world.locate(self.asker.client);
        let whom = Whom::of(self.asker.client, &self.snapshot.world);
        let plan = &*family.plan(self.table);
        let measured = plan.measurements(self.asker.client, &self.snapshot.world, self.cities);
        let km = match &measured {
            Some(measured) => measured.km.clone(),
            None => distances(plan, &place, self.cities),
        };
        let given = |member: u16| choice.members().contains(&member);
        let worth = measured.as_ref().and_then(|m| m.worth.as_ref());
        let worth = worth.unwrap_or(&km);
        let (given_first, first_band) = (choice.members().first().copied(), seen.first_band());
        // Those of whom nothing is known may be given nodes by a list: no distance decides then.
        let known = place.point.is_some() || place.country.is_some();
        let v4 = steering.addresses.first().is_some_and(|a| a.ip.is_ipv4());
        let ranked = (1..).zip(seen.0).map(|(rank, (entry, verdict))| {
            let member = entry.member();
            let verdict = match verdict {
                Verdict::Out if given(member) => Verdict::GivenThoughOut,
                Verdict::Given if !given(member) => Verdict::Spare,
                other => other,
            };
            let mut line = self.line(steering, member, rank, km[usize::from(member)], verdict);
            let behind = given_first.and_then(|first| plan.why_behind(member, first, whom));
            let refused = || plan.why_refused(member, &first_band, worth, whom);
            let behind = behind.or_else(|| refused().filter(|_| known));
            if let (Some(behind), Verdict::Farther) = (behind, verdict) {
                line.reason = format!("in service, but {behind}");
            }
            let mut names = given_first.into_iter().chain([member]);
            let by_name = names.any(|m| steering.aliases.contains_key(&m));
            if by_name && verdict == Verdict::Spare {
                line.reason = "in service, but a CNAME stands alone".into();
            }
            add_distances(&mut line, plan, member, measured.as_ref());
            line
        });
        let never = (0..)
            .zip(&*steering.members)
            .filter_map(|(m, _)| self.never(family, m, whom));
        let nodes = ranked
            .chain(never)
            .chain(without_addresses(
                self.snapshot,
                pool,
                &steering.members,
                v4,
            ))
            .collect();
        let decides = measured.filter(|m| m.moved || m.worth.is_some());
        let point = decides.as_ref().map_or(place.point, |m| m.point);
        let source = match decides {
            Some(_) => LATENCY,
            None => place.source.word(),
        };
        let part = PoolPart {
            instead: None,
            pool: pool.name.clone(),
            at: point.map(|p| (p.lat, p.lon)),
            country: place.country.map(|c| c.to_string()),
            subdivision: place.subdivision_code(),
            asn: AsnPart::of(&self.snapshot.world, self.asker.client),
            source: source.into(),
            override_number: override_number(&place),
            nodes,
            spilled: steering.spill.as_ref().and_then(|s| s.words(self.table)),
            none_left: none_left(choice.outcome, choice.members().is_empty(), &steering.none),
            ttl: ttl(self.used, choice.ttl_cap),
            ttl_why: self.ttl_why(choice.ttl_cap, choice.outcome),
            scope: self.asker.scope(choice.scope),
            ignored: false,
            range: steering.range(self.asker.client, self.table),
        };
        (part, choice.outcome)
    }

    fn line(
        &self,
        steering: &Steering,
        member: u16,
        rank: usize,
        km: f64,
        verdict: Verdict,
    ) -> NodeLine {
        let node = &self.snapshot.nodes[steering.members[usize::from(member)].node as usize];
        let (state, why) = self.state(steering, member);
        let alias = alias(steering, member);
        let given = match &alias {
            Some(name) => format!("given as a CNAME to {name}"),
            None => "given".into(),
        };
        let reason = match verdict {
            Verdict::Given => given,
            Verdict::GivenThoughOut => format!("{given} though {why}"),
            Verdict::Out => why,
            Verdict::Spare if steering.sticky => "as near, but the answer is full".into(),
            Verdict::Spare => "as near, but not drawn this time".into(),
            Verdict::Farther => "in service, but farther".into(),
        };
        NodeLine {
            node: node.name.clone(),
            rank: Some(rank),
            km: Some(km),
            state,
            measured_ms: None,
            given: matches!(verdict, Verdict::Given | Verdict::GivenThoughOut),
            reason,
            addresses: steering.addresses_of(member).iter().map(|a| a.ip).collect(),
            alias,
        }
    }

    /// A member that such clients are never given.
    fn never(&self, family: &Family, member: u16, whom: Whom) -> Option<NodeLine> {
        let reason = family.plan(self.table).why_never(member, whom)?;
        let steering = &family.steering;
        let node = steering.members[usize::from(member)].node;
        Some(NodeLine {
            node: self.snapshot.nodes[node as usize].name.clone(),
            rank: None,
            km: None,
            measured_ms: None,
            state: self.state(steering, member).0,
            given: false,
            reason,
            addresses: steering.addresses_of(member).iter().map(|a| a.ip).collect(),
            alias: alias(steering, member),
        })
    }

    /// The state of a member in a word, and why it is out in the probe's own words.
    fn state(&self, steering: &Steering, member: u16) -> (String, String) {
        let up = steering.word(member, self.table).in_service();
        let node = &self.snapshot.nodes[steering.members[usize::from(member)].node as usize];
        if let Some(order) = self.board.and_then(|b| b.orders().get(&node.name)) {
            return (order.forced.word().into(), order.words());
        }
        let Some(board) = self.board else {
            return ("unprobed".into(), "out of service".into());
        };
        let addresses = steering.addresses_of(member).iter();
        let checks: Vec<usize> = addresses
            .flat_map(|a| board.slot(a.slot))
            .copied()
            .collect();
        let worst =
            checks
                .iter()
                .max_by_key(|check| match board.counted(**check).counter.state() {
                    State::Up => 0,
                    State::Unknown => 1,
                    State::Down => 2,
                });
        let Some(&worst) = worst else {
            return ("unprobed".into(), "out of service".into());
        };
        let frozen = checks.iter().any(|check| board.held(*check).is_some());
        let also = if frozen { ", frozen" } else { "" };
        if up {
            return (format!("up{also}"), String::new());
        }
        let mut slots = steering
            .addresses_of(member)
            .iter()
            .map(|a| a.slot as usize);
        if let Some(damped) = slots.find_map(|slot| board.damped(slot))
            && board.counted(worst).counter.state() == State::Up
        {
            return ("damped".into(), damped.words());
        }
        let (status, probe) = (board.counted(worst), &board.checks()[worst].probe.name);
        let error = status.last_error.as_ref();
        let error = error.map_or("not checked yet", |(_, error)| error);
        let state = status.counter.state().word();
        (
            format!("{state}{also}"),
            format!("{state}: {probe} {error}"),
        )
    }

    fn ttl_why(&self, cap: u16, outcome: Outcome) -> String {
        let PoolUse {
            max_ttl, min_ttl, ..
        } = self.used;
        if outcome != Outcome::InService {
            return format!("no node in service: the least, {min_ttl}");
        }
        match cap {
            STEADY => format!("steady: the record's own, {max_ttl}"),
            0 => format!(
                "a node that decides is new in its state, recovering or frozen: the least, {min_ttl}"
            ),
            cap => format!(
                "a node that decides may change its state in {cap} s; between {min_ttl} and {max_ttl}"
            ),
        }
    }
}

/// The name that a member is given as, without the final dot.
fn alias(steering: &Steering, member: u16) -> Option<String> {
    let name = steering.aliases.get(&member)?.to_string();
    Some(name.trim_end_matches('.').to_owned())
}

/// The pool's nodes that are no members: questions of this family never lead to them.
fn without_addresses(
    snapshot: &Snapshot,
    pool: &Pool,
    members: &[Member],
    v4: bool,
) -> impl Iterator<Item = NodeLine> {
    let missing = |node: &&u32| members.iter().all(|m| m.node != **node);
    pool.nodes.iter().filter(missing).map(move |node| NodeLine {
        node: snapshot.nodes[*node as usize].name.clone(),
        rank: None,
        km: None,
        measured_ms: None,
        state: "-".into(),
        given: false,
        reason: format!("has no IPv{} address", if v4 { 4 } else { 6 }),
        addresses: Vec::new(),
        alias: None,
    })
}

/// A pool none of whose nodes has addresses of the family asked for: the same for every client.
fn without_family(snapshot: &Snapshot, pool: &Pool, asker: Asker, qtype: u16) -> PoolPart {
    let (place, _) = snapshot.world.locate(asker.client);
    let everything = match asker.client {
        Client::V4 { .. } => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
        Client::V6(_) => (
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::from_bits(u128::MAX).into(),
        ),
    };
    PoolPart {
        instead: None,
        pool: pool.name.clone(),
        at: place.point.map(|p| (p.lat, p.lon)),
        country: place.country.map(|c| c.to_string()),
        subdivision: place.subdivision_code(),
        asn: AsnPart::of(&snapshot.world, asker.client),
        source: place.source.word().into(),
        override_number: override_number(&place),
        nodes: without_addresses(snapshot, pool, &[], qtype == rtype::A).collect(),
        spilled: None,
        none_left: None,
        ttl: 0,
        ttl_why: "there is no record".into(),
        scope: 0,
        ignored: false,
        range: everything,
    }
}

fn override_number(place: &Place) -> Option<u32> {
    match place.source {
        PlaceSource::Override(number) | PlaceSource::AsnOverride(number) => Some(number),
        PlaceSource::City | PlaceSource::Country | PlaceSource::Unknown => None,
    }
}

fn none_left(outcome: Outcome, nobody: bool, none: &NoneLeft) -> Option<String> {
    let what = match outcome {
        Outcome::InService => return None,
        Outcome::FailOpen if nobody => "answers without records",
        Outcome::FailOpen => "falls open",
        Outcome::NoData => "answers without records",
        Outcome::ServFail => "answers SERVFAIL",
        Outcome::Elsewhere => return Some(format!("no node is in service: the answer is {none}")),
    };
    Some(format!("no node is in service: the pool {what}"))
}
