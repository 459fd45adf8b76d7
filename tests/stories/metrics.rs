//! What Prometheus reads: its numbers are those of the questions that were asked, and its own tool is content with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use regex::Regex;

use crate::common::nodes::Does;
use crate::program::{Folder, PATIENCE, Ran, Server, eventually, kill, other, ours};
use crate::question::Question;
use crate::world::{FRA, NYC, World};

/// The header and the text of `/metrics`.
fn scrape(server: &Server, accept: &str) -> (String, String) {
    scrape_at(&server.folder.path("nearmost.sock"), accept)
}

/// Those of the server with this control socket.
pub fn scrape_at(control: &Path, accept: &str) -> (String, String) {
    let mut stream = UnixStream::connect(control).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (header, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(header.starts_with("HTTP/1.1 200"), "{header}");
    (header.to_owned(), text.to_owned())
}

/// The values by name and labels, as they are written.
struct Numbers(BTreeMap<String, f64>);

impl Numbers {
    fn of(server: &Server) -> Self {
        let (_, text) = scrape(server, "*/*");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self(values.collect())
    }

    fn is(&self, name: &str, value: f64) {
        assert_eq!(self.0.get(name), Some(&value), "{name} of {:#?}", self.0);
    }

    /// The sum of all of a family whose labels hold this.
    fn sum(&self, family: &str, label: &str) -> f64 {
        let own = self.0.iter().filter(|(name, _)| {
            name.strip_prefix(family)
                .is_some_and(|labels| labels.starts_with('{') && labels.contains(label))
        });
        own.map(|(_, value)| value).sum()
    }
}

#[test]
fn numbers_add_up_with_what_was_asked() {
    let world = World::of(115, 2);
    let server = Server::start(&world.config(""));
    for net in [FRA, FRA, FRA, NYC] {
        server.ask(&Question::a("get.example.org").from(net));
    }
    Question::a("get.example.org")
        .from(NYC)
        .by_tcp(server.address);
    server.ask(&Question::new("get.example.org", RecordType::AAAA));
    server.ask(&Question::new("get.example.org", RecordType::SOA));
    server.ask(&Question::new("get.example.org", RecordType::NAPTR));
    server.ask(&Question::a("nobody.get.example.org"));
    server.ask(&Question::a("www.example.com"));

    let numbers = Numbers::of(&server);
    let udp = |name: &str, labels: &str| format!("{name}{{transport=\"udp\"{labels}}}");
    numbers.is(&udp("nearmost_received_messages_total", ""), 9.0);
    for (labels, count) in [("A", 6.0), ("SOA", 1.0), ("other", 1.0), ("MX", 0.0)] {
        let labels = format!(",type=\"{labels}\"");
        numbers.is(&udp("nearmost_questions_total", &labels), count);
    }
    numbers.is(
        "nearmost_questions_total{transport=\"tcp\",type=\"A\"}",
        1.0,
    );
    for (code, count) in [("NOERROR", 7.0), ("NXDOMAIN", 1.0), ("REFUSED", 1.0)] {
        let labels = format!(",rcode=\"{code}\"");
        numbers.is(&udp("nearmost_replies_total", &labels), count);
    }
    let zone = ",zone=\"get.example.org.\"";
    numbers.is(&udp("nearmost_zone_questions_total", zone), 8.0);
    assert_eq!(numbers.sum("nearmost_zone_questions_total", "tcp"), 1.0);
    let asked = numbers.0.keys();
    let asked = asked.filter(|name| name.starts_with("nearmost_zone_questions"));
    assert_eq!(asked.count(), 2, "zones that were never asked are left out");
    for (result, count) in [
        ("in_service", 5.0),
        ("fail_open", 0.0),
        ("none_left", 0.0),
        ("no_addresses", 1.0),
    ] {
        let name = format!("nearmost_pool_answers_total{{pool=\"site\",result=\"{result}\"}}");
        numbers.is(&name, count);
    }
    for (node, mirror, count) in [("fra", 0, 3.0), ("nyc", 1, 2.0)] {
        let ip = world.ip(mirror);
        let labels = format!("{{node=\"{node}\",address=\"{ip}\"}}");
        numbers.is(&format!("nearmost_address_answers_total{labels}"), count);
        numbers.is(&format!("nearmost_address_in_service{labels}"), 1.0);
    }
    numbers.is("nearmost_tcp_connections_total", 1.0);
    numbers.is("nearmost_generation", 1.0);
    assert_eq!(numbers.sum("nearmost_dropped_messages_total", ""), 0.0);
    assert_eq!(
        numbers.sum("nearmost_probe_runs_total", "kind=\"http\""),
        numbers.0["nearmost_probe_duration_seconds_count{kind=\"http\"}"]
    );
    assert!(numbers.sum("nearmost_probe_runs_total", "result=\"ok\"") >= 2.0);
    assert!(numbers.0["process_resident_memory_bytes"] > 1e6);
}

#[test]
fn full_queues_are_counted_where_proc_shows_only_processes() {
    // As the unit has it: ProcSubset=pid.
    let alone =
        "mount -t proc -o subset=pid proc /proc && test ! -e /proc/net && exec \"$0\" \"$@\"";
    let start = |arguments: [&Path; 2]| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", alone]).args(arguments);
        command
    };
    let may = start([Path::new("true"), Path::new("")]).output();
    if !may.is_ok_and(|ran| ran.status.success()) {
        return eprintln!("skipped: nobody may mount such a /proc here");
    }
    let world = World::of(190, 1);
    let folder = Arc::new(Folder::with(&world.config("")));
    let program = folder.command(&[]);
    let mut command = start([Path::new(program.get_program()), Path::new("serve")]);
    command.current_dir(folder.path("")).stderr(Stdio::piped());
    let server = Server::start_as(&folder, &mut command);
    let name = "nearmost_dropped_messages_total{transport=\"udp\",reason=\"queue_full\"}";
    Numbers::of(&server).is(name, 0.0);
    // One that does not look at what comes.
    kill(server.pid(), "STOP");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let question = Question::a("get.example.org").to_vec();
    for _ in 0..100_000 {
        client.send_to(&question, server.address).unwrap();
    }
    kill(server.pid(), "CONT");
    assert!(Numbers::of(&server).0[name] > 0.0);
}

