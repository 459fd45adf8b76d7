//! Mirrors that are known by a name follow it, and outlive the resolver.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};

use crate::common::nodes::Does;
use crate::program::{Folder, Server, Stop, eventually};
use crate::question::Question;
use crate::world::{FRA, NYC, World, server, zone};

/// What the resolver does.
#[derive(Clone, Debug)]
enum Says {
    /// These addresses, for a second.
    These(Vec<String>),
    Fails(ResponseCode),
    Nothing,
}

/// A resolver on loopback that knows one name, until it is dropped.
struct Resolver {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    done: Arc<AtomicBool>,
}

impl Resolver {
    fn start(at: &str, says: Says) -> Self {
        let socket = UdpSocket::bind(at).unwrap();
        let wait = std::time::Duration::from_millis(50);
        socket.set_read_timeout(Some(wait)).unwrap();
        let resolver = Self {
            address: socket.local_addr().unwrap(),
            says: Arc::new(Mutex::new(says)),
            done: Arc::default(),
        };
        let (says, done) = (Arc::clone(&resolver.says), Arc::clone(&resolver.done));
        std::thread::spawn(move || {
            let mut room = [0; 2048];
            while !done.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut room) else {
                    continue;
                };
                let says = says.lock().unwrap().clone();
                if let Some(reply) = reply(&room[..length], &says) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        resolver
    }

    fn now(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

fn reply(question: &[u8], says: &Says) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(question).unwrap();
    message.metadata.message_type = MessageType::Response;
    let asked = message.queries[0].clone();
    assert_eq!(asked.name().to_ascii(), "mirror.example.");
    match says {
        Says::Nothing => return None,
        Says::Fails(code) => message.metadata.response_code = *code,
        Says::These(addresses) if asked.query_type() == RecordType::A => {
            for address in addresses {
                let address = RData::A(A(address.parse().unwrap()));
                let record = Record::from_rdata(asked.name().clone(), 1, address);
                message.answers.push(record);
            }
        }
        Says::These(_) => {}
    }
    Some(message.to_vec().unwrap())
}

/// `fra` has a name, `nyc` is the last mirror of the world.
fn folder(world: &World, resolver: &Resolver) -> Arc<Folder> {
    let last = u8::try_from(world.nodes.len() - 1).unwrap();
    let head = server().replacen(
        "[server]",
        &format!(
            "[limits]\nresolve_least = \"1s\"\n[server]\nstate = \".\"\nresolvers = [\"{}\"]",
            resolver.address
        ),
        1,
    );
    let config = format!(
        "{head}\n{}\n[pool.site]\nprobes = [\"web\"]\n{}\n[node.fra]\nat = \"FRA\"\nhost = \"mirror.example\"\n[node.nyc]\nat = \"NYC\"\nip = [\"{}\"]\n",
        zone(),
        world.probe("http", "path = \"/\""),
        world.ip(last),
    );
    Arc::new(Folder::with(&config))
}

/// What is known of the name.
fn known(server: &Server) -> serde_json::Value {
    server.json(&["status"])["hosts"][0].clone()
}

#[test]
fn a_mirror_follows_its_name_and_outlives_the_resolver() {
    let world = World::of(101, 3);
    let [old, new, nyc] = [0, 1, 2].map(|n| world.ip(n));
    let resolver = Resolver::start("127.101.1.53:0", Says::These(vec![old.clone()]));
    let folder = folder(&world, &resolver);
    let server = Server::start_in(&folder);
    assert_eq!(server.given(FRA), old, "before anything is answered");
    assert_eq!(server.given(NYC), nyc);
    assert_eq!(known(&server)["ok"], true);

    // The new address is not trusted before it has been checked; the old one is nobody's any more.
    world.now(1, Does::Refuse);
    resolver.now(Says::These(vec![new.clone()]));
    server.gives(FRA, &nyc);
    server
        .log
        .wait(&["INFO", "fra", &format!("{old} -> {new}")]);
    assert_eq!(server.json(&["status"])["generation"], 2);
    (0..50).for_each(|_| assert_eq!(server.given(FRA), nyc));
    let health = server.run(&["health", "fra"]);
    assert_eq!(health.code, 1, "{health:?}");
    assert!(health.out.contains("mirror.example"), "{health:?}");
    world.now(1, Does::ok());
    server.gives(FRA, &new);
    the_change_is_told(&server, &old, &new);

    resolver.now(Says::Fails(ResponseCode::ServFail));
    eventually("the failure is shown", || {
        let line = known(&server);
        let error = line["last_error"].as_str().unwrap_or("-");
        (line["ok"] == false && error.ends_with(": SERVFAIL")).then_some(())
    });
    assert_eq!(server.given(FRA), new);
    server
        .log
        .wait(&["WARN", "fra", "not resolved", &new, "SERVFAIL"]);
    let explained = server.run(&["explain", "get.example.org", "--from", "20.0.1.7"]);
    for words in ["fra is mirror.example, resolved ", " ago; ", "SERVFAIL"] {
        assert!(explained.out.contains(words), "{words}: {explained:?}");
    }
    assert_eq!(server.stop(), Some(0));

    // With a resolver that hangs a start goes on from what was known, and mirrors are watched as ever.
    resolver.now(Says::Nothing);
    let offline = folder.run(&[
        "explain",
        "get.example.org",
        "--from",
        "20.0.1.7",
        "--offline",
    ]);
    assert!(offline.out.contains(&new), "{offline:?}");
    let server = Server::start_in(&folder);
    assert_eq!(server.given(FRA), new);
    server
        .log
        .wait(&["fra: going on from the last answer", &new]);
    eventually("the silence is shown", || {
        let error = known(&server)["last_error"]
            .as_str()
            .unwrap_or("-")
            .to_owned();
        error.contains("timed out after 1500 ms").then_some(())
    });
    world.now(1, Does::Refuse);
    server.gives(FRA, &nyc);
    world.now(1, Does::ok());
    server.gives(FRA, &new);
    let status = server.run(&["status"]);
    assert!(status.out.contains("timed out"), "{status:?}");
}

/// History has it once; who stayed went on undisturbed.
fn the_change_is_told(server: &Server, old: &str, new: &str) {
    let history = server.json(&["history"]).as_array().unwrap().clone();
    let moved = |e: &&serde_json::Value| e["from"] == old && e["to"] == new;
    assert_eq!(history.iter().filter(moved).count(), 1, "{history:?}");
    let of_nyc: Vec<_> = history.iter().filter(|e| e["node"] == "nyc").collect();
    assert_eq!(
        of_nyc.len(),
        1,
        "who stayed went on undisturbed: {of_nyc:?}"
    );
    let shares = server.json(&["health"]);
    let nyc_line = shares
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["node"] == "nyc");
    assert!(
        nyc_line.unwrap()["share"].as_f64() > Some(0.5),
        "what was given before the change counts: {shares}"
    );
}

#[test]
fn a_mirror_whose_name_was_never_resolved_joins_when_it_is() {
    let world = World::of(102, 2);
    let resolver = Resolver::start("127.102.1.53:0", Says::Nothing);
    let server = Server::start_in(&folder(&world, &resolver));
    assert_eq!(server.given(FRA), world.ip(1), "the others are served");
    let health = server.run(&["health", "fra"]);
    assert_eq!(health.code, 1, "{health:?}");
    assert!(health.out.contains("never"), "{health:?}");
    assert!(health.out.contains("timed out"), "{health:?}");
    let drained = server.run(&["drain", "fra", "--why", "not yet"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    resolver.now(Says::These(vec![world.ip(0)]));
    server.log.wait(&["fra", "no address -> ", &world.ip(0)]);
    server.log.wait(&["fra", "unknown -> up"]);
    assert_eq!(server.given(FRA), world.ip(1), "an order goes on");
    assert_eq!(server.run(&["undrain", "fra"]).code, 0);
    server.gives(FRA, &world.ip(0));
    assert_eq!(server.run(&["health"]).code, 0);
}

/// Names that change all the time, mirrors that are dead among them: nobody is ever given one that is dead or was not checked.
#[test]
fn no_answer_is_of_neither_generation_while_names_change() {
    const CHANGES: u64 = 6;
    let world = World::of(103, 5);
    let ip = |n| world.ip(n);
    // The dead stand now before, now behind the living, so that numbers of checks mean others each time.
    [0, 3]
        .into_iter()
        .for_each(|dead| world.now(dead, Does::Refuse));
    let sets = [vec![ip(0), ip(1)], vec![ip(2), ip(3)], vec![ip(1)]];
    let resolver = Resolver::start("127.103.1.53:0", Says::These(sets[0].clone()));
    let server = Server::start_in(&folder(&world, &resolver));
    let done = AtomicBool::new(false);
    let living: BTreeSet<String> = [1, 2, 4].map(ip).into();
    std::thread::scope(|scope| {
        let asking = [FRA, FRA, NYC].map(|net| {
            let (done, address) = (&done, server.address);
            scope.spawn(move || {
                let mut given = BTreeSet::new();
                while !done.load(Ordering::Relaxed) {
                    let reply = Question::a("get.example.org").from(net).by_udp(address);
                    given.insert(reply.one());
                }
                given
            })
        });
        let _stop = Stop(&done);
        for change in 1..=CHANGES {
            let set = &sets[usize::try_from(change).unwrap() % sets.len()];
            resolver.now(Says::These(set.clone()));
            let now = known_addresses(set);
            eventually("the change is in service", || {
                let status = server.json(&["status"]);
                let hosts = &status["hosts"][0]["addresses"];
                (status["generation"] == change + 1 && *hosts == now).then_some(())
            });
            let alive = set.iter().find(|a| living.contains(*a)).unwrap();
            server.gives(FRA, alive);
        }
        done.store(true, Ordering::Relaxed);
        for given in asking.map(|a| a.join().unwrap()) {
            assert!(given.is_subset(&living), "{given:?}");
        }
    });
    let panics = &server.json(&["status"])["counters"]["panics"];
    assert_eq!(*panics, 0);
}

/// The name is all that is ever given of it; its addresses say whether.
#[test]
fn a_mirror_that_is_given_by_name() {
    let world = World::of(105, 2);
    let resolver = Resolver::start("127.105.1.53:0", Says::These(vec![world.ip(0)]));
    let folder = folder(&world, &resolver);
    let config = std::fs::read_to_string(folder.path("nearmost.toml")).unwrap();
    let config = config
        .replace("{ \"@\" = \"site\" }", "{ \"deb\" = \"site\" }")
        .replace(
            "host = \"mirror.example\"",
            "host = \"mirror.example\"\ncname = true",
        );
    folder.write("nearmost.toml", &config);
    let server = Server::start_in(&folder);
    let given = || {
        let question = Question::a("deb.get.example.org").from(FRA);
        server.ask(&question).records()
    };
    let name =
        |records: &[String]| records.len() == 1 && records[0].ends_with("CNAME mirror.example.");
    assert!(name(&given()), "{:?}", given());
    let explain = ["explain", "deb.get.example.org", "--from", "20.0.1.7"];
    let why = server.run(&explain);
    assert!(
        why.out.contains("given as a CNAME to mirror.example"),
        "{why:?}"
    );
    let shares = server.json(&["health", "fra"]);
    assert_eq!(shares[0]["share"], 1.0, "{shares}");

    world.now(0, Does::Refuse);
    eventually("the other mirror is given", || {
        given()[0]
            .ends_with(&format!("A {}", world.ip(1)))
            .then_some(())
    });
    assert_eq!(server.json(&["status"])["pools"][0]["v4"]["in_service"], 1);
    world.now(0, Does::ok());
    eventually("the name is given again", || name(&given()).then_some(()));
}

fn known_addresses(set: &[String]) -> serde_json::Value {
    let mut set: Vec<IpAddr> = set.iter().map(|a| a.parse().unwrap()).collect();
    set.sort();
    serde_json::json!(set)
}
