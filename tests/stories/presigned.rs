//! Zones that are signed elsewhere: Knot signs, we are its secondary, and other people's validators believe all that we answer.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType::{
    self, A, CNAME, DNSKEY, DS, MX, NS, NSEC, NSEC3, NSEC3PARAM, RRSIG, SOA, TXT,
};

use crate::program::{Folder, Ran, Server, eventually, other, skip};
use crate::question::{Question, Reply};
use crate::transfers::peers::{Peer, free_port, knot_signing, serial};
use crate::transfers::{SECRET, records, transferred};
use crate::validators::Validator;

/// Delegations have no port: name servers are asked on 53.
const OURS: &str = "127.100.4.53";
/// Zones, and what Knot's policy says of each.
const ZONES: [(&str, &str); 3] = [
    ("names.example", "nsec3: off\n  single-type-signing: off"),
    (
        "hashes.example",
        "nsec3: on\n  nsec3-iterations: 3\n  nsec3-salt-length: 8\n  single-type-signing: on",
    ),
    (
        "some.example",
        "nsec3: on\n  nsec3-opt-out: on\n  nsec3-iterations: 0",
    ),
];
const SAFE: &str = "12345 13 2 0123456789012345678901234567890123456789012345678901234567890123";

fn zone(text: &str) -> String {
    format!(
        "$TTL 300
@          SOA   ns1 Host 1 3600 600 86400 60
@          NS    ns1
@          MX    10 mail
ns1        A     {OURS}
mail       A     192.0.2.25
mail       AAAA  2001:db8::25
text       TXT   \"{text}\"
alias      CNAME text
far        CNAME x.wild
further    CNAME far
gone       CNAME nope
a.b.ent    TXT   deep
*.wild     TXT   wild
*.wcn      CNAME text
*.wfar     CNAME www.elsewhere.example.
dn         DNAME ent
only       TLSA  3 1 1 0123456789012345678901234567890123456789012345678901234567890123
own        NS    ns1
lame       NS    ns.elsewhere.example.
deep.in.it NS    ns.elsewhere.example.
safe       NS    ns.safe
safe       DS    {SAFE}
ns.safe    A     192.0.2.54
"
    )
}

/// Names that are asked for, and whether they are there.
const NAMES: [(&str, bool); 27] = [
    ("", true),
    ("ns1.", true),
    ("mail.", true),
    ("TEXT.", true),
    ("alias.", true),
    ("far.", true),
    ("further.", true),
    ("gone.", false),
    ("ent.", true),
    ("b.ent.", true),
    ("a.b.ent.", true),
    ("z.b.ent.", false),
    ("y.z.b.ent.", false),
    ("wild.", true),
    ("x.wild.", true),
    ("y.x.wild.", true),
    ("*.wild.", true),
    ("x.wcn.", true),
    ("dn.", true),
    ("a.b.dn.", true),
    ("b.dn.", true),
    ("nope.dn.", false),
    ("only.", true),
    ("in.it.", true),
    ("nope.", false),
    ("no.such.nope.", false),
    ("zzzz.", false),
];

struct Story {
    knot: Peer,
    ours: Server,
}

impl Story {
    /// None if this machine lacks something.
    fn start(listen: &str, zones: &[(&str, &str)], more: &str) -> Option<Self> {
        other("knotd")?;
        other("dig")?;
        let ours: SocketAddr = listen.parse().unwrap();
        let theirs = free_port();
        let text = zone("first");
        let all = zones.iter().map(|(name, policy)| (*name, &*text, *policy));
        let all: Vec<_> = all.collect();
        let knot = Peer::of(&knot_signing(&all, theirs, ours));
        let tables: String = zones
            .iter()
            .map(|(name, _)| {
                format!(
                    "[zone.\"{name}\"]\nprimary = [{{ at = \"127.0.0.1:{theirs}\", key = \"transfer.key\" }}]\ntransfer = [\"127.0.0.1\"]\n"
                )
            })
            .collect();
        let folder = Folder::with(&format!(
            "[server]\nlisten = [\"{ours}\"]\nstate = \"state\"\n[key.\"transfer.key\"]\nsecret = \"{SECRET}\"\n{tables}{more}"
        ));
        let _ = std::fs::create_dir(folder.path("state"));
        for (name, _) in zones {
            folder.write(
                &format!("own.{name}.zone"),
                "$TTL 300\n@ SOA ns1 host 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.100.4.53\nwww A 192.0.2.99\n",
            );
        }
        let ours = Server::start_in(&Arc::new(folder));
        for (name, _) in zones {
            eventually(&format!("{name} is here"), || {
                serial(ours.address, name).filter(|own| serial(knot.address, name) == Some(*own))
            });
        }
        Some(Self { knot, ours })
    }

