//! Properties of whole answers, over small worlds: what a scope says has to be true, and as wide as it can be.

use std::net::{IpAddr, Ipv4Addr};

use nearmost::answer::{Request, Scratch, Transport, answer};
use nearmost::health::{STEADY, Table, Word};
use nearmost::prefix::{Prefix, is_routable};
use nearmost::snapshot::Snapshot;
use nearmost::zone::rtype;
use proptest::prelude::*;

use crate::dns::{Ecs, Question, Reply};
use crate::stage::{build, build_in};

/// A network and where it is.
type Block = (Prefix, (f64, f64));

/// Four nodes at most: an answer of two and every list is complete.
fn nodes() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((-80.0..80.0, -180.0..180.0), 1..=4)
}

/// Networks of routable IPv4, long and short.
fn networks() -> impl Strategy<Value = Vec<Block>> {
    let network = (1u32..=0xdfff_ffff, 1u8..=32, (-80.0..80.0, -180.0..180.0))
        .prop_map(|(addr, len, at)| (Prefix::holding(Ipv4Addr::from_bits(addr).into(), len), at));
    prop::collection::vec(network, 0..12).prop_map(|mut all| {
        all.sort_by_key(|n: &Block| n.0);
        all.dedup_by_key(|n| n.0);
        all
    })
}

/// Of each node who may be sent to it; often anybody to any.
fn limits() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec(0u8..8, 4)]
}

/// What is known of the world besides places.
#[derive(Clone, Debug)]
struct Known {
    /// Networks of autonomous systems, none finer than the grain of the maps.
    systems: Vec<(Prefix, u32)>,
    /// Networks that were measured, to which node, and milliseconds; of those without length a system.
    measured: Vec<(Prefix, usize, u16)>,
}

fn known() -> impl Strategy<Value = Known> {
    let network = |len| {
        (1u32..=0xdfff_ffff, len)
            .prop_map(|(addr, len)| Prefix::holding(Ipv4Addr::from_bits(addr).into(), len))
    };
    let systems = prop::collection::vec((network(1u8..=24), 1u32..=3), 0..6);
    let measured = prop::collection::vec((network(0u8..=32), 0usize..4, 1u16..200), 0..10);
    (systems, measured).prop_map(|(mut systems, mut measured)| {
        systems.sort_by_key(|n| n.0);
        systems.dedup_by_key(|n| n.0);
        // Most subjects twice, so that there is something to compare.
        let again = measured.clone().into_iter();
        measured.extend(again.map(|(net, node, ms)| (net, node + 1, 200 - ms)));
        Known { systems, measured }
    })
}

impl Known {
    /// Lines of a made-up world: its systems, and the places of those networks that no override is for.
    fn world(&self, networks: &[Block]) -> Vec<String> {
        let systems = self
            .systems
            .iter()
            .map(|(net, asn)| format!("{net} AS{asn}"));
        let places = networks.iter().filter(|n| in_database(n));
        let places = places.map(|(net, (lat, lon))| format!("{net} [{lat:.4}, {lon:.4}] in GB"));
        systems.chain(places).collect()
    }

    /// A latency table.
    fn latency(&self, nodes: usize) -> String {
        let row = |(net, node, ms): &(Prefix, usize, u16)| {
            let subject = match (net.len, ms % 2) {
                (0, 0) => "AS1".to_owned(),
                (0, _) => "AS2/GB".to_owned(),
                _ => net.to_string(),
            };
            format!("{subject} n{} {ms} 100 1800000000\n", node % nodes + 1)
        };
        self.measured.iter().map(row).collect()
    }
}

/// Whether a database has the network, and not an override.
fn in_database((net, _): &Block) -> bool {
    net.len <= 24 && net.len.is_multiple_of(2)
}

