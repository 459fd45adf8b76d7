//! Files that no configuration names are out of the reach of a server that runs, where the kernel has Landlock.

use std::fs;
use std::sync::Arc;

use crate::metrics::scrape_at;
use crate::program::{Folder, Lines, Server, eventually, ours, terminate, wait};
use crate::upgrade::Successors;
use crate::world::{FRA, World};

#[test]
fn only_what_was_named_is_in_reach() {
    let world = World::of(159, 1);
    let elsewhere = Folder::new();
    elsewhere.write("secret", "others'");
    let secret = elsewhere.path("secret").display().to_string();
    // In service while its own file can be read and somebody else's cannot; it counts its runs.
    let command = format!("echo >> state/runs; cat nearmost.toml && ! cat {secret}");
    let config = |landlock: bool| {
        format!(
            "{}\n[probe.reach]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"{command}\"]\nevery = \"1s\"\ntimeout = \"500ms\"\n\
             down = 1\nok = 1\nup = 1\n",
            world.config("probes = [\"web\", \"reach\"]").replacen("probes = [\"web\"]\n", "", 1)
        )
        .replacen(
            "[server]",
            &format!("[server]\nlandlock = {landlock}\nstate = \"state\""),
            1,
        )
    };
    let start = |landlock: bool| {
        let folder = Folder::with(&config(landlock));
        fs::create_dir(folder.path("state")).unwrap();
        fs::create_dir(folder.path("nodes")).unwrap();
        Server::start_in(&Arc::new(folder))
    };
    let state = |server: &Server| {
        let health = server.json(&["health", "fra"]);
        health.to_string()
    };

    let open = start(false);
    assert!(
        state(&open).contains("down"),
        "everything is in reach: {}",
        state(&open)
    );
    drop(open);

    let server = start(true);
    let successors = Successors(&server);
    let control = server.folder.path("state/control.sock");
    let landlock = server.json(&["status"])["landlock"].clone();
    if landlock == "not available" {
        // A kernel is as it is: no fault of ours, nor a package that is missing.
        eprintln!("skipped: Landlock is not available");
        return;
    }
    assert!(landlock.as_str().unwrap().starts_with("on"), "{landlock}");
    let status = server.run(&["status"]);
    assert!(status.out.contains(", Landlock: on"), "{status:?}");
    server.gives(FRA, &world.ip(0));
    eventually("the probe reads what it may, and no more", || {
        (!state(&server).contains("\"down\"")).then_some(())
    });

    // What comes into the folders is in reach; what is named elsewhere is not, and that is told.
    let (_, text) = scrape_at(&control, "*/*");
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
    server
        .folder
        .write("nodes/new.toml", "at = \"SYD\"\nip = [\"127.159.0.9\"]\n");
    let added = server.run(&["reload"]);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(server.run(&["drain", "new", "--why", "not there"]).code, 0);
    let database = ours("tests/data/mmdb/GeoIP2-City-Test.mmdb");
    fs::copy(&database, elsewhere.path("city.mmdb")).unwrap();
    let other = elsewhere.path("city.mmdb").display().to_string();
    let moved = config(true).replace(&database.display().to_string(), &other);
    server.folder.write("nearmost.toml", &moved);
    let refused = server.run(&["reload"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let folder = fs::canonicalize(elsewhere.path("")).unwrap();
    let words = format!(
        "{} is out of reach: Landlock holds since the start",
        folder.display()
    );
    assert!(refused.err.contains(&words), "{refused:?}");

    // It holds for a process that takes over too, which can do all the same.
    let failed = server.run(&["upgrade"]);
    assert!(
        failed.err.contains("Landlock holds for it too"),
        "{failed:?}"
    );
    server.folder.write("nearmost.toml", &config(true));
    // The kernel lays no more than 16 over each other: a process that takes over adds none.
    for turn in 0..2 {
        let upgraded = server.run(&["upgrade"]);
        assert_eq!(upgraded.code, 0, "{turn}: {upgraded:?}");
    }
    assert_eq!(server.json(&["status"])["landlock"], landlock);
    assert_eq!(server.run(&["reload"]).code, 0);
    let (_, text) = scrape_at(&control, "*/*");
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
    assert_eq!(server.given(FRA), world.ip(0));

    // A link that leads elsewhere is told of once, and not at each look.
    elsewhere.write("far.toml", "at = \"SYD\"\nip = [\"127.159.0.8\"]\n");
    let link = server.folder.path("nodes/far.toml");
    std::os::unix::fs::symlink(elsewhere.path("far.toml"), &link).unwrap();
    let refused = || {
        let history = server.json(&["history"]).to_string();
        history.matches("\"not reloaded\"").count()
    };
    let before = refused();
    eventually("it is told", || (refused() > before).then_some(()));
    // A look is a second, as a run is, and it takes two to see that nothing changes any more.
    let runs = || fs::read(server.folder.path("state/runs")).unwrap().len();
    let from = runs();
    eventually("some more looks", || (runs() >= from + 5).then_some(()));
    assert_eq!(refused(), before + 1);
    fs::remove_file(link).unwrap();
    assert_eq!(server.run(&["reload"]).code, 0);

    // One that somebody else has started is held by itself.
    let mut command = server.folder.command(&["serve", "--take-over"]);
    let mut by_hand = command.spawn().unwrap();
    let log = Lines::of(by_hand.stderr.take().unwrap());
    log.wait(&["answering on"]);
    assert_eq!(server.json(&["status"])["pid"], by_hand.id());
    assert_eq!(server.json(&["status"])["landlock"], landlock);
    assert!(!state(&server).contains("\"down\""), "{}", state(&server));
    terminate(&by_hand);
    assert_eq!(wait(&mut by_hand), Some(0));
    drop(successors);
}
