//! What the service manager is told, and the unit that it is given.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use crate::common::nodes::Does;
use crate::program::{Folder, Lines, PATIENCE, Ran, other, ours, signal, terminate, wait};
use crate::world::World;

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn new(folder: &Folder) -> Self {
        let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn next(&self) -> String {
        let mut octets = [0; 4096];
        let length = self.0.recv(&mut octets).expect("the server says something");
        String::from_utf8(octets[..length].to_vec()).unwrap()
    }

    /// The next that holds these words.
    fn wait(&self, words: &str) -> String {
        let start = Instant::now();
        loop {
            let said = self.next();
            if said.contains(words) {
                return said;
            }
            assert!(start.elapsed() < PATIENCE, "not said: {words}");
        }
    }
}

/// Ends with the story.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_service_manager_is_told_what_happens() {
    let world = World::of(155, 2);
    let config = world
        .config("")
        .replacen("[server]", "[server]\nwatch = false", 1);
    let folder = Folder::with(&config);
    let manager = Manager::new(&folder);
    let mut command = folder.command(&["serve"]);
    command
        .env("NOTIFY_SOCKET", folder.path("notify"))
        .env("WATCHDOG_USEC", "4000000");
    let mut running = Running(command.spawn().unwrap());
    let log = Lines::of(running.0.stderr.take().unwrap());

    let first = manager.next();
    assert!(
        first.starts_with("READY=1\nSTATUS=answering for 1 zone, generation 1; in service: "),
        "{first}"
    );
    // Who reads the log may be a moment behind.
    log.wait(&["answering on "]);
    if !first.contains("2 of 2") {
        manager.wait("in service: 2 of 2 addresses");
    }
    manager.wait("WATCHDOG=1");
    manager.wait("WATCHDOG=1");
    world.now(1, Does::Hang);
    manager.wait("STATUS=answering for 1 zone, generation 1; in service: 1 of 2 addresses");

    // The files as they were, then one that is wrong: either way it answers on.
    for (more, outcome) in [
        ("", "reloaded, generation 2"),
        ("[nod.x]\n", "not reloaded"),
    ] {
        folder.write("nearmost.toml", &(config.clone() + more));
        signal(&running.0, "HUP");
        let told = manager.wait("RELOADING=1");
        let at = told.split_once("\nMONOTONIC_USEC=").expect("when").1;
        assert!(at.trim_end().parse::<u64>().unwrap() > 0, "{told}");
        manager.wait("READY=1");
        log.wait(&["SIGHUP: ", outcome]);
    }

    terminate(&running.0);
    manager.wait("STOPPING=1\n");
    assert_eq!(wait(&mut running.0), Some(0));
}

/// The highest exposure that `systemd-analyze security` may see in the unit, in tenths.
const EXPOSURE: &str = "16";

#[test]
fn what_the_package_installs_is_good() {
    let check = Folder::new().run(&[
        "-c",
        &ours("packaging/debian/nearmost.toml").to_string_lossy(),
        "check",
    ]);
    assert_eq!(check.code, 0, "{check:?}");
    assert!(check.out.contains("0 errors, 1 warning"), "{check:?}");
    for script in ["postinst", "prerm", "postrm"] {
        let script = ours("packaging/debian").join(script);
        let read = Ran::of(Command::new("sh").arg("-n").arg(&script));
        assert_eq!((read.code, &*read.err), (0, ""), "{}", script.display());
    }
}

#[test]
fn the_unit_is_good_and_hardened() {
    let Some(analyze) = other("systemd-analyze") else {
        return;
    };
    let unit = ours("packaging/nearmost.service");
    let text = fs::read_to_string(&unit).unwrap();
    // `verify` looks for the program and for the page that it names, which are not installed here.
    let text = text
        .replace("/usr/bin/nearmost", env!("CARGO_BIN_EXE_nearmost"))
        .replace("Documentation=man:nearmost(1)\n", "");
    let folder = Folder::new();
    folder.write("nearmost.service", &text);
    let socket = fs::read_to_string(ours("packaging/nearmost.socket")).unwrap();
    let socket = socket.replace("Documentation=man:nearmost(1)\n", "");
    folder.write("nearmost.socket", &socket);
    let verify = Ran::of(Command::new(&analyze).arg("verify").args([
        folder.path("nearmost.service"),
        folder.path("nearmost.socket"),
    ]));
    assert_eq!(verify.code, 0, "{verify:?}");
    assert!(!verify.err.contains("nearmost."), "{verify:?}");
    let threshold = format!("--threshold={EXPOSURE}");
    let security = Ran::of(
        Command::new(&analyze)
            .args(["security", "--no-pager", "--offline=true", &threshold])
            .arg(&unit),
    );
    assert_eq!(security.code, 0, "{security:?}");
    assert!(
        security.out.contains("Overall exposure level"),
        "{security:?}"
    );
}

/// The system calls of a set, as this systemd has them.
fn calls_of(analyze: &Path, set: &str) -> BTreeSet<String> {
    if !set.starts_with('@') {
        return [set.to_owned()].into();
    }
    let ran = Ran::of(Command::new(analyze).args(["syscall-filter", "--no-pager", set]));
    let listed = ran.out.lines().skip(1).map(str::trim);
    let listed: Vec<&str> = listed
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(!listed.is_empty(), "{ran:?}");
    listed
        .iter()
        .flat_map(|set| calls_of(analyze, set))
        .collect()
}

#[test]
fn the_unit_forbids_what_the_server_refuses_to_itself() {
    let Some(analyze) = other("systemd-analyze") else {
        return;
    };
    let unit = fs::read_to_string(ours("packaging/nearmost.service")).unwrap();
    let mut allowed = BTreeSet::new();
    for line in unit.lines() {
        let Some(sets) = line.strip_prefix("SystemCallFilter=") else {
            continue;
        };
        let without = sets.strip_prefix('~');
        let sets = without.unwrap_or(sets).split_whitespace();
        let calls: BTreeSet<String> = sets.flat_map(|set| calls_of(&analyze, set)).collect();
        match without {
            Some(_) => allowed.retain(|call| !calls.contains(call)),
            None => allowed.extend(calls),
        }
    }
    assert!(allowed.contains("seccomp"), "the server's own filter");
    let source = fs::read_to_string(ours("src/control/calls.rs")).unwrap();
    let refused = source.split_once("REFUSED").unwrap().1;
    let refused = refused.split_once("];").unwrap().0;
    let refused = refused.lines().filter_map(|line| {
        let name = line.trim().strip_prefix("libc::SYS_")?;
        name.strip_suffix(',')
    });
    let left: Vec<&str> = refused.filter(|call| allowed.contains(*call)).collect();
    // Other lines do, each with a filter of its own: RestrictNamespaces and LockPersonality.
    assert_eq!(left, ["unshare", "setns", "personality"]);
}
