//! What the probes find, and what follows from it for nodes and pools.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::page::{Labels, Page};
use crate::control::{Handle, UP_TO};
use crate::health::{Board, Check, Seen, State, Status};
use crate::snapshot::{Family, Snapshot};

/// What is told of a check, so that the board is held for no longer than it takes to look.
struct Row {
    node: String,
    address: String,
    probe: String,
    host: String,
    up: bool,
    latency: Option<f64>,
    seen: Seen,
}

impl Row {
    fn of((check, status): (&Check, &Status)) -> Self {
        let last = status.last.as_ref().map(|(_, outcome)| outcome);
        Self {
            node: check.node.clone(),
            address: check.address.to_string(),
            probe: check.probe.name.clone(),
            host: check.host.clone(),
            up: status.counter.state() == State::Up,
            latency: last.map(|outcome| outcome.latency.as_secs_f64()),
            seen: last.map_or(Seen::default(), |outcome| outcome.seen),
        }
    }

    fn labels(&self) -> Labels<'_, 4> {
        [
            ("node", &self.node),
            ("address", &self.address),
            ("probe", &self.probe),
            ("host", &self.host),
        ]
    }
}

pub(super) fn write(page: &mut Page<'_>, handle: &Handle) -> fmt::Result {
    let (rows, orders, frozen, freezes, snapshot) = {
        let board = handle.board();
        let all = board.checks().iter().zip(board.statuses());
        let rows: Vec<Row> = all.map(Row::of).collect();
        let frozen = board.frozen().map(|frozen| frozen.is_some());
        // Who has the board has the generation that it is of.
        let snapshot = handle.current().get();
        (rows, orders(&board), frozen, board.freezes(), snapshot)
    };
    checks(page, &rows)?;
    services(page, &snapshot)?;
    page.gauges(
        "nearmost_node_ordered",
        "1 for each order of an operator: drained, forced-up or forced-down.",
        orders
            .iter()
            .map(|(node, order)| ([("node", node.as_str()), ("order", *order)], 1.0)),
    )?;
    let families = ["ipv4", "ipv6"].into_iter().zip(frozen);
    page.gauges(
        "nearmost_states_frozen",
        "1 while the states of a family are frozen, as most nodes failed at once.",
        families.map(|(family, frozen)| ([("family", family)], f64::from(u8::from(frozen)))),
    )?;
    page.counters(
        "nearmost_state_freezes",
        "How often states were frozen.",
        [([], freezes)],
    )?;
    probes(page, handle)
}

fn orders(board: &Board) -> Vec<(String, &'static str)> {
    let orders = board.orders().iter();
    orders
        .map(|(node, order)| (node.clone(), order.forced.word()))
        .collect()
}

fn checks(page: &mut Page<'_>, rows: &[Row]) -> fmt::Result {
    let labelled = |value: fn(&Row) -> Option<f64>| {
        rows.iter()
            .filter_map(move |row| Some((row.labels(), value(row)?)))
    };
    page.gauges(
        "nearmost_check_up",
        "1 if an address is up by a probe, as it is measured; 0 if it is down or has no result yet.",
        labelled(|row| Some(f64::from(u8::from(row.up)))),
    )?;
    page.gauges(
        "nearmost_check_latency_seconds",
        "How long the newest run of a check took.",
        labelled(|row| row.latency),
    )?;
    page.gauges(
        "nearmost_check_connect_seconds",
        "How long it took in the newest run until the connection stood.",
        labelled(|row| Some(row.seen.connect?.as_secs_f64())),
    )?;
    page.gauges(
        "nearmost_check_tls_seconds",
        "How long TLS took from then.",
        labelled(|row| Some(row.seen.tls?.as_secs_f64())),
    )?;
    page.gauges(
        "nearmost_certificate_expiry_timestamp_seconds",
        "When the certificate that a check saw ends, in seconds since 1970.",
        labelled(|row| Some(row.seen.certificate_ends?.as_secs_f64())),
    )
}

/// The addresses and pools as queries see them.
fn services(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let table = snapshot.table.load();
    let mut addresses: BTreeMap<(&str, IpAddr), bool> = BTreeMap::new();
    let mut pools = Vec::new();
    for pool in &snapshot.pools {
        for (word, family) in [("ipv4", &pool.v4), ("ipv6", &pool.v6)] {
            let Some(Family { steering, .. }) = family else {
                continue;
            };
            let (mut nodes, mut serving) = (0u32, 0u32);
            for (node, members) in steering.nodes() {
                let name = snapshot.nodes[node as usize].name.as_str();
                let mut any = false;
                for address in members.flat_map(|member| steering.addresses_of(member)) {
                    let serves = table.word(address.slot).in_service();
                    any |= serves;
                    *addresses.entry((name, address.ip)).or_insert(true) &= serves;
                }
                nodes += 1;
                serving += u32::from(any);
            }
            let labels = [("pool", pool.name.as_str()), ("family", word)];
            pools.push((labels, f64::from(nodes), f64::from(serving)));
        }
    }
    page.gauges(
        "nearmost_pool_nodes",
        "Nodes of a pool with addresses of a family.",
        pools.iter().map(|(labels, nodes, _)| (*labels, *nodes)),
    )?;
    page.gauges(
        "nearmost_pool_nodes_in_service",
        "Those of them with an address in service.",
        pools.iter().map(|(labels, _, serving)| (*labels, *serving)),
    )?;
    let addresses: Vec<(&str, String, bool)> = addresses
        .into_iter()
        .map(|((node, ip), serves)| (node, ip.to_string(), serves))
        .collect();
    page.gauges(
        "nearmost_address_in_service",
        "1 if an address is in service in all of its pools, orders and freezes included; 0 if it is not.",
        addresses.iter().map(|(node, ip, serves)| {
            let labels = [("node", *node), ("address", ip.as_str())];
            (labels, f64::from(u8::from(*serves)))
        }),
    )
}

fn probes(page: &mut Page<'_>, handle: &Handle) -> fmt::Result {
    let probed = handle.probed();
    page.counters(
        "nearmost_probe_runs",
        "Runs of probes by kind and result.",
        probed.iter().flat_map(|(kind, runs)| {
            [("ok", runs.ok), ("failed", runs.failed)]
                .map(|(result, count)| ([("kind", *kind), ("result", result)], count))
        }),
    )?;
    page.histograms(
        "nearmost_probe_duration_seconds",
        "How long the runs of probes took.",
        probed.iter().map(|(kind, runs)| {
            let ends = UP_TO.iter().map(std::time::Duration::as_secs_f64);
            let mut classes: Vec<_> = ends.zip(runs.classes).collect();
            let longer = runs.ok + runs.failed - runs.classes.iter().sum::<u64>();
            classes.push((f64::INFINITY, longer));
            ([("kind", *kind)], runs.took.as_secs_f64(), classes)
        }),
    )
}
