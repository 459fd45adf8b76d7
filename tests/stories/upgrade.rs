//! Another process takes the place of the one that answers.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::program::{Folder, PATIENCE, Server, Stop, eventually, kill, successors};
use crate::question::{Question, receive, send};
use crate::world::{FRA, World};

/// The processes that were to take over; they are nobody's children once the first is gone.
pub struct Successors<'a>(pub &'a Server);

impl Successors<'_> {
    pub fn pids(&self) -> Vec<u32> {
        successors(&self.0.log.text())
    }

    pub fn tell(&self, signal: &str) {
        for pid in self.pids() {
            kill(pid, signal);
        }
    }
}

impl Drop for Successors<'_> {
    fn drop(&mut self) {
        self.tell("KILL");
    }
}

#[test]
fn nothing_is_lost_when_another_process_takes_over() {
    let world = World::of(141, 2);
    let config = world.config("");
    let config = config.replacen("[server]", "[server]\nstate = \".\"", 1);
    let server = Server::start_in(&Arc::new(Folder::with(&config)));
    let successors = Successors(&server);
    assert_eq!(server.run(&["drain", "fra", "--why", "disk"]).code, 0);
    let question = Question::a("get.example.org").from(FRA);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    send(&mut stream, &question.to_vec());
    assert!(!receive(&mut stream).is_empty());

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        // Each question waits for its answer: one that is lost fails the story.
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(server.given(FRA), world.ip(1));
                asked += 1;
            }
            asked
        });
        let upgraded = server.run(&["upgrade"]);
        assert_eq!(upgraded.code, 0, "{upgraded:?}");
        let first = format!("in the place of process {}", server.pid());
        assert!(upgraded.out.contains(&first), "{upgraded:?}");
        let status = server.json(&["status"]);
        assert_eq!(status["pid"].as_u64(), Some(successors.pids()[0].into()));
        assert_eq!(
            status["orders"][0]["why"], "disk",
            "what was ordered goes on"
        );
        // The old process finishes what is open.
        send(&mut stream, &question.to_vec());
        assert!(!receive(&mut stream).is_empty());
        drop(stream);
        server.log.wait(&["another process answers"]);
        // And the new one can be followed by another.
        assert_eq!(server.run(&["upgrade"]).code, 0);
        stop.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    assert_eq!(server.run(&["undrain", "fra"]).code, 0);
    server.gives(FRA, &world.ip(0));
    successors.tell("TERM");
    eventually("nobody answers any more", || {
        (server.run(&["status"]).code == 1).then_some(())
    });
}

#[test]
fn a_successor_that_fails_changes_nothing() {
    let world = World::of(142, 1);
    let config = world.config("");
    let server = Server::start(&config);
    let _successors = Successors(&server);
    // As long as it is not read again by itself.
    server.folder.write(
        "nearmost.toml",
        &config.replacen("[server]", "[server]\nwatch = false", 1),
    );
    server.log.wait(&["reloaded, generation 2"]);
    server
        .folder
        .write("nearmost.toml", &(config.clone() + "[nod.x]\n"));
    let failed = server.run(&["upgrade"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("goes on answering"), "{failed:?}");
    assert_eq!(server.given(FRA), world.ip(0));
    let alone = Folder::with(&config.replacen("[server]", "[server]\nstate = \".\"", 1));
    let nobody = alone.run(&["serve", "--take-over"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    assert!(nobody.err.contains("gives its sockets away"), "{nobody:?}");
}
