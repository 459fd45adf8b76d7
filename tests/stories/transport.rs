//! UDP and TCP: truncation as dig meets it, pipelines, and a server that listens on every address.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::program::{Folder, Ran, Server, dig, eventually, other, skip};
use crate::question::{Question, Reply, receive, send};
use crate::world::{FRA, NYC, World, server, server_on, zone};

/// `big` fits no datagram, `medium` fits one of 1232 octets and not one of 512, `huge` nearly fills a TCP message.
fn server_with_large_answers() -> Server {
    let mut zone = "$TTL 300\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n".to_owned();
    for (name, records) in [("medium", 4), ("big", 20), ("huge", 280)] {
        for n in 0..records {
            writeln!(zone, "{name} TXT \"{n:03}{}\"", "x".repeat(197)).unwrap();
        }
    }
    let folder = Folder::with(&server());
    folder.write("zones/large.example.zone", &zone);
    Server::start_in(&Arc::new(folder))
}

#[test]
fn large_answers_are_cut_and_come_whole_over_tcp() {
    let server = server_with_large_answers();
    let ask = |name: &str| Question::new(&format!("{name}.large.example"), RecordType::TXT);
    let medium = ask("medium").by_udp(server.address);
    assert_eq!(medium.records().len(), 4);
    for cut in [
        ask("medium").udp_size(512),
        ask("big"),
        ask("big").udp_size(4096),
    ] {
        let reply = cut.by_udp(server.address);
        assert!(reply.0.metadata.truncation, "{cut:?}");
        assert!(reply.0.edns.is_some(), "OPT is kept");
    }
    for (name, records) in [("medium", 4), ("big", 20), ("huge", 280)] {
        let whole = ask(name).by_tcp(server.address);
        assert!(!whole.0.metadata.truncation);
        assert_eq!(whole.records().len(), records, "{name}");
    }
    let status = server.json(&["status"]);
    assert_eq!(status["counters"]["truncated"], 3, "{status}");
}