#[test]
fn numbers_follow_nodes_that_go_and_operators_who_order() {
    let world = World::of(116, 2);
    let server = Server::start(&world.config(""));
    assert_eq!(server.run(&["drain", "nyc"]).code, 0);
    let numbers = Numbers::of(&server);
    numbers.is("nearmost_node_ordered{node=\"nyc\",order=\"drained\"}", 1.0);
    let nyc = format!("{{node=\"nyc\",address=\"{}\"}}", world.ip(1));
    numbers.is(&format!("nearmost_address_in_service{nyc}"), 0.0);
    let serving = "nearmost_pool_nodes_in_service{pool=\"site\",family=\"ipv4\"}";
    numbers.is(serving, 1.0);
    numbers.is("nearmost_pool_nodes{pool=\"site\",family=\"ipv4\"}", 2.0);

    world.now(0, Does::Refuse);
    eventually("nobody is in service", || {
        (Numbers::of(&server).0[serving] == 0.0).then_some(())
    });
    server.ask(&Question::a("get.example.org").from(FRA));
    let numbers = Numbers::of(&server);
    numbers.is(
        "nearmost_pool_answers_total{pool=\"site\",result=\"fail_open\"}",
        1.0,
    );
    assert_eq!(
        numbers.sum("nearmost_check_up", "node=\"fra\""),
        0.0,
        "it is measured to be down"
    );
    assert_eq!(
        numbers.sum("nearmost_check_up", "node=\"nyc\""),
        1.0,
        "and this is up, whatever was ordered"
    );
    assert!(numbers.sum("nearmost_probe_runs_total", "result=\"failed\"") >= 2.0);
}

#[test]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let Some(promtool) = other("promtool") else {
        return;
    };
    let world = World::of(117, 2);
    let server = Server::start(&world.config(""));
    server.given(FRA);
    let (header, text) = scrape(&server, "*/*");
    assert!(header.contains("text/plain; version=0.0.4"), "{header}");
    server.folder.write("metrics", &text);
    let file = fs::File::open(server.folder.path("metrics")).unwrap();
    let mut promtool = Command::new(promtool);
    let ran = Ran::of(promtool.args(["check", "metrics"]).stdin(Stdio::from(file)));
    assert_eq!((ran.code, ran.err.as_str(), ran.out.as_str()), (0, "", ""));

    let (header, text) = scrape(
        &server,
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    );
    assert!(header.contains("application/openmetrics-text"), "{header}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn promtool_passes_the_alert_rules_and_their_tests() {
    let Some(promtool) = other("promtool") else {
        return;
    };
    for arguments in [
        ["check", "rules", "nearmost.rules.yml"],
        ["test", "rules", "nearmost.test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let mut command = Command::new(&promtool);
        let folder = ours("examples/prometheus");
        let ran = Ran::of(command.args(arguments).current_dir(folder));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn every_metric_that_examples_and_the_manual_name_is_there() {
    let world = World::of(118, 1);
    let log = "[querylog]\nto = \"file:questions\"\n";
    let config = world
        .config("")
        .replace("ttl =", "transfer = [\"127.0.0.1\"]\nttl =");
    let server = Server::start(&format!("{config}\n{log}"));
    let (_, text) = scrape(&server, "*/*");
    let families: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let names = Regex::new(r"\b(?:nearmost|process)_[a-z0-9_]+").unwrap();
    let read = |file: &str| fs::read_to_string(ours(file)).unwrap();
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("examples/grafana/nearmost.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|p| p["targets"].as_array().unwrap());
    let queries: Vec<&str> = targets.map(|t| t["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 20, "the dashboard is read");
    let manual = read("docs/metrics.md");
    for (of, text) in [
        ("dashboard", queries.join("\n")),
        ("rules", read("examples/prometheus/nearmost.rules.yml")),
        ("manual", manual.clone()),
    ] {
        for name in names.find_iter(&text).map(|found| found.as_str()) {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(families.contains(family), "{of}: {name} of {families:?}");
        }
    }
    for family in families {
        assert!(
            manual.contains(&format!("`{family}`")),
            "{family} is in the manual"
        );
    }
    for rule in read("examples/prometheus/nearmost.rules.yml").lines() {
        if let Some(alert) = rule.trim().strip_prefix("- alert: ") {
            assert!(
                manual.contains(&format!("`{alert}`")),
                "{alert} is in the manual"
            );
        }
    }
}