/// A configuration in words, as an operator would write it.
fn config(
    nodes: &[(f64, f64)],
    networks: &[Block],
    limits: &[u8],
    answer: u8,
    none: &str,
) -> String {
    let mut text = format!(
        "[zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\npools = {{ \"@\" = \"site\" }}\n\
         [pool.site]\nprobe = \"tcp:80\"\nanswer = {answer}\nnear = \"1.5x + 300km\"\nnone = \"{none}\"\n"
    );
    for (n, (lat, lon)) in (1..).zip(nodes) {
        text += &format!("[node.n{n}]\nat = [{lat:.4}, {lon:.4}]\nip = [\"192.0.2.{n}\"]\n");
        let net = |n: usize| match networks {
            [] => "0.0.0.0/1".to_owned(),
            all => all[n % all.len()].0.to_string(),
        };
        let (one, other) = (net(n), net(n * 2 + 1));
        text += &match limits.get(n - 1) {
            Some(1) => format!("limit = {{ only = [\"{one}\", \"{other}\"] }}\n"),
            Some(2) => format!("limit = {{ only = [\"country:GB\"], except = [\"{one}\"] }}\n"),
            Some(3) => "limit = { except = [\"continent:EU\"] }\n".to_owned(),
            Some(4) => {
                "limit = { only = [\"AS1\", \"country:US\"], except = [\"AS2\"] }\n".to_owned()
            }
            Some(6) => format!("limit = {{ except = [\"resolver:{one}\", \"AS1\"] }}\n"),
            Some(7) => "limit = { only = [\"resolver:AS2\", \"country:GB\"] }\n".to_owned(),
            Some(5) => format!("limit = {{ except = [\"AS1\", \"{one}\"] }}\n"),
            _ => String::new(),
        };
    }
    let overridden = networks.iter().filter(|n| !in_database(n));
    for ((net, (lat, lon)), country) in overridden.zip(["GB", "US", "FR"].iter().cycle()) {
        text += &format!(
            "[[geo.override]]\nnet = \"{net}\"\nat = [{lat:.4}, {lon:.4}]\ncountry = \"{country}\"\n"
        );
    }
    // Where a system is, in whatever country, and in one.
    if networks.len() % 2 == 1 {
        text += "[[geo.override]]\nasn = \"AS3\"\nat = [10.0, 20.0]\ncountry = \"US\"\n";
        text += "[[geo.override]]\nasn = \"AS2/US\"\nat = [-30.0, 130.0]\ncountry = \"GB\"\n";
    }
    text
}

/// The same with a share that just holds everybody.
fn shared(config: &str, nodes: usize) -> String {
    let share = 100usize.div_ceil(nodes).min(99);
    let line = format!("[pool.site]\nmax_share = \"{share}%\"\n");
    if nodes > 1 {
        config.replace("[pool.site]\n", &line)
    } else {
        config.to_owned()
    }
}

fn started(
    config: &str,
    networks: &[Block],
    nodes: usize,
    known: &Known,
) -> Result<Snapshot, TestCaseError> {
    let (world, latency) = (known.world(networks), known.latency(nodes));
    let generation = if world.is_empty() && latency.is_empty() {
        build(config)
    } else {
        build_in(&world, &latency, config)
    };
    generation.map(|g| g.snapshot).map_err(TestCaseError::fail)
}

/// One bit of `up` for each node; those that are out were in service at times of their own.
fn table(up: u8, nodes: usize) -> Table {
    let word = |n: u32| {
        let up = up >> n & 1 == 1;
        Word::new(
            up,
            if up { STEADY } else { 7 },
            if up { u32::MAX } else { 100 + n * 7 % 3 },
        )
    };
    Table::new((0u32..).take(nodes).map(word).collect())
}

/// Code, addresses with TTL, and scope.
type Answer = (u16, Vec<(IpAddr, u32)>, u8);

/// What a client is answered: by a resolver that names it, or if that does not count, as its own resolver.
fn ask(
    snapshot: &Snapshot,
    table: &Table,
    resolver: u32,
    client: u32,
) -> Result<Answer, TestCaseError> {
    let address = Ipv4Addr::from_bits(client).into();
    let ecs = routable(client).then(|| Ecs::of(address, 32));
    let source = if ecs.is_some() {
        Ipv4Addr::from_bits(resolver).into()
    } else {
        address
    };
    let question =
        Question::about("get.example.org", rtype::A, source, ecs).map_err(TestCaseError::fail)?;
    let request = Request {
        packet: &question.packet(),
        source: question.from,
        transport: Transport::Udp,
        draw: 0,
    };
    let mut out = [0; 1500];
    let outcome = answer(snapshot, table, request, &mut Scratch::default(), &mut out);
    let reply = Reply::read(&question, &out[..outcome.len]).map_err(TestCaseError::fail)?;
    Ok((outcome.rcode, reply.addresses(), reply.scope.unwrap_or(0)))
}

