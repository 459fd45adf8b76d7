//! Where nodes stand, for those of which the peer does not say it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::report::Report;
use super::system::{At, Node, Reached, System};
use crate::geo::{Database, World};
use crate::prefix::Client;

/// What the peer says of places, by address: latitude, longitude, and who says so.
pub(super) type Known = HashMap<IpAddr, At>;

/// Gives each node a place. One that is chosen by distance and of which nothing is known is told of.
pub(super) fn settle(system: &mut System, known: &Known, report: &mut Report) {
    let opened = system
        .databases
        .iter()
        .filter_map(|p| Database::open(p).ok());
    let mut databases: Vec<Database> = opened.collect();
    let who = match &system.databases[..] {
        [] => "the small GeoIP database that ships with nearmost".to_owned(),
        paths => names(paths),
    };
    if databases.is_empty() {
        databases.extend(Database::shipped().ok());
    }
    let world = World::build(&databases, &[]);
    for node in &mut system.nodes {
        if node.at.is_none() {
            node.at = Some(of(node, known, &world, &who, report));
        }
    }
}

fn names(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    paths.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn of(node: &Node, known: &Known, world: &World, who: &str, report: &mut Report) -> At {
    let addresses: &[IpAddr] = match &node.reached {
        Reached::Addresses(addresses) => addresses,
        Reached::Name(_) => &[],
    };
    if let Some(at) = addresses.iter().find_map(|ip| known.get(ip)) {
        return at.clone();
    }
    for ip in addresses {
        if let Some(point) = world.locate(Client::of(*ip)).0.point {
            return At {
                lat: round(point.lat),
                lon: round(point.lon),
                why: format!("where {who} puts {ip}"),
            };
        }
    }
    if node.by_distance {
        report.lost(
            node.span,
            format!("nothing says where node {} stands", node.name),
            format!(
                "write its place in nodes/{}.toml, such as at = \"FRA\"",
                node.name
            ),
        );
    }
    At {
        lat: 0.0,
        lon: 0.0,
        why: match node.by_distance {
            true => "nothing says where it stands: write it here, such as \"FRA\"".to_owned(),
            false => {
                "nothing says where it stands; no pool that was carried over chooses it by distance"
                    .to_owned()
            }
        },
    }
}

/// A hundredth of a degree is a kilometre: no database is that good.
fn round(degrees: f64) -> f64 {
    (degrees * 100.0).round() / 100.0
}
