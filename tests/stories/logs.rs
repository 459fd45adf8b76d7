//! The log: for people, as JSON, and with the levels of the journal.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::Stdio;
use std::sync::Arc;

use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually, terminate, wait};
use crate::world::World;

/// Who opens a full pipe so does not wait.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

#[test]
fn json_is_one_object_a_line() {
    let world = World::with(151, vec![(Does::ok(), None), (Does::Hang, None)]);
    let config = world
        .config("")
        .replacen("[server]", "[server]\nlog = \"json\"", 1);
    let server = Server::start(&config);
    server.log.wait(&["fra", "up"]);
    let ready = server.log.wait(&["answering on"]);
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["level"], "INFO", "{ready}");
    assert_eq!(ready["target"], "nearmost::cli::serve", "{ready}");
    assert!(
        ready["message"].as_str().unwrap().contains("answering on"),
        "{ready}"
    );
    for line in server.log.text().lines() {
        let value: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(value.is_ok_and(|v| v["timestamp"].is_string()), "{line}");
    }
}

#[test]
fn a_level_counts_for_its_module_only() {
    let world = World::of(152, 1);
    let level = |level: &str| {
        let line = format!("[server]\nlog_level = \"{level}\"");
        world.config("").replacen("[server]", &line, 1)
    };
    let debug = Server::start(&level("info,probe=debug"));
    let line = debug.log.wait(&["DEBUG", "web of 127.152.0.1:"]);
    assert!(line.contains(": good, "), "{line}");
    drop(debug);
    // Without it none of that is said, in the same time and longer.
    let usual = Server::start(&world.config(""));
    usual.log.wait(&["-> up"]);
    assert!(!usual.log.text().contains("DEBUG"), "{}", usual.log.text());
    drop(usual);
    // What is off says nothing, also not that it answers.
    let folder = Arc::new(Folder::with(&level("off")));
    let off = Server::starting(&folder, ([127, 0, 0, 1], 0).into());
    eventually("it answers on the control socket", || {
        (off.run(&["status"]).code == 0).then_some(())
    });
    assert_eq!(off.log.text(), "");
}

#[test]
fn the_journal_is_told_levels() {
    let world = World::of(153, 1);
    let folder = Folder::with(&world.config(""));
    let serve = |name: &str, stream: &dyn Fn(&File) -> String| {
        let file = File::create(folder.path(name)).unwrap();
        let stream = stream(&file);
        let mut command = folder.command(&["serve"]);
        command
            .env("JOURNAL_STREAM", stream)
            .stderr(Stdio::from(file));
        let mut child = command.spawn().unwrap();
        let text = eventually("it answers", || {
            let text = fs::read_to_string(folder.path(name)).unwrap();
            text.contains("answering on").then_some(text)
        });
        terminate(&child);
        assert_eq!(wait(&mut child), Some(0));
        text
    };
    // The file stands for the journal's socket: what counts is that it is the one that the variable names.
    let text = serve("journal", &|file| {
        let about = file.metadata().unwrap();
        format!("{}:{}", about.dev(), about.ino())
    });
    assert!(
        text.lines()
            .all(|line| line.starts_with("<6>") || line.starts_with("<4>")),
        "{text}"
    );
    assert!(text.contains("\n<6>answering on "), "{text}");
    let text = serve("elsewhere", &|_| "1:2".into());
    assert!(
        !text.contains("<6>") && text.contains(" INFO answering on "),
        "{text}"
    );
}

#[test]
fn nobody_waits_for_who_reads_the_log() {
    let world = World::of(155, 1);
    let folder = Folder::with(&world.config(""));
    let (mut reader, writer) = pipe().unwrap();
    let mut command = folder.command(&["serve"]);
    let mut child = command
        .stderr(Stdio::from(OwnedFd::from(writer.try_clone().unwrap())))
        .spawn()
        .unwrap();
    // It holds the pipe open.
    drop(command);
    let mut lines = BufReader::new(reader.try_clone().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    while !next().contains("answering on") {}
    // Another description of the pipe, as ours is the server's too.
    let mut full = OpenOptions::new();
    let full = full.write(true).custom_flags(NONBLOCK);
    let mut full = full
        .open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
        .unwrap();
    while full.write(b"x").is_ok() {}
    for _ in 0..3 {
        assert_eq!(folder.run(&["drain", "fra"]).code, 0);
        assert_eq!(folder.run(&["undrain", "fra"]).code, 0);
    }
    // What waits is written once somebody reads.
    drop((full, writer));
    let text = eventually("what was logged meanwhile is there", || {
        let line = next();
        line.contains("drained").then_some(line)
    });
    assert!(text.contains("fra"), "{text}");
    terminate(&child);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(wait(&mut child), Some(0));
}

#[test]
fn the_command_line_has_the_last_word() {
    let world = World::of(154, 1);
    let config = world
        .config("")
        .replacen("[server]", "[server]\nlog = \"json\"", 1);
    let folder = Folder::with(&config);
    let mut child = folder
        .command(&["serve", "--log-format", "journal"])
        .spawn()
        .unwrap();
    let log = crate::program::Lines::of(child.stderr.take().unwrap());
    let line = log.wait(&["answering on"]);
    terminate(&child);
    wait(&mut child);
    assert!(line.starts_with("<6>answering on "), "{line}");
    let ran = folder.run(&["serve", "--log-format", "xml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("text, json, journal"), "{ran:?}");
}
