//! Weights, over many clients: statistics with bounds of five standard deviations.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use nearmost::control;
use nearmost::health::{Forced, Order};
use nearmost::policy::Steering;
use nearmost::prefix::Client;

use crate::random::Random;
use crate::world;

/// Places of clients, some metres from each other.
const PLACES: u32 = 16_384;
/// Nodes that all of them have about equally near, and their weights.
const WEIGHTS: [(&str, u32); 5] = [("a", 100), ("b", 50), ("c", 300), ("d", 100), ("e", 0)];

fn config(sticky: bool) -> String {
    let mut out = format!(
        "[geo]\ndatabases = [\"world.mmdb\"]\n[zone.\"get.example.org\"]\nns = [\"ns1.example.net\"]\npools = {{ \"@\" = \"site\" }}\n[pool.site]\nsticky = {sticky}\n"
    );
    for (n, (name, weight)) in WEIGHTS.iter().enumerate() {
        out += &format!(
            "[node.{name}]\nat = [50.{n}, 8.0]\nip = [\"198.51.100.{n}\"]\nweight = {weight}\n"
        );
    }
    out
}

/// Who gets how many, where each client is known by its number.
type Given = BTreeMap<u32, String>;

fn within(what: &str, count: usize, of: usize, part: f64) {
    let (n, count) = (of as f64, count as f64);
    let sigma = (n * part * (1.0 - part)).sqrt();
    assert!(
        (count - n * part).abs() <= 5.0 * sigma,
        "{what}: {count} of {n} where {part:.3} is due, that is {} +- {sigma:.0}",
        n * part
    );
}

fn as_weights_say(given: &Given, weights: &[(&str, u32)]) {
    let sum: u32 = weights.iter().map(|w| w.1).sum();
    for (name, weight) in weights {
        let count = given.values().filter(|n| n == name).count();
        within(
            name,
            count,
            given.len(),
            f64::from(*weight) / f64::from(sum),
        );
    }
}

#[test]
fn weights_hold_over_many_places_and_only_the_clients_of_one_that_goes_move() {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shares-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let lines = [(1, "11.0.0.0/8 by /22 around [50.0, 8.0]".to_owned())];
    for (file, octets) in world::databases(&lines).unwrap() {
        std::fs::write(folder.join(file), octets).unwrap();
    }
    for sticky in [true, false] {
        let loaded = control::load_text(&folder.join("nearmost.toml"), &config(sticky));
        let told = loaded.found.render(&loaded.sources, false);
        let parts = loaded.parts.unwrap_or_else(|| panic!("{told}"));
        let now = Duration::from_secs(1_800_000_000);
        let mut generation = control::build(&parts, 1, now).unwrap();
        let mut random = Random::new(7);
        let mut ask = |generation: &control::Generation| -> Given {
            let table = generation.board.table(now);
            let steering: &Steering = &generation.snapshot.pools[0].v4.as_ref().unwrap().steering;
            let mut one = |n: u32| {
                let ip = IpAddr::from(Ipv4Addr::from_bits((11 << 24) | (n << 10)));
                let choice = steering.walk(Client::of(ip), &table, random.next(), &mut ());
                let member = steering.members[usize::from(choice.members()[0])];
                generation.snapshot.nodes[member.node as usize].name.clone()
            };
            (0..PLACES).map(|n| (n, one(n))).collect::<Given>()
        };
        let before = ask(&generation);
        as_weights_say(&before, &WEIGHTS);
        let order = Order {
            forced: Forced::Drained,
            why: String::new(),
            who: String::new(),
            since: now,
            until: None,
            at_once: false,
        };
        let _ = generation.board.order("c", Some(order));
        let after = ask(&generation);
        if sticky {
            let stayed = |n: &u32| before[n] == "c" || before[n] == after[n];
            assert!(
                before.keys().all(stayed),
                "others than the clients of c moved"
            );
        }
        // Those of the one that is gone are spread as weights say too.
        let own = after
            .into_iter()
            .filter(|(n, _)| !sticky || before[n] == "c");
        let left: Vec<(&str, u32)> = WEIGHTS.into_iter().filter(|w| w.0 != "c").collect();
        as_weights_say(&own.collect(), &left);
    }
    let _ = std::fs::remove_dir_all(&folder);
}
