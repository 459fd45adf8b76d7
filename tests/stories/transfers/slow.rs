//! A primary that answers when it is let to, and what changes here meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::peers::serial;
use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually, kill};
use crate::upgrade::Successors;
use crate::world::World;

const ZONE: &str = "slow.example";
const IXFR: u16 = 251;
const AXFR: u16 = 252;

/// A primary of small zones with one serial. Its thread ends with the program.
pub(super) struct Primary {
    pub(super) address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    serial: u32,
    held: bool,
    /// The types it was asked for so far.
    asked: Vec<u16>,
}

impl Primary {
    pub(super) fn of(serial: u32, held: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            serial,
            held,
            asked: Vec::new(),
        };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ours = Arc::clone(&ours);
                thread::spawn(move || answer(stream, &ours));
            }
        });
        Self { address, shared }
    }

    fn hold(&self, held: bool) {
        self.shared.0.lock().unwrap().held = held;
        self.shared.1.notify_all();
    }

    /// From now on it has this serial.
    fn is(&self, serial: u32) {
        self.shared.0.lock().unwrap().serial = serial;
    }

    fn asked(&self) -> Vec<u16> {
        self.shared.0.lock().unwrap().asked.clone()
    }

    /// Waits until it was asked for so many.
    fn is_asked(&self, count: usize) {
        eventually("it is asked", || {
            (self.asked().len() >= count).then_some(())
        });
    }
}

fn answer(mut stream: TcpStream, (state, changed): &(Mutex<State>, Condvar)) -> Option<()> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut question = vec![0; u16::from_be_bytes(len).into()];
    stream.read_exact(&mut question).ok()?;
    let name = question[12..].iter().position(|octet| *octet == 0)?;
    let end = 12 + name + 5;
    let asked = u16::from_be_bytes([question[end - 4], question[end - 3]]);
    let mut own = state.lock().unwrap();
    own.asked.push(asked);
    let own = changed.wait_while(own, |own| own.held).unwrap();
    let serial = own.serial.to_be_bytes();
    drop(own);
    let mut soa = b"\x02ns\xc0\x0c\x01h\xc0\x0c".to_vec();
    soa.extend_from_slice(&serial);
    [3600u32, 600, 86_400, 60]
        .iter()
        .for_each(|n| soa.extend_from_slice(&n.to_be_bytes()));
    let (apex, ns): (&[u8], &[u8]) = (b"\xc0\x0c", b"\x02ns\xc0\x0c");
    let all = [
        (apex, 6, soa.clone()),
        (apex, 2, ns.to_vec()),
        (ns, 1, vec![192, 0, 2, 53]),
        (apex, 6, soa),
    ];
    // The question for differences ends with the numbers of the SOA that is known.
    let known = &question[question.len() - 20..][..4];
    let records = match asked == IXFR && known == serial {
        true => &all[..1],
        false => &all[..],
    };
    let count = u8::try_from(records.len()).unwrap();
    let mut out = [&question[..2], &[0x84, 0, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    out.extend_from_slice(&question[12..end]);
    for (owner, rtype, rdata) in records {
        let len = u8::try_from(rdata.len()).unwrap();
        out.extend_from_slice(owner);
        out.extend_from_slice(&[0, *rtype, 0, 1, 0, 0, 1, 44, 0, len]);
        out.extend_from_slice(rdata);
    }
    let len = u16::try_from(out.len()).unwrap().to_be_bytes();
    stream.write_all(&[&len[..], &out].concat()).ok()
}

fn config(primaries: &[&Primary]) -> String {
    let at = |primary: &&Primary| format!("{{ at = \"{}\" }}", primary.address);
    let all: Vec<String> = primaries.iter().map(at).collect();
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate = \"state\"\nwatch = false\n[zone.\"{ZONE}\"]\nprimary = [{}]\n",
        all.join(", ")
    )
}

fn start(primary: &Primary) -> Server {
    let folder = Arc::new(Folder::with(&config(&[primary])));
    fs::create_dir(folder.path("state")).unwrap();
    Server::start_in(&folder)
}