    /// The DS of a zone, from the tag on.
    fn ds(&self, zone: &str) -> String {
        let mut keymgr = Command::new(other("keymgr").unwrap());
        keymgr.arg("-c").arg(self.knot.folder.path("configuration"));
        let ran = Ran::of(keymgr.args([zone, "ds"]));
        let lines = ran.out.lines().filter_map(|line| line.split_once(" DS "));
        let mut lines = lines.filter(|(_, ds)| ds.split(' ').nth(2) == Some("2"));
        lines.next().expect("a DS").1.to_owned()
    }

    fn ask(&self, name: &str, rtype: RecordType) -> Reply {
        Question::new(name, rtype)
            .signed()
            .by_tcp(self.ours.address)
    }
}

/// What a validator answers.
fn judged(validator: &Validator, name: &str, rtype: RecordType) -> (Reply, String) {
    let question = Question::new(name, rtype).recursive().signed();
    let reply = question.by_udp(validator.address);
    let what = format!("{}: {name} {rtype}: {reply:?}", validator.name);
    (reply, what)
}

#[test]
fn three_validators_believe_what_a_secondary_answers() {
    if UdpSocket::bind((OURS, 53)).is_err() {
        return skip("port 53 of 127.100.4.53 cannot be had");
    }
    // What is delegated to us too is another zone, and not signed.
    let own: String = ZONES
        .iter()
        .map(|(name, _)| format!("[zone.\"own.{name}\"]\nfile = \"own.{name}.zone\"\n"))
        .collect();
    let Some(story) = Story::start(&format!("{OURS}:53"), &ZONES, &own) else {
        return;
    };
    let mut count = 0;
    for (zone, _) in ZONES {
        let Some(validators) = Validator::all(OURS, &format!("{zone}."), &story.ds(zone)) else {
            return;
        };
        // Denials of a chain that leaves some out prove less.
        let whole = zone != "some.example";
        for validator in &validators {
            for (name, there) in NAMES {
                let name = format!("{name}{zone}");
                for rtype in [A, MX, TXT, CNAME, DS, SOA, DNSKEY, NSEC3PARAM] {
                    let (reply, what) = judged(validator, &name, rtype);
                    let alias = rtype == CNAME;
                    let code = match there || (alias && name.starts_with("gone.")) {
                        true => ResponseCode::NoError,
                        false => ResponseCode::NXDomain,
                    };
                    // The zone above the zone is nobody's here. And Unbound fails where it is asked for a CNAME that a DNAME means,
                    // of which we answer what Knot does.
                    if (rtype == DS && name == zone) || (rtype == CNAME && name.contains(".dn.")) {
                        continue;
                    }
                    assert_eq!(reply.rcode(), code, "{what}");
                    // What is there, without an alias that leads to what is not.
                    let mut answers = reply.0.answers.iter();
                    let plain = reply.0.answers.len() > 1
                        && name.matches('.').count() == 2
                        && (rtype == CNAME || answers.all(|r| r.record_type() != CNAME));
                    if whole || plain {
                        assert!(reply.0.metadata.authentic_data, "{what}");
                    }
                    count += 1;
                }
            }
            let (reply, what) = judged(validator, &format!("safe.{zone}"), DS);
            assert!(
                reply.0.metadata.authentic_data && !reply.0.answers.is_empty(),
                "{what}"
            );
            for cut in ["own", "lame", "deep.in.it"] {
                let (reply, what) = judged(validator, &format!("{cut}.{zone}"), DS);
                assert!(reply.is_nodata(), "{what}");
                assert_eq!(reply.0.metadata.authentic_data, whole, "{what}");
            }
            // A delegation that is not signed is believed to be that.
            let (reply, what) = judged(validator, &format!("www.own.{zone}"), A);
            assert_eq!(reply.addresses(), ["192.0.2.99"], "{what}");
            assert!(!reply.0.metadata.authentic_data, "{what}");
            count += 5;
        }
    }
    println!("{count} answers of validators");
}

