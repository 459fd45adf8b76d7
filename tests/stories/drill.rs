//! The failover drill in small (docs/drill.md): three kinds of fault at once, each at another mirror, while questions are asked.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::common::namespace::inside;
use crate::common::nodes::{Does, Node};
use crate::common::wire;
use crate::program::{Server, Stop, eventually};
use crate::question::{Question, Reply, socket_to};
use crate::world::{SITES, server, wait, zone};

const NAME: &str = "get.example.org";
const FAMILIES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];
const PROBE: &str =
    "every = \"1s\"\ntimeout = \"900ms\"\ndown = 2\nok = 2\nup = 2\nexpect = { body = \"ok\" }";
/// `down x every + timeout + 1 s`, and as much again for a machine that has other things to do.
const BOUND: Duration = Duration::from_millis(2 * (2 * 1000 + 900 + 1000));

/// The sites by their places in [`SITES`]: one says nothing any more, one loses packets of IPv6, one all, one is well.
const HANGS: usize = 0;
const HALF: usize = 1;
const LOST: usize = 2;
const WELL: usize = 3;

/// What a client at a site was given.
struct Given {
    asked: Instant,
    site: usize,
    address: IpAddr,
}

#[test]
fn faults_at_once_are_seen_in_time_and_lose_no_question() {
    let hosts = u8::try_from(SITES.len()).unwrap();
    let name = "drill::faults_at_once_are_seen_in_time_and_lose_no_question";
    if !inside(name, &wire::setup(hosts)) {
        return;
    }
    let (mirrors, config) = mirrors();
    let server = Server::start(&config);
    let ips: Vec<[IpAddr; 2]> = (1..=hosts).map(wire::ips).collect();
    let hit = [
        ips[HANGS][0],
        ips[HANGS][1],
        ips[HALF][1],
        ips[LOST][0],
        ips[LOST][1],
    ];
    let done = AtomicBool::new(false);
    let (gone, healed, given) = std::thread::scope(|scope| {
        let _stop = Stop(&done);
        let ask = |rtype| ask_until(&done, &server, rtype);
        let threads = FAMILIES.map(|rtype| scope.spawn(move || ask(rtype)));
        let begun = Instant::now();
        wait(mirrors[HANGS][0].now(Does::Hang));
        wait(mirrors[HANGS][1].now(Does::Hang));
        [hit[2], hit[3], hit[4]].into_iter().for_each(wire::lose);
        for ip in hit {
            server.log.wait(&[&format!(" {ip} up -> down")]);
        }
        assert!(begun.elapsed() < BOUND, "seen after {:?}", begun.elapsed());
        let gone = hit.map(|ip| (ip, turned(&server, &ips, ip, false)));
        // Out is out: for as long as it takes to be probed again and again.
        let before = mirrors[WELL][0].served();
        eventually("three more checks, or a thread has failed", || {
            let failed = threads.iter().any(ScopedJoinHandle::is_finished);
            (failed || mirrors[WELL][0].served() >= before + 3).then_some(())
        });
        let healed = Instant::now();
        wait(mirrors[HANGS][0].now(Does::ok()));
        wait(mirrors[HANGS][1].now(Does::ok()));
        [hit[2], hit[3], hit[4]].into_iter().for_each(wire::find);
        for ip in hit {
            turned(&server, &ips, ip, true);
        }
        done.store(true, Ordering::Relaxed);
        let given = threads.map(|thread| thread.join().unwrap());
        (
            gone,
            healed,
            given.into_iter().flatten().collect::<Vec<_>>(),
        )
    });
    for Given {
        asked,
        site,
        address,
    } in &given
    {
        let out = gone.iter().find(|(ip, _)| ip == address);
        let dead = out.is_some_and(|(_, at)| asked > at && *asked < healed);
        assert!(!dead, "{address} is out and was given");
        // What has no fault is given to everybody near it, all the time.
        let own = ips[*site][usize::from(address.is_ipv6())];
        assert!(hit.contains(&own) || own == *address, "{own}: {address}");
    }
    let log = server.log.text();
    assert_eq!(log.matches(" up -> down").count(), hit.len(), "{log}");
    assert_eq!(log.matches(" down -> up").count(), hit.len(), "{log}");
    let counters = server.json(&["status"])["counters"].clone();
    assert_eq!(counters["no node in service"], 0, "{counters}");
    assert_eq!(
        counters["rcode NOERROR"], counters["received"],
        "{counters}"
    );
}

/// A mirror at each site with an address of each family, and the configuration that speaks of them.
fn mirrors() -> (Vec<[Node; 2]>, String) {
    let mut port = 0;
    let mut start = |ip: IpAddr| {
        let node = wait(Node::start(
            &format!("{}", std::net::SocketAddr::new(ip, port)),
            Does::ok(),
        ));
        port = node.address.port();
        node
    };
    let mut nodes = String::new();
    let mut mirrors = Vec::new();
    for (host, (name, at, _)) in (1..).zip(SITES) {
        let [v4, v6] = wire::ips(host);
        writeln!(
            nodes,
            "[node.{name}]\nat = \"{at}\"\nip = [\"{v4}\", \"{v6}\"]"
        )
        .unwrap();
        mirrors.push([start(v4), start(v6)]);
    }
    let (server, zone) = (server(), zone());
    let config = format!(
        "{server}\n{zone}\n[pool.site]\nprobes = [\"web\"]\n[probe.web]\nkind = \"http\"\nport = {port}\n{PROBE}\n{nodes}"
    );
    (mirrors, config)
}

/// When an answer first shows that an address is in service, or is not: for who is near it. Waits for that.
fn turned(server: &Server, ips: &[[IpAddr; 2]], ip: IpAddr, served: bool) -> Instant {
    let site = ips.iter().position(|ips| ips.contains(&ip)).unwrap();
    let rtype = FAMILIES[usize::from(ip.is_ipv6())];
    let question = Question::new(NAME, rtype).from(SITES[site].2);
    eventually(&format!("{ip} is served: {served}"), || {
        ((server.ask(&question).one() == ip.to_string()) == served).then(Instant::now)
    })
}

/// Asks for a client at each site in turn; each question must be answered, with an address.
fn ask_until(done: &AtomicBool, server: &Server, rtype: RecordType) -> Vec<Given> {
    let socket = socket_to(server.address);
    let mut buffer = [0; 2048];
    let mut given = Vec::new();
    for (site, (_, _, net)) in SITES.iter().enumerate().cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let packet = Question::new(NAME, rtype).from(net).to_vec();
        let asked = Instant::now();
        socket.send(&packet).unwrap();
        let length = socket
            .recv(&mut buffer)
            .expect("every question is answered");
        let reply = Reply::of(&packet, &buffer[..length]);
        assert_eq!(reply.rcode(), ResponseCode::NoError);
        let address = reply.one().parse().unwrap();
        given.push(Given {
            asked,
            site,
            address,
        });
        // Leaves the others some of the machine.
        std::thread::sleep(Duration::from_millis(1));
    }
    given
}
