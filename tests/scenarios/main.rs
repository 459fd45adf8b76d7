//! Scenarios: a configuration, a made-up world, time that passes, probes that fail, questions, and what must follow.
//!
//! A `.scn` file begins with what its scenarios share; each of them starts a server of its own from it. No sockets: files
//! are loaded, a generation is built, results go to the board, packets to `answer` and the replies to hickory-proto. After every
//! question for a pool, `explain` is asked for the same client and has to agree with the wire.
//!
//! ```text
//! file nearmost.toml                        the files of a server, their text indented by four; or `file NAME from PATH`
//! world                                     a GeoIP database (see `world.rs`); `world as it is`: the one that ships
//!     192.0.2.0/24  London, GB
//! scenario A TITLE                          from here on one server's life
//! with OLD => NEW                           a change to the shared files, where OLD stands; `with` alone adds lines to nearmost.toml
//!
//! first round                               every check has its first result; before, nothing is answered
//! after 30s                                 time passes, checks run at their turns
//! lon fails: connection refused             from now on; `lon IPv6`, `192.0.2.1`, `lon by web as get.example.org`, `everybody`
//! lon succeeds | lon is silent              silent: nothing until the timeout
//! lon fails 2 times: connection refused     at once, so often
//! drain lon for 10m: disk swap               orders of ola; also `force up lon: WHY`, `force down`, and `undrain lon` for all of them
//! restart                                   nothing is known again
//! state lon is up, 1 of 3 failures
//! events                                    changes of state since time passed last: when, node, address, probe, why
//! query get.example.org A from 192.0.2.7 ecs 203.0.113.0/24        also: tcp, edns, nsid, size N, ecs 0 (family 0)
//!     NOERROR aa scope 24                   all that the reply says: code, flags, scope, extended error, identity
//!     300 A lon                             its records; the owner is the question's, an address is called by its node
//!     authority example.org. 300 SOA ...    a line that ends in `...` says only how the record begins
//! explain get.example.org A from 192.0.2.7  place and TTL, then each node, its state and the reason
//! sweep get.example.org A over 11.0.0.0/8 by /16                   shares over many clients, and who moved since the last
//! ```

mod agree;
mod dns;
mod play;
mod properties;
mod script;
mod stage;
mod swap;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use play::Played;

/// What there is at least: a file that is no longer found must not go unnoticed.
const FILES: usize = 12;
const SCENARIOS: usize = 90;
const EXPECTED: usize = 500;

/// A folder for the files of a test.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("it is there")
        .map(|e| e.expect("readable").path())
        .collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "scn"));
    paths.sort();
    let (mut count, mut all, mut problems) = (0, Played::default(), Vec::new());
    for path in &paths {
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let text = fs::read_to_string(path).expect("readable");
        let place = |line: usize| format!("tests/scenarios/{name}:{line}");
        let scenarios = script::read(&text)
            .unwrap_or_else(|(line, problem)| panic!("{}: {problem}", place(line)));
        for scenario in scenarios {
            count += 1;
            match play::play(&scenario, &scratch("scenario")) {
                Ok(played) => {
                    all.steps += played.steps;
                    all.expected += played.expected;
                    all.explained += played.explained;
                }
                Err((line, problem)) => problems.push(format!(
                    "{}: {} (line {})\n  {problem}",
                    place(line),
                    scenario.title,
                    scenario.line
                )),
            }
        }
    }
    println!("{} files, {count} scenarios, {all:?}", paths.len());
    assert!(
        problems.is_empty(),
        "{} of {count} scenarios:\n\n{}",
        problems.len(),
        problems.join("\n\n")
    );
    assert!(
        paths.len() >= FILES && count >= SCENARIOS && all.expected >= EXPECTED,
        "{} files, {count} scenarios, {all:?}",
        paths.len()
    );
}