#[test]
fn dig_gets_a_large_answer_by_itself() {
    if other("dig").is_none() {
        return;
    }
    let server = server_with_large_answers();
    let ran = server.dig(&["big.large.example", "TXT", "+bufsize=512"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains(";; Truncated, retrying in TCP mode."),
        "{ran:?}"
    );
    assert!(ran.out.contains("ANSWER: 20,"), "{ran:?}");
    assert!(!ran.out.contains("WARNING"), "{ran:?}");
    let medium = server.dig(&["medium.large.example", "TXT"]);
    assert!(
        medium.out.contains("ANSWER: 4,") && medium.out.contains("(UDP)"),
        "{medium:?}"
    );
}

#[test]
fn a_pipeline_of_questions_is_answered_whole() {
    let world = World::of(80, 2);
    let server = Server::start(&world.config(""));
    let mut stream = TcpStream::connect(server.address).unwrap();
    let mut open = HashMap::new();
    for n in 0..200 {
        let (net, mirror) = if n % 2 == 0 { (FRA, 0) } else { (NYC, 1) };
        let packet = Question::a("get.example.org").from(net).to_vec();
        send(&mut stream, &packet);
        open.insert(packet[..2].to_vec(), (packet, world.ip(mirror)));
    }
    while !open.is_empty() {
        let reply = receive(&mut stream);
        let (packet, mirror) = open
            .remove(&reply[..2])
            .expect("one reply for each question");
        assert_eq!(Reply::of(&packet, &reply).one(), mirror);
    }
    assert_eq!(server.json(&["status"])["counters"]["connections"], 1);
}

#[test]
fn the_address_that_was_asked_answers() {
    let world = World::of(81, 1);
    let config = world.config("").replace(&server(), &server_on("0.0.0.0:0"));
    let server = Server::start(&config);
    for asked in ["127.0.0.1", "127.0.0.2", "127.81.2.3"] {
        let address = SocketAddr::new(asked.parse::<IpAddr>().unwrap(), server.address.port());
        // Its socket is connected: the kernel drops what comes from another address.
        assert_eq!(
            Question::a("get.example.org").by_udp(address).one(),
            world.ip(0)
        );
        assert_eq!(
            Question::a("get.example.org").by_tcp(address).one(),
            world.ip(0)
        );
        if other("dig").is_some() {
            let ran = dig(address, &["get.example.org", "+short"]);
            assert_eq!(ran.out.trim(), world.ip(0), "{ran:?}");
            assert!(!ran.err.contains("unexpected source"), "{ran:?}");
        }
    }
}

/// Connects many times as long as a shell lets a server have few files open.
fn crowd(server: &Server) {
    let mut open = Vec::new();
    for _ in 0..400 {
        // Who is let go for another may find out here.
        if let Ok(mut stream) = TcpStream::connect(server.address) {
            let _ = stream.set_nonblocking(true);
            let _ = stream.write_all(&[0, 40]);
            open.push(stream);
        }
        if open.len() > 150 {
            open.drain(..50);
        }
    }
}

#[test]
fn with_few_files_it_goes_on_and_says_so_once() {
    let world = World::of(82, 1);
    let start = |limit: &str| {
        let folder = Arc::new(Folder::with(&world.config("")));
        let program = folder.command(&[]).get_program().to_owned();
        let mut command = Command::new("sh");
        let script = format!("ulimit {limit} && exec \"$0\" serve");
        command.args(["-c", &script]).arg(program);
        command.current_dir(folder.path(""));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Server::start_as(&folder, &mut command)
    };
    let few = start("-n 90");
    few.log
        .wait(&["45 connections at most, not 1000", "90 files open"]);
    (0..5).for_each(|_| crowd(&few));
    assert_eq!(few.given(FRA), world.ip(0));
    let text = few.log.text();
    assert!(!text.contains("cannot be accepted"), "{text}");
    // Here half is too much.
    let none = start("-n 40");
    let mut waves = 0;
    eventually("some waves, and some that are not accepted", || {
        crowd(&none);
        waves += 1;
        let told = none.log.text().contains("cannot be accepted");
        (told && waves >= 5).then_some(())
    });
    assert_eq!(none.given(FRA), world.ip(0));
    let text = none.log.text();
    assert_eq!(text.matches("cannot be accepted").count(), 1, "{text}");

    // Where it may, it takes more itself.
    let soft = start("-Sn 90");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", soft.pid())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let files: Vec<&str> = files.unwrap().split_whitespace().collect();
    assert!(files[3].parse::<u64>().unwrap() >= 1000, "{files:?}");
    assert!(!soft.log.text().contains("files open"));
}

/// Two ways lead to a client: what it asks comes by one, what it is told goes by the other, as the routing tables of both say, and no interface answers for another. dig asks again until the server answers.
const TWO_WAYS: &str = "
ip link set lo up || exit 1
unshare -n sleep 60 > /dev/null 2>&1 & client=$!
trap 'kill $client' EXIT
turn=0
until test $(readlink /proc/$client/ns/net) != $(readlink /proc/$$/ns/net); do
  turn=$((turn+1)); test $turn -lt 100000 || exit 1
done
there=\"nsenter -t $client -n\"
alone='for all in all default; do echo 0 > /proc/sys/net/ipv4/conf/$all/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/$all/arp_ignore; echo 2 > /proc/sys/net/ipv4/conf/$all/arp_announce; done'
sh -c \"$alone\" && $there sh -c \"$alone\" || exit 1
for way in 0 1; do
  ip link add a$way type veth peer name b$way netns $client && ip link set a$way up && $there ip link set b$way up || exit 1
  ip addr add 10.0.$way.1/24 dev a$way && ip addr add 2001:db8:$way::1/64 dev a$way nodad || exit 1
  $there ip addr add 10.0.$way.2/24 dev b$way && $there ip addr add 2001:db8:$way::2/64 dev b$way nodad || exit 1
done
\"$0\" serve & server=$!
turn=0
for ask in '-b 10.0.1.2 @10.0.0.1' '-b 2001:db8:1::2 @2001:db8:0::1' '-b 10.0.0.2 @10.0.0.1'; do
  until $there dig $ask +time=1 +tries=1 +short get.example.org; do
    turn=$((turn+1)); test $turn -lt 12 || break
  done
done
kill $server
";

#[test]
fn a_reply_takes_the_way_that_the_routing_table_knows() {
    let programs = ["unshare", "nsenter", "ip", "dig"].map(other);
    if programs.contains(&None) {
        return;
    }
    let alone = Command::new("unshare").args(["-rn", "true"]).status();
    if !alone.is_ok_and(|ran| ran.success()) {
        return skip("nobody may have a network of their own here");
    }
    let config =
        server_on("0.0.0.0:53").replacen("\"0.0.0.0:53\"", "\"0.0.0.0:53\", \"[::]:53\"", 1);
    let folder = Folder::with(&format!(
        "{config}{}[pool.site]\n[node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n",
        zone()
    ));
    let program = folder.command(&[]).get_program().to_owned();
    let mut script = Command::new("unshare");
    script.args(["-rn", "sh", "-c", TWO_WAYS]).arg(program);
    let ran = Ran::of(script.current_dir(folder.path("")));
    let answers = ran.out.lines().filter(|line| *line == "192.0.2.1");
    assert_eq!(answers.count(), 3, "{ran:?}");
}