fn routable(addr: u32) -> bool {
    is_routable(Ipv4Addr::from_bits(addr).into())
}

/// Wherever lists change: the first and last addresses of networks, and their neighbours.
fn edges(networks: &[Block], known: &Known) -> Vec<u32> {
    let half = Prefix::holding(Ipv4Addr::UNSPECIFIED.into(), 1);
    let nets = networks.iter().map(|n| n.0);
    let nets = nets.chain(known.systems.iter().map(|s| s.0));
    let nets = nets.chain(known.measured.iter().map(|m| m.0)).chain([half]);
    let ends = nets.filter_map(|net| {
        let IpAddr::V4(first) = net.addr else {
            return None;
        };
        let last = first.to_bits() | u32::MAX.checked_shr(net.len.into()).unwrap_or(0);
        Some([
            first.to_bits(),
            first.to_bits().wrapping_sub(1),
            last,
            last.wrapping_add(1),
        ])
    });
    ends.flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the health: within the scope of an answer everybody has the same answer and the same scope, so no two scopes overlap.
    #[test]
    fn nobodys_answer_differs_inside_one_scope(
        nodes in nodes(), networks in networks(), known in known(), limits in limits(), share: bool, wanted in 1u8..=3, none in prop::sample::select(&["least-bad", "all", "nearest", "nodata", "servfail"][..]),
        up: u8, resolver: u32, at_edge: bool, clients in prop::collection::vec(any::<(u32, u32)>(), 40),
    ) {
        let config = config(&nodes, &networks, &limits, wanted, none);
        let config = if share { shared(&config, nodes.len()) } else { config };
        let snapshot = started(&config, &networks, nodes.len(), &known)?;
        let table = table(up, nodes.len());
        let edges = edges(&networks, &known);
        // Half of the time one that some rule may speak of.
        let resolver = if at_edge { edges[resolver as usize % edges.len()] } else { resolver };
        let pairs = clients.iter().copied().chain(edges.iter().flat_map(|a| edges.iter().map(|b| (*a, *b))));
        for (client, other) in pairs.filter(|(client, _)| routable(*client)) {
            let given = ask(&snapshot, &table, resolver, client)?;
            let host = u32::MAX.checked_shr(given.2.into()).unwrap_or(0);
            let inside = (client & !host) | (other & host);
            if routable(inside) {
                prop_assert_eq!(&given, &ask(&snapshot, &table, resolver, inside)?, "{} and {}", Ipv4Addr::from_bits(client), Ipv4Addr::from_bits(inside));
            }
        }
    }

    /// The block one bit wider holds somebody who in some state of health is answered otherwise.
    #[test]
    fn no_scope_could_be_wider(nodes in nodes(), networks in networks(), known in known(), limits in limits(), resolver: u32, at_edge: bool, clients in prop::collection::vec(any::<u32>(), 4)) {
        let snapshot = started(&config(&nodes, &networks, &limits, 2, "nodata"), &networks, nodes.len(), &known)?;
        let tables: Vec<Table> = (0..1 << nodes.len()).map(|up| table(up, nodes.len())).collect();
        let edges = edges(&networks, &known);
        // Half of the time one that some rule may speak of.
        let resolver = if at_edge { edges[resolver as usize % edges.len()] } else { resolver };
        let all = |client: u32| tables.iter().map(|t| ask(&snapshot, t, resolver, client).map(|a| a.1)).collect::<Result<Vec<_>, _>>();
        for client in clients.into_iter().chain(edges.iter().copied()).filter(|c| routable(*c)) {
            let scope = ask(&snapshot, &tables[0], resolver, client)?.2;
            if scope > 0 {
                let wider = u32::MAX >> (scope - 1);
                let own = all(client)?;
                let mut differs = false;
                for other in edges.iter().filter(|o| *o & !wider == client & !wider) {
                    differs |= all(*other)? != own;
                }
                prop_assert!(differs, "a scope of {} around {} could be wider", scope, Ipv4Addr::from_bits(client));
            }
        }
    }
}