/// Records of the answer and of the authority in no order, as owner, type and data.
fn sets(message: &Message) -> BTreeSet<(char, String)> {
    let answers = message.answers.iter().map(|r| ('a', r));
    let authorities = message.authorities.iter().map(|r| ('n', r));
    let all = answers.chain(authorities);
    all.map(|(section, record)| {
        let mut record = record.clone();
        record.name = record.name.to_lowercase();
        (section, record.to_string())
    })
    .collect()
}

/// Sets of the answer and of the authority that lack a signature, and signatures that lack their set.
fn halves(message: &Message) -> Vec<String> {
    let mut halves = Vec::new();
    for section in [&message.answers, &message.authorities] {
        let mut plain = BTreeSet::new();
        let mut signed = BTreeSet::new();
        for record in section {
            let owner = record.name.to_lowercase().to_string();
            let text = record.to_string();
            match record.record_type() {
                RRSIG => {
                    let covered = text.split_whitespace().nth(4).unwrap().to_owned();
                    signed.insert((owner, covered));
                }
                kind => {
                    plain.insert((owner, kind.to_string()));
                }
            }
        }
        let made = |(owner, kind): &&(String, String)| {
            // Made of a DNAME, or another zone's.
            let cut = ["own.", "lame.", "deep.in.it.", "safe."];
            (kind == "CNAME" && owner.contains(".dn."))
                || (kind == "NS" && cut.iter().any(|cut| owner.starts_with(cut)))
        };
        let differ = plain.symmetric_difference(&signed);
        halves.extend(
            differ
                .filter(|set| !made(set))
                .map(|set| format!("{set:?}")),
        );
    }
    halves
}

