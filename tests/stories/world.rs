//! Mirrors on loopback that stand around the world, and the configuration that speaks of them.

use std::future::Future;
use std::sync::{Arc, LazyLock};

use rustls::ServerConfig;
use tokio::runtime::Runtime;

use crate::common::nodes::{Does, Node};
use crate::program::ours;

/// Where mirrors live: stories themselves wait, as a person does.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// Name, place and a network of clients near it.
pub const SITES: [(&str, &str, &str); 4] = [
    ("fra", "FRA", "20.0.1.0/24"),
    ("nyc", "NYC", "20.0.2.0/24"),
    ("tyo", "Tokyo, JP", "20.0.3.0/24"),
    ("syd", "SYD", "20.0.4.0/24"),
];
/// Clients near Frankfurt, New York and Tokyo.
pub const FRA: &str = SITES[0].2;
pub const NYC: &str = SITES[1].2;
pub const TYO: &str = SITES[2].2;

/// Mirrors that listen on one port of 127.STORY.0.1 and the addresses that follow.
pub struct World {
    story: u8,
    pub nodes: Vec<Node>,
}

impl World {
    /// So many mirrors that are well.
    pub fn of(story: u8, mirrors: u8) -> Self {
        Self::with(story, (0..mirrors).map(|_| (Does::ok(), None)).collect())
    }

    /// Mirrors that do this, over TLS where there is a certificate.
    pub fn with(story: u8, mirrors: Vec<(Does, Option<Arc<ServerConfig>>)>) -> Self {
        assert!(story > 1, "127.0 and 127.1 are others'");
        let mut port = 0;
        let mut nodes = Vec::new();
        for (number, (does, tls)) in (1..).zip(mirrors) {
            let at = format!("{}:{port}", address(story, number));
            let node = wait(async {
                match tls {
                    // Listens first, so that its port is known and its own.
                    None => {
                        let node = Node::start(&at, Does::Hang).await;
                        node.now(does).await;
                        node
                    }
                    Some(tls) => Node::tls(&at, does, tls).await,
                }
            });
            port = node.address.port();
            nodes.push(node);
        }
        Self { story, nodes }
    }

    pub fn port(&self) -> u16 {
        self.nodes[0].address.port()
    }

    /// The address of a mirror, counted from 0.
    pub fn ip(&self, mirror: u8) -> String {
        address(self.story, mirror + 1)
    }

    /// From now on a mirror does something else.
    pub fn now(&self, mirror: usize, does: Does) {
        wait(self.nodes[mirror].now(does));
    }

    /// The tables of all mirrors, each at its site.
    pub fn node_tables(&self) -> String {
        let node = |(number, (name, at, _)): (u8, &(&str, &str, &str))| {
            format!(
                "[node.{name}]\nat = \"{at}\"\nip = [\"{}\"]\n",
                self.ip(number)
            )
        };
        (0..).zip(&SITES[..self.nodes.len()]).map(node).collect()
    }

    /// A probe that is quick to see a change: two failures are down, two successes up.
    pub fn probe(&self, kind: &str, more: &str) -> String {
        format!(
            "[probe.web]\nkind = \"{kind}\"\nport = {}\nevery = \"1s\"\ntimeout = \"500ms\"\ndown = 2\nok = 2\nup = 2\n{more}\n",
            self.port()
        )
    }

    /// A whole configuration: one pool of all mirrors, with `pool` as more of its lines.
    pub fn config(&self, pool: &str) -> String {
        let (nodes, probe) = (self.node_tables(), self.probe("http", "path = \"/\""));
        let (server, zone) = (server(), zone());
        format!("{server}\n{zone}\n[pool.site]\nprobes = [\"web\"]\n{pool}\n{probe}\n{nodes}")
    }
}

fn address(story: u8, number: u8) -> String {
    format!("127.{story}.0.{number}")
}

/// A zone with one pool at its own name.
pub fn zone() -> &'static str {
    "[zone.\"get.example.org\"]\nns = [\"ns1.example.org\", \"ns2.example.org\"]\npools = { \"@\" = \"site\" }\nttl = \"5m/1s\"\n"
}

/// `[server]` on any port, `[health]` that believes in the death of all mirrors, and `[geo]` with a small database and the networks of [`SITES`].
pub fn server() -> String {
    server_on("127.0.0.1:0")
}

pub fn server_on(listen: &str) -> String {
    let database = ours("tests/data/mmdb/GeoIP2-City-Test.mmdb");
    let net = |(_, at, net): &(&str, &str, &str)| {
        format!("[[geo.override]]\nnet = \"{net}\"\nat = \"{at}\"\n")
    };
    let nets: String = SITES.iter().map(net).collect();
    format!(
        "[server]\nlisten = [\"{listen}\"]\nat = \"FRA\"\nworkers = 2\n[geo]\ndatabases = [\"{}\"]\n{nets}[health]\nfreeze = \"0s\"\n",
        database.display()
    )
}
