//! Signed zones as operators and validators see them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{self, A, AAAA, DNSKEY, DS, MX, NSEC, RRSIG, SOA, TXT};

use crate::common::nodes::Does;
use crate::program::{Folder, Ran, Server, other, skip};
use crate::question::{Question, Reply};
use crate::validators::Validator;
use crate::world::{World, server, server_on, zone};

/// Delegations have no port: name servers are asked on 53.
const OURS: &str = "127.100.2.53";
const APEX: &str = "get.example.org.";

const ZONE: &str = "\
$TTL 300
@            SOA   ns hostmaster 1 7200 1800 1209600 300
@            NS    ns
ns           A     127.100.2.53
@ 300/1      POOL  site
*.any 300/1  POOL  site
text         TXT   \"hello\"
alias        CNAME text
a.b.ent      TXT   \"deep\"
*.wild       TXT   \"wild\"
dn           DNAME wild
sub          NS    ns.elsewhere.example.
sec          NS    ns.elsewhere.example.
sec          DS    12345 13 2 0123456789012345678901234567890123456789012345678901234567890123
";

/// One of each kind.
const NAMES: [&str; 9] = [
    "get.example.org",
    "text.get.example.org",
    "alias.get.example.org",
    "ent.get.example.org",
    "x.wild.get.example.org",
    "y.dn.get.example.org",
    "nope.get.example.org",
    "no.such.nope.get.example.org",
    "q.any.get.example.org",
];

