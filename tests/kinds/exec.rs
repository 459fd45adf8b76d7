//! Commands that end well, badly, late and never, and what is left of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nearmost::health::{Check, Kind};
use nearmost::probe::Prober;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::{PATIENT, SHORT, check_at, file, run, with_timeout};

/// A check that has a shell run this, with these arguments.
fn script(text: &str, arguments: &[&str]) -> Check {
    let command = ["/bin/sh", "-c", text, "sh"]
        .into_iter()
        .chain(arguments.iter().copied());
    let command = command.map(str::to_owned).collect();
    check_at("127.0.2.9:873".parse().unwrap(), Kind::Exec { command })
}

/// A file for the script to write its process ids to.
fn ids(name: &str) -> PathBuf {
    file(name, "")
}

/// Waits until so many process ids are in the file.
async fn written(file: &Path, count: usize) -> Vec<u32> {
    let end = Instant::now() + PATIENT;
    loop {
        let text = std::fs::read_to_string(file).unwrap();
        if text.ends_with('\n') && text.lines().count() == count {
            return text.lines().map(|l| l.parse().unwrap()).collect();
        }
        assert!(Instant::now() < end, "only {text:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until none of them runs, and the first, our own child, is not even a zombie.
async fn gone(ids: &[u32]) {
    let end = Instant::now() + PATIENT;
    for (place, id) in ids.iter().enumerate() {
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            stat.rsplit(')').next()?.trim().chars().next()
        };
        // A grandchild is reaped by init, if there is a good one.
        while state().is_some_and(|state| place == 0 || state != 'Z') {
            assert!(Instant::now() < end, "{id} is in state {:?}", state());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn what_a_command_is_given() {
    let check = script(
        r#"test "$*" = "127.0.2.9 get.example.org:873 {x} \$HOME" || { echo "arguments: $*"; exit 1; }
        test "$(/usr/bin/env | grep ^NEARMOST | sort | tr '\n' ' ')" = "NEARMOST_ADDRESS=127.0.2.9 NEARMOST_HOST=get.example.org NEARMOST_NODE=lon NEARMOST_PORT=873 " || { /usr/bin/env; exit 1; }
        test -z "$HOME$CARGO$USER" || { echo "more in the environment"; exit 1; }
        test -n "$PATH" && test -z "$(cat)""#,
        &["{address}", "{host}:{port}", "{x}", "$HOME"],
    );
    assert_eq!(run(check).await, Ok(()));
}

#[tokio::test]
async fn verdicts() {
    for (text, words) in [
        ("exit 0", None),
        ("echo all is well; echo really >&2", None),
        ("exit 3", Some("exit status 3")),
        (
            "echo; echo '  disk full '; echo more; exit 2",
            Some("disk full (exit status 2)"),
        ),
        ("echo broken >&2; exit 1", Some("broken (exit status 1)")),
        ("printf 'no end'; exit 1", Some("no end (exit status 1)")),
        ("kill -9 $$", Some("killed by signal 9")),
    ] {
        let result = run(script(text, &[])).await;
        assert_eq!(result.err().as_deref(), words, "{text}");
    }
}

#[tokio::test]
async fn much_output_is_no_trouble() {
    let text = "echo first; head -c 1000000 /dev/zero; exit 1";
    let error = run(script(text, &[])).await.unwrap_err();
    assert_eq!(error, "first (exit status 1)");
    let text = "head -c 100000 /dev/zero | tr '\\0' x; exit 1";
    let error = run(script(text, &[])).await.unwrap_err();
    assert!(
        error.starts_with("xxx") && error.chars().count() < 300,
        "{error}"
    );
}

#[tokio::test]
async fn commands_that_cannot_run() {
    let command = |path: &str| {
        let kind = Kind::Exec {
            command: vec![path.into()],
        };
        run(check_at("127.0.2.9:1".parse().unwrap(), kind))
    };
    assert_eq!(
        command("/nowhere/check").await.unwrap_err(),
        "not probed: there is no such command"
    );
    assert_eq!(
        command("/etc/passwd").await.unwrap_err(),
        "not probed: the command may not be run"
    );
}

/// Starts a child that holds the output open, tells both ids, and goes on as told.
const FAMILY: &str = "sleep 1000 & echo $$ >> \"$0\"; echo $! >> \"$0\"; ";

fn family(ids: &Path, then: &str) -> Check {
    let mut check = script(&format!("{FAMILY}{then}"), &[]);
    let probe = Arc::make_mut(&mut check.probe);
    if let Kind::Exec { command } = &mut probe.kind {
        command[3] = ids.to_string_lossy().into_owned();
    }
    check
}

#[tokio::test]
async fn what_takes_too_long_is_killed_with_its_children() {
    let ids = ids("late");
    let check = with_timeout(family(&ids, "wait"), SHORT);
    assert_eq!(run(check).await.unwrap_err(), "timed out after 1500 ms");
    gone(&written(&ids, 2).await).await;
}

#[tokio::test]
async fn children_do_not_outlive_the_command() {
    let ids = ids("orphan");
    assert_eq!(run(family(&ids, "exit 0")).await, Ok(()));
    gone(&written(&ids, 2).await).await;
}

#[tokio::test]
async fn nothing_outlives_the_prober() {
    let ids = ids("dropped");
    let (results, _taken) = mpsc::channel(1);
    let checks = [with_timeout(family(&ids, "wait"), PATIENT)];
    let prober = Prober::start(&checks, &Handle::current(), &results).unwrap();
    let running = written(&ids, 2).await;
    drop(prober);
    gone(&running).await;
}