#[test]
fn a_secondary_answers_as_the_signer_does() {
    let listen = format!("127.0.0.1:{}", free_port());
    let Some(story) = Story::start(&listen, &ZONES, "") else {
        return;
    };
    let mut cut_short = 0;
    for (zone, _) in ZONES {
        let names = NAMES.iter().map(|(name, _)| *name);
        let more = [
            "own.",
            "x.own.",
            "lame.",
            "x.deep.in.it.",
            "deep.in.it.",
            "it.",
            "safe.",
            "x.safe.",
            "x.wfar.",
        ];
        for name in names.chain(more) {
            let name = format!("{name}{zone}");
            for rtype in [
                A, NS, MX, TXT, CNAME, DS, SOA, DNSKEY, NSEC, NSEC3, NSEC3PARAM,
            ] {
                let what = format!("{name} {rtype}");
                let question = Question::new(&name, rtype).signed();
                let reply = question.by_tcp(story.ours.address).0;
                let theirs = question.by_tcp(story.knot.address).0;
                let (code, own) = (reply.metadata.response_code, sets(&reply));
                let (their_code, their) = (theirs.metadata.response_code, sets(&theirs));
                if rtype != NSEC {
                    assert_eq!((code, own), (their_code, their), "{what}");
                } else if !theirs.answers.is_empty() {
                    // Of that of a wildcard Knot does not say that no closer name is there.
                    assert_eq!(code, their_code, "{what}");
                    assert!(their.is_subset(&own), "{what}: {own:#?} {their:#?}");
                }
                assert_eq!(halves(&reply), [""; 0], "{what}: {reply:?}");
                // Who does not ask for signatures sees none of them.
                let plain = Question::new(&name, rtype).by_tcp(story.ours.address).0;
                let all = plain.answers.iter().chain(&plain.authorities);
                for record in all.chain(&plain.additionals) {
                    let kind = record.record_type();
                    assert!(
                        kind == rtype || ![RRSIG, NSEC, NSEC3].contains(&kind),
                        "{what}: {record}"
                    );
                }
                for octets in [512, 700, 1232] {
                    let question = question.clone().udp_size(octets);
                    let reply = question.by_udp(story.ours.address).0;
                    assert!(reply.to_vec().unwrap().len() <= usize::from(octets));
                    assert_eq!(halves(&reply), [""; 0], "{what} {octets}: {reply:?}");
                    cut_short += usize::from(reply.metadata.truncation);
                }
            }
        }
        // The owner of an NSEC3 is no name (RFC 5155 7.2.8), and nothing is between it and the zone.
        let denial = story.ask(&format!("nope.{zone}"), A).0;
        let mut owners = denial.authorities.iter();
        let owner = owners.find(|record| record.record_type() == NSEC3);
        if let Some(owner) = owner.map(|record| record.name.to_string()) {
            for rtype in [NSEC3, RRSIG, A] {
                let reply = story.ask(&owner, rtype);
                assert_eq!(reply.rcode(), ResponseCode::NXDomain, "{owner} {rtype}");
            }
        }
        // Signatures by their own type: they are records of the zone. Of all types one is given.
        let reply = story.ask(&format!("text.{zone}"), RRSIG);
        assert!(!reply.0.answers.is_empty(), "{reply:?}");
        let reply = story.ask(&format!("only.{zone}"), RecordType::ANY).0;
        assert_eq!(halves(&reply), [""; 0], "{reply:?}");
        assert_eq!(reply.answers.len(), 2, "{reply:?}");
    }
    assert!(cut_short > 0, "nothing was too long");
}

/// Other people's judgement of the whole zone that we hand out.
fn is_whole(story: &Story, zone: &str) {
    let Some(program) = other("ldns-verify-zone") else {
        return;
    };
    let text = records(story.ours.address, zone, "").join("\n") + "\n";
    let folder = &story.ours.folder;
    folder.write("transferred", &text);
    let ran = Ran::of(Command::new(program).arg(folder.path("transferred")));
    assert!(
        ran.code == 0 && ran.out.contains("verified and complete"),
        "{zone}: {ran:?}"
    );
}

#[test]
fn a_signed_zone_leaves_as_it_came() {
    let port = free_port();
    let Some(story) = Story::start(&format!("127.0.0.1:{port}"), &ZONES, "") else {
        return;
    };
    let same = |zone: &str| {
        eventually(&format!("{zone} is the same"), || {
            let theirs = serial(story.knot.address, zone)?;
            serial(story.ours.address, zone).filter(|own| *own == theirs)
        });
        let theirs = transferred(story.knot.address, zone, "");
        assert_eq!(transferred(story.ours.address, zone, ""), theirs, "{zone}");
        is_whole(&story, zone);
        theirs
    };
    let first = ZONES.map(|(zone, _)| same(zone));
    let before = ZONES.map(|(zone, _)| serial(story.ours.address, zone).unwrap());
    // Another text, another name, and what follows from them in the chain.
    let text = zone("second") + "middle TXT new\n";
    let zones = ZONES.map(|(name, policy)| (name, &*text, policy));
    let ours = ([127, 0, 0, 1], port).into();
    let files = knot_signing(&zones, story.knot.address.port(), ours);
    story.knot.list(&files);
    for (number, (zone, _)) in ZONES.into_iter().enumerate() {
        eventually("the change is here", || {
            let reply = story.ask(&format!("middle.{zone}"), TXT);
            (!reply.0.answers.is_empty()).then_some(())
        });
        let now = same(zone);
        assert!(now.len() > first[number].len());
        // What differs goes out too.
        let ran = crate::program::dig(
            story.ours.address,
            &[
                &format!("IXFR={}", before[number]),
                zone,
                "+noall",
                "+answer",
            ],
        );
        let kinds: BTreeSet<&str> = ran
            .out
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3))
            .collect();
        let chain = if zone == "names.example" {
            "NSEC"
        } else {
            "NSEC3"
        };
        assert!(kinds.contains("RRSIG") && kinds.contains(chain), "{ran:?}");
        assert!(ran.out.lines().count() < now.len(), "{ran:?}");
    }
    // An operator sees whose signatures they are, and how long they hold.
    for (zone, _) in ZONES {
        story
            .ours
            .log
            .wait(&[&format!("zone {zone}.: signed by its primary, until ")]);
    }
    let ran = story.ours.run(&["status"]);
    let shown = ran.out.matches("signed by its primary, until").count();
    assert_eq!(shown, 3, "{ran:?}");
    let status = story.ours.json(&["status"]);
    let line = &status["received"][0];
    assert!(
        line["signed_until"].as_u64() > status["now"].as_u64(),
        "{line}"
    );
}