fn comes(ours: &Server, wanted: u32) {
    eventually("it is there", || {
        serial(ours.address, ZONE).filter(|s| *s == wanted)
    });
}

fn reload(ours: &Server, config: &str) {
    ours.folder.write("nearmost.toml", config);
    let ran = ours.run(&["reload"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn what_comes_of_a_primary_that_is_none_any_more_is_not_taken() {
    let (old, new) = (Primary::of(900, true), Primary::of(5, false));
    let ours = start(&old);
    old.is_asked(1);
    reload(&ours, &config(&[&new]));
    old.hold(false);
    ours.log
        .wait(&["is not taken", "its primaries have changed meanwhile"]);
    comes(&ours, 5);
    let line = ours.json(&["status"])["received"][0].clone();
    assert_eq!(line["error"], serde_json::Value::Null, "{line}");
}

#[test]
fn all_of_a_zone_is_still_wanted_after_an_answer_that_was_on_its_way() {
    let primary = Primary::of(7, false);
    let ours = start(&primary);
    comes(&ours, 7);
    primary.hold(true);
    assert_eq!(ours.run(&["fetch", ZONE]).code, 0);
    primary.is_asked(2);
    assert_eq!(ours.run(&["fetch", ZONE, "--whole"]).code, 0);
    primary.hold(false);
    primary.is_asked(3);
    assert_eq!(primary.asked()[..3], [AXFR, IXFR, AXFR]);
}

#[test]
fn what_comes_while_another_process_takes_over_stays() {
    let primary = Primary::of(7, false);
    // A node that hangs, so that each first round takes a while.
    let world = World::with(156, vec![(Does::Hang, None)]);
    let zone = format!("[zone.\"{ZONE}\"]\nprimary = [\"{}\"]\n", primary.address);
    let config = world.config("").replace("every = \"1s\"", "every = \"5s\"");
    let config = config.replace("500ms", "4s");
    let config = config.replacen("[server]", "[server]\nstate = \"state\"", 1) + &zone;
    let folder = Arc::new(Folder::with(&config));
    fs::create_dir(folder.path("state")).unwrap();
    let ours = Server::start_in(&folder);
    let successors = Successors(&ours);
    comes(&ours, 7);
    kill(ours.pid(), "USR2");
    let said = |words: &str, count: usize| {
        eventually(words, || {
            let text = ours.log.text();
            (text.matches(words).count() >= count).then_some(())
        });
    };
    said("waiting for the first round", 2);
    // It has read what is kept, and has no ear yet for who tells it to read its files.
    successors.tell("HUP");
    primary.is(8);
    assert_eq!(ours.run(&["fetch", ZONE]).code, 0);
    comes(&ours, 8);
    primary.hold(true);
    eventually("the other process answers", || {
        let pid = ours.json(&["status"])["pid"].as_u64()?;
        (pid != u64::from(ours.pid())).then_some(())
    });
    comes(&ours, 8);
    said("SIGHUP: ", 1);
}

#[test]
fn a_copy_that_somebody_took_away_is_written_again() {
    let primary = Primary::of(7, false);
    let ours = start(&primary);
    let kept = ours.folder.path(&format!("state/received/{ZONE}.zone"));
    let is_there = || eventually("it is kept", || kept.exists().then_some(()));
    is_there();
    fs::remove_file(&kept).unwrap();
    assert_eq!(ours.run(&["fetch", ZONE]).code, 0);
    is_there();
    assert_eq!(primary.asked(), [AXFR, IXFR]);
}

#[test]
fn a_reload_asks_only_where_primaries_are_others() {
    let (first, second) = (Primary::of(7, false), Primary::of(7, false));
    let ours = start(&first);
    let next = || {
        ours.json(&["status"])["received"][0]["next"]
            .as_u64()
            .unwrap()
    };
    let fetched = || ours.json(&["status"])["received"][0]["fetched"].is_u64();
    eventually("it has come", || fetched().then_some(()));
    let due = next();
    reload(
        &ours,
        &(config(&[&first]) + "[limits]\nserial_every = \"1h\"\n"),
    );
    assert_eq!((next(), first.asked().len()), (due, 1));
    reload(&ours, &config(&[&first, &second]));
    first.is_asked(2);
}
