//! Files in which others say who is up.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use nearmost::clock::Clock;
use nearmost::health::{Check, Kind};

use crate::{PATIENT, check_at, file, run};

/// A check of node `lon` at 192.0.2.7.
fn check(path: &Path) -> Check {
    let kind = Kind::File {
        path: path.to_owned(),
        max_age: Duration::from_secs(100),
    };
    check_at("192.0.2.7:0".parse().unwrap(), kind)
}

async fn said(text: &str) -> Result<(), String> {
    run(check(&file("states", text))).await
}

#[tokio::test]
async fn verdicts() {
    for (text, words) in [
        ("up", None),
        ("\n# down\n  UP  all is well\n", None),
        ("down", Some("down, without a reason")),
        ("Down  disk full \n", Some("disk full")),
        ("lon down fan", Some("fan")),
        ("192.0.2.7 down fan", Some("fan")),
        ("192.0.2.8 down\nnyc down\nup", None),
        // The most exact counts, wherever it stands, and of equal ones the last.
        ("192.0.2.7 up\nlon down\ndown", None),
        ("down\nlon down\n192.0.2.7 up", None),
        ("lon down\nup", Some("down, without a reason")),
        ("lon down\nlon up", None),
    ] {
        assert_eq!(said(text).await.err().as_deref(), words, "{text:?}");
    }
    let v6 = check_at("[2001:db8::7]:0".parse().unwrap(), {
        check(&file("v6", "2001:DB8:0::7 up\ndown"))
            .probe
            .kind
            .clone()
    });
    assert_eq!(run(v6).await, Ok(()));
}

#[tokio::test]
async fn what_is_no_verdict() {
    for (text, words) in [
        ("", "says nothing of 192.0.2.7"),
        ("nyc up", "says nothing of 192.0.2.7"),
        ("up\nnyc\n", ":2 says neither up nor down"),
        ("upp", ":1 says neither up nor down"),
        ("\u{0}\u{1}", ":1 says neither up nor down"),
    ] {
        let error = said(text).await.unwrap_err();
        assert!(error.ends_with(words), "{text:?}: {error}");
    }
    let long = "# \n".repeat(400_000) + "up\n";
    let error = said(&long).await.unwrap_err();
    assert!(error.ends_with("it is longer than 1 MiB"), "{error}");
    for (path, words) in [
        ("/nowhere/states", "there is no file /nowhere/states"),
        ("/", "/ cannot be read: it is no file"),
        ("/dev/zero", "/dev/zero cannot be read: it is no file"),
    ] {
        assert_eq!(run(check(Path::new(path))).await.unwrap_err(), words);
    }
}

#[tokio::test]
async fn old_files_are_not_believed() {
    let path = file("old", "up");
    let written = |ago: u64| {
        let at = UNIX_EPOCH + Clock::start().now() - Duration::from_secs(ago);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(at)
            .unwrap();
    };
    written(50);
    assert_eq!(run(check(&path)).await, Ok(()));
    written(1000);
    let error = run(check(&path)).await.unwrap_err();
    assert!(error.contains(" is 100"), "{error}");
    assert!(error.ends_with(" s old, more than 100 s"), "{error}");
    written(0);
    assert_eq!(run(check(&path)).await, Ok(()));
}

#[tokio::test]
async fn many_checks_of_one_file() {
    let path = file("many", "192.0.2.7 up");
    let checks = vec![check(&path); 500];
    let prepared = nearmost::probe::prepare(&checks).unwrap();
    let runs: Vec<_> = prepared
        .into_iter()
        .map(|one| tokio::spawn(async move { one.run().await.result }))
        .collect();
    for run in runs {
        let result = tokio::time::timeout(PATIENT, run).await;
        assert_eq!(result.unwrap().unwrap(), Ok(()));
    }
}