#[test]
fn a_file_that_is_signed_already_is_served_and_looked_at() {
    let listen = format!("127.0.0.1:{}", free_port());
    let Some(story) = Story::start(&listen, &ZONES[..1], "") else {
        return;
    };
    let text = records(story.ours.address, "names.example", "").join("\n") + "\n";
    let folder = Folder::new();
    let check = |text: &str, more: &str| {
        folder.write("names.zone", text);
        folder.write(
            "nearmost.toml",
            &format!("[server]\nlisten = [\"127.0.0.1:0\"]\n[zone.\"names.example\"]\nfile = \"names.zone\"\n{more}"),
        );
        folder.run(&["check"])
    };
    let good = check(&text, "");
    assert_eq!((good.code, &*good.err), (0, ""), "{good:?}");
    // Twice is too much.
    let ran = check(&text, "signed = true\n");
    assert_ne!(ran.code, 0, "{ran:?}");
    let pool = "[pool.site]\n[node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n";
    let ran = check(
        &(text.clone() + "get.names.example. 300/5 POOL site\n"),
        pool,
    );
    assert_ne!(ran.code, 0, "{ran:?}");
    let place = format!(
        "names.zone:{}:1: error: a POOL in zone",
        text.lines().count() + 1
    );
    assert!(ran.err.contains(&place), "{place}: {ran:?}");
    // What validators will not believe.
    let without: String = text
        .lines()
        .filter(|line| !line.contains(" NSEC "))
        .map(|line| format!("{line}\n"))
        .collect();
    let ran = check(&without, "");
    assert!(
        ran.code == 0 && ran.err.contains("it has no chain of NSEC or NSEC3 records"),
        "{ran:?}"
    );
    let old: String = text
        .lines()
        .map(|line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if words[3] == "RRSIG" && words[4] == "MX" {
                words[8] = "20200102030405";
            }
            words.join(" ") + "\n"
        })
        .collect();
    let ran = check(&old, "");
    assert!(
        ran.code == 0
            && ran
                .err
                .contains("signatures have ended on 2020-01-02 03:04:05 UTC"),
        "{ran:?}"
    );
    let many = text.replace(
        "300 IN SOA",
        "0 IN NSEC3PARAM 1 0 501 -\nnames.example. 300 IN SOA",
    );
    let ran = check(&many, "");
    assert!(
        ran.code != 0
            && ran
                .err
                .contains("NSEC3 with 501 iterations: 500 is the most"),
        "{ran:?}"
    );
    // And it is served.
    assert_eq!(check(&text, "").code, 0);
    let server = Server::start_in(&Arc::new(folder));
    let reply = server.ask(&Question::new("nope.names.example", A).signed());
    assert_eq!(halves(&reply.0), [""; 0], "{reply:?}");
    let nsec = reply.0.authorities.iter();
    assert_eq!(
        nsec.filter(|r| r.record_type() == NSEC).count(),
        2,
        "{reply:?}"
    );
}
