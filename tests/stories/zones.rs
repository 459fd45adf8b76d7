//! Zone files with pools among other records.

use std::fmt::Write;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::program::{Folder, Server};
use crate::question::Question;
use crate::world::{FRA, TYO, World, server};
use std::sync::Arc;

const ZONE: &str = "\
$TTL 3600
@           SOA   ns1 hostmaster 7 7200 1800 1209600 300
            NS    ns1
            MX    10 mail
ns1         A     192.0.2.53
mail        A     192.0.2.25
deb  300/30 POOL  site
*.any 120/20 POOL site
real.any    TXT   \"not the wildcard\"
www         CNAME deb
$INCLUDE more.inc sub
";

fn folder(world: &World, probe: &str, zone: &str) -> Arc<Folder> {
    let (server, nodes) = (server(), world.node_tables());
    let folder = Folder::with(&format!("{server}\n{probe}\n{nodes}"));
    folder.write("zones/example.org.zone", zone);
    folder.write(
        "zones/more.inc",
        "inner TXT \"from the included file\"\npool 60/10 POOL site\n",
    );
    Arc::new(folder)
}

#[test]
fn pools_stand_among_other_records() {
    let world = World::of(70, 3);
    // No probes: all is steady from the start.
    let server = Server::start_in(&folder(&world, "[pool.site]", ZONE));
    let ask = |name: &str, rtype| server.ask(&Question::new(name, rtype).from(TYO));
    for (name, ttl) in [
        ("deb.example.org", 300),
        ("what.any.example.org", 120),
        ("a.b.any.example.org", 120),
        ("pool.sub.example.org", 60),
    ] {
        let reply = ask(name, RecordType::A);
        assert_eq!(reply.one(), world.ip(2), "{name}");
        assert_eq!(reply.ttl(), ttl, "{name}");
        assert_eq!(reply.scope(), Some(24), "{name}");
        assert!(ask(name, RecordType::AAAA).is_nodata(), "{name}");
        assert!(ask(name, RecordType::TXT).is_nodata(), "{name}");
    }
    let www = ask("www.example.org", RecordType::A);
    assert_eq!(www.records().len(), 2, "{www:?}");
    assert_eq!(www.one(), world.ip(2));
    let real = ask("real.any.example.org", RecordType::A);
    assert!(real.is_nodata(), "it hides the wildcard: {real:?}");
    for (name, rtype, text) in [
        ("mail.example.org", RecordType::A, "192.0.2.25"),
        ("example.org", RecordType::MX, "10 mail.example.org."),
        (
            "inner.sub.example.org",
            RecordType::TXT,
            "from the included file",
        ),
        ("real.any.example.org", RecordType::TXT, "not the wildcard"),
    ] {
        let reply = ask(name, rtype);
        assert!(reply.records()[0].contains(text), "{reply:?}");
        assert_eq!(reply.scope(), Some(0), "the same for all: {reply:?}");
        assert_eq!(reply.ttl(), 3600);
    }
    assert_eq!(
        ask("nope.example.org", RecordType::A).rcode(),
        ResponseCode::NXDomain
    );
    let mixed = ask("DEB.example.ORG", RecordType::A);
    assert_eq!(mixed.0.queries[0].name().to_string(), "DEB.example.ORG.");
    assert_eq!(mixed.one(), world.ip(2));
    let status = server.json(&["status"]);
    assert_eq!(status["zones"][0]["zone"], "example.org.");
    assert_eq!(status["zones"][0]["serial"], 7);
}

#[test]
fn a_pools_own_name_is_what_its_mirrors_are_asked_for() {
    let world = World::of(71, 1);
    let probe = world.probe("http", "path = \"/\"") + "[pool.site]\nprobes = [\"web\"]";
    let zone = ZONE.replace("*.any 120/20 POOL site\n", "");
    let server = Server::start_in(&folder(&world, &probe, &zone));
    assert_eq!(
        server.ask(&Question::a("deb.example.org").from(FRA)).one(),
        world.ip(0)
    );
    let asked = world.nodes[0].questions()[0].to_lowercase();
    assert!(asked.contains("\r\nhost: deb.example.org"), "{asked}");
}

#[test]
fn a_zone_of_ten_thousand_records_is_served() {
    let world = World::of(72, 1);
    let mut zone = ZONE.to_owned();
    for n in 0..10_000 {
        writeln!(
            zone,
            "host{n} A 10.{}.{}.{}",
            n / 10_000,
            n / 100 % 100,
            n % 100
        )
        .unwrap();
    }
    let server = Server::start_in(&folder(&world, "[pool.site]", &zone));
    for n in (0..10_000).step_by(397) {
        let reply = server.ask(&Question::a(&format!("host{n}.example.org")));
        assert_eq!(reply.one(), format!("10.0.{}.{}", n / 100, n % 100));
    }
    assert_eq!(
        server.ask(&Question::a("deb.example.org")).one(),
        world.ip(0)
    );
    let names = &server.json(&["status"])["zones"][0]["names"];
    assert!(names.as_u64() > Some(10_000), "{names}");
}