/// The DS that `keys ds` shows, from the tag on.
fn ds(folder: &Folder) -> String {
    let shown = folder.run(&["keys", "ds", "get.example.org"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let line = shown.out.trim();
    line.split_once(" DS ").expect("a DS record").1.to_owned()
}

#[test]
fn an_operator_goes_from_an_unsigned_zone_to_the_ds_in_hand() {
    let unsigned = format!(
        "{}\n{}\n[pool.site]\n[node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n",
        server(),
        zone()
    );
    let server = Server::start(&unsigned);
    let folder = &server.folder;
    let signed = unsigned.replace("ttl = \"5m/1s\"", "ttl = \"5m/1s\"\nsigned = true");
    folder.write("nearmost.toml", &signed);
    let keyless = folder.run(&["check"]);
    assert_eq!(keyless.code, 78, "{keyless:?}");
    assert!(
        keyless.err.contains("nearmost keys new get.example.org"),
        "{keyless:?}"
    );

    let made = folder.run(&["keys", "new", "get.example.org"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        made.out.contains(&format!("{APEX} IN DS {}", ds(folder))),
        "{made:?}"
    );
    assert_eq!(
        folder.run(&["keys", "new", "get.example.org"]).code,
        1,
        "only once"
    );
    assert_eq!(folder.run(&["check"]).code, 0);
    assert_eq!(folder.run(&["reload"]).code, 0);
    let list = server.json(&["keys"]);
    assert_eq!(list[0]["keys"][0]["state"], "active");

    let key = server.dig(&["+short", "get.example.org", "DNSKEY"]);
    let key: String = key.out.split_whitespace().skip(3).collect();
    let anchor = format!("trust-anchors {{ {APEX} static-key 257 3 13 \"{key}\"; }};");
    folder.write("anchor", &anchor);
    let delv = |name: &str, rtype: &str| {
        let mut delv = Command::new("delv");
        delv.arg("-a")
            .arg(folder.path("anchor"))
            .arg(format!("+root={APEX}"));
        delv.arg(format!("@{}", server.address.ip()));
        delv.args(["-p", &server.address.port().to_string(), name, rtype]);
        Ran::of(&mut delv)
    };
    if other("delv").is_some() {
        for (name, rtype) in [
            ("get.example.org", "A"),
            ("get.example.org", "SOA"),
            ("nope.get.example.org", "TXT"),
        ] {
            let ran = delv(name, rtype);
            assert!(
                format!("{}{}", ran.out, ran.err).contains("fully validated"),
                "{name} {rtype}: {ran:?}"
            );
        }
    }

    // A key is replaced step by step; until the parent has the new DS the old key signs.
    let before = ds(folder);
    assert_eq!(folder.run(&["keys", "roll", "get.example.org"]).code, 0);
    assert_eq!(
        folder.run(&["keys", "roll", "get.example.org"]).code,
        1,
        "one at a time"
    );
    assert_eq!(
        folder.run(&["keys", "ds-seen", "get.example.org"]).code,
        1,
        "it is not ready"
    );
    assert_eq!(ds(folder), before);
    assert_eq!(folder.run(&["reload"]).code, 0);
    let keys = server.dig(&["+short", "get.example.org", "DNSKEY"]);
    assert_eq!(keys.out.lines().count(), 2, "{keys:?}");

    // Nobody else can read keys, or the server does not start.
    let open = format!("chmod 644 {}/keys/*.der", folder.path("").display());
    assert!(
        Command::new("sh")
            .args(["-c", &open])
            .status()
            .unwrap()
            .success()
    );
    let refused = folder.run(&["check"]);
    assert!(refused.err.contains("others may read it"), "{refused:?}");
}

/// Owners and types of the answer, but for its signatures.
fn given(reply: &Reply) -> BTreeSet<(String, RecordType)> {
    let records = reply.0.answers.iter();
    let records = records.filter(|record| record.record_type() != RRSIG);
    let named = records.map(|r| (r.name.to_lowercase().to_string(), r.record_type()));
    named.collect()
}

/// What a validator answers, which must be something that it has found secure, and all that the server itself gives without signatures.
fn secure(validator: &Validator, server: &Server, name: &str, rtype: RecordType) -> Reply {
    let reply = Question::new(name, rtype)
        .recursive()
        .signed()
        .by_udp(validator.address);
    let own = server.ask(&Question::new(name, rtype));
    let what = format!("{}: {name} {rtype}: {reply:?} of {own:?}", validator.name);
    assert!(reply.0.metadata.authentic_data, "{what}");
    // To who asks for signatures it is a name that has nothing but its NSEC (RFC 9824); not every validator can tell.
    let not_there = own.rcode() == ResponseCode::NXDomain;
    let may_be = not_there && reply.rcode() == ResponseCode::NoError;
    assert!(reply.rcode() == own.rcode() || may_be, "{what}");
    if rtype == NSEC {
        // Where there is an alias both it and its own NSEC are right.
        assert!(not_there || !given(&reply).is_empty(), "{what}");
    } else {
        assert_eq!(given(&reply), given(&own), "{what}");
    }
    reply
}

#[test]
fn three_validators_find_all_secure_while_nodes_fail() {
    if UdpSocket::bind((OURS, 53)).is_err() {
        return skip("port 53 of 127.100.2.53 cannot be had");
    }
    let world = World::of(109, 3);
    let (listen, nodes, probe) = (
        server_on(&format!("{OURS}:53")),
        world.node_tables(),
        world.probe("http", "path = \"/\""),
    );
    let config = format!(
        "{listen}\n[zone.\"get.example.org\"]\nfile = \"get.zone\"\nsigned = true\n[pool.site]\nprobes = [\"web\"]\n{probe}\n{nodes}"
    );
    let folder = Folder::with(&config);
    folder.write("get.zone", ZONE);
    let made = folder.run(&["keys", "new", "get.example.org"]);
    assert_eq!(made.code, 0, "{made:?}");
    let server = Server::start_in(&Arc::new(folder));
    let ds = ds(&server.folder);
    let Some(validators) = Validator::all(OURS, APEX, &ds) else {
        return;
    };

    let judged = Cell::new(0);
    let secure = |validator: &Validator, name: &str, rtype| {
        judged.set(judged.get() + 1);
        secure(validator, &server, name, rtype)
    };
    let all_names = |validator: &Validator| {
        for name in NAMES {
            for rtype in [A, AAAA, MX, TXT, SOA, DNSKEY, NSEC] {
                secure(validator, name, rtype);
            }
        }
        for (name, is_signed) in [("sub", false), ("sec", true)] {
            let reply = secure(validator, &format!("{name}.get.example.org"), DS);
            assert_eq!(given(&reply).is_empty(), !is_signed, "{reply:?}");
        }
    };
    validators.iter().for_each(all_names);

    let until = |validator: &Validator, first: bool| {
        crate::program::eventually("all are given another mirror", || {
            let number = judged.get();
            let given = secure(validator, &format!("n{number}.any.get.example.org"), A).one();
            secure(validator, &format!("n{number}.nope.get.example.org"), A);
            secure(validator, "get.example.org", A);
            ((given == world.ip(0)) == first).then_some(())
        });
    };
    // One of three goes down and comes back.
    for turn in 0..2 {
        world.now(0, Does::Answer(500, String::new()));
        validators.iter().for_each(|each| until(each, false));
        if turn == 0 {
            // What the first were given they have in their caches.
            let others = Validator::all(OURS, APEX, &ds).unwrap();
            others.iter().for_each(all_names);
        }
        world.now(0, Does::ok());
        validators.iter().for_each(|each| until(each, true));
    }
    println!("{} answers of three validators, all secure", judged.get());

    // Who is given another DS believes nothing.
    let digest = if ds.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{digest}", &ds[..ds.len() - 1]);
    for validator in Validator::all(OURS, APEX, &wrong).unwrap() {
        let reply = Question::a("get.example.org")
            .recursive()
            .signed()
            .by_udp(validator.address);
        assert_eq!(reply.rcode(), ResponseCode::ServFail, "{}", validator.name);
    }
}
