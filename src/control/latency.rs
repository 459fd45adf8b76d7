//! Latency tables: rows that cannot be are told of, the others go to the plans of the pools that have their nodes.

use std::sync::Arc;

use crate::config::{Config, read_latency};
use crate::diagnostic::{Diagnostics, Sources, Span};
use crate::geo::{PlaceSource, Subject, World, nearest_city};
use crate::policy::{LatencyRow, Measured, Member, Sample, least_ms};
use crate::prefix::Client;

/// Reads the tables of a configuration.
pub(super) fn read(
    config: &Config,
    world: &World,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Vec<LatencyRow> {
    let mut rows = Vec::new();
    for (path, at) in &config.geo.latency {
        rows.extend(read_latency(path, *at, &config.nodes, sources, found));
    }
    if !rows.is_empty() && found.errors() == 0 {
        doubt(config, world, &rows, found);
    }
    rows.into_iter().map(|(row, _)| row).collect()
}

/// Of so many networks it is said.
const TOLD: usize = 20;

/// Says which networks cannot be where the databases put them: they are too near to a node for that.
fn doubt(config: &Config, world: &World, rows: &[(LatencyRow, Span)], found: &mut Diagnostics) {
    let point = |ip| world.locate(Client::of(ip)).0.point;
    let nodes = config.nodes.iter();
    let nodes: Vec<_> = nodes
        .map(|n| n.at.or_else(|| n.addresses.iter().copied().find_map(point)))
        .collect();
    let mut told = Vec::new();
    for (row, span) in rows {
        let Subject::Net(net) = row.subject else {
            continue;
        };
        let (place, _) = world.locate(Client::of(net.addr));
        if place.source != PlaceSource::City || told.contains(&net) {
            continue;
        }
        let (Some(client), Some(node)) = (place.point, nodes[row.node]) else {
            continue;
        };
        if row.rtt_ms < least_ms(client.km(node)) && told.len() < TOLD {
            told.push(net);
            let near = nearest_city(client).map_or_else(String::new, |(city, _)| city);
            let (ms, node) = (row.rtt_ms, &config.nodes[row.node].name);
            found
                .warning(
                    *span,
                    format!("GeoIP says {near}, but {net} is {ms} ms from {node}"),
                )
                .note("it is taken to be near to that node");
        }
    }
}

/// What was measured of the members of a plan.
pub(super) fn of(members: &[Member], measured: &[Measured<usize>]) -> Arc<[Measured]> {
    let number = |node: usize| members.iter().position(|m| m.node as usize == node);
    let sample = |sample: &Sample<usize>| {
        let member = u16::try_from(number(sample.member)?).ok()?;
        Some(Sample {
            member,
            rtt_ms: sample.rtt_ms,
            weight: sample.weight,
        })
    };
    let of = measured.iter().map(|m| Measured {
        subject: m.subject,
        samples: m.samples.iter().filter_map(sample).collect(),
    });
    of.filter(|m| !m.samples.is_empty()).collect()
}
