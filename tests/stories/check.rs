//! `check`, and all that is said of a bad configuration or command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::program::{Folder, ours};
use crate::world::World;

#[test]
fn five_mistakes_are_five_errors_with_positions() {
    let text = fs::read_to_string(ours("tests/config/invalid/five-mistakes.toml")).unwrap();
    let folder = Folder::with(&text);
    for verb in ["check", "serve"] {
        let ran = folder.run(&[verb]);
        assert_eq!(ran.code, 78, "{ran:?}");
        for position in ["2:1", "6:17", "9:9", "12:6", "13:7"] {
            let place = format!("nearmost.toml:{position}: error: ");
            assert!(ran.err.contains(&place), "{place} in {}", ran.err);
        }
        assert_eq!(ran.err.matches(": error: ").count(), 5, "{}", ran.err);
        assert!(ran.err.contains("did you mean \"listen\"?"), "{}", ran.err);
        assert!(ran.err.contains("5 errors"), "{}", ran.err);
        assert!(!ran.err.contains('\u{1b}'), "colour is for terminals");
        assert_eq!(ran.out, "");
    }
}

#[test]
fn what_check_shows_is_good_and_shows_the_same() {
    let world = World::of(50, 3);
    let folder = Folder::with(&world.config("none = \"servfail\"\nanswer = 2"));
    let good = folder.run(&["check"]);
    assert_eq!(good.code, 0, "{good:?}");
    for words in ["is good", "1 zone ", "1 pool,", "3 nodes", "1 probe;"] {
        assert!(good.out.contains(words), "{words} in {good:?}");
    }
    let shown = folder.run(&["check", "--show"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("none = \"servfail\""), "{shown:?}");
    folder.write("shown.toml", &shown.out);
    let again = folder.run(&["-c", "shown.toml", "check", "--show"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.out, shown.out);
}

#[test]
fn secrets_and_folders_that_are_everybodys_are_warned_of() {
    let world = World::of(51, 1);
    let secret = "[key.a]\nsecret_file = \"key\"\n[cookies]\nsecrets = [\"e5e973e5a6b2a43f48e7dc849e37bfcf\"]\n";
    let folder = Folder::with(&format!("{}\n{secret}", world.config("")));
    folder.write("key", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=\n");
    fs::create_dir(folder.path("keys")).unwrap();
    for (mode, warned) in [(0o644, true), (0o640, false)] {
        let own = fs::Permissions::from_mode(if warned { 0o777 } else { 0o755 });
        fs::set_permissions(folder.path("keys"), own).unwrap();
        for file in ["key", "nearmost.toml"] {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(folder.path(file), mode).unwrap();
        }
        let checked = folder.run(&["check"]);
        assert_eq!(checked.code, 0, "{checked:?}");
        for file in ["key", "nearmost.toml"] {
            let words = format!("{file} has secrets, and everybody can read it (mode 644)");
            assert_eq!(checked.err.contains(&words), warned, "{checked:?}");
        }
        let words = "keys: anybody may write in it (mode 777), so the server does not start";
        assert_eq!(checked.err.contains(words), warned, "{checked:?}");
    }
}

#[test]
fn a_missing_configuration_is_said_helpfully() {
    let folder = Folder::new();
    for verb in [
        &["check"][..],
        &["serve"],
        &["status"],
        &["health"],
        &["geo", "192.0.2.1"],
    ] {
        let ran = folder.run(verb);
        assert_eq!(ran.code, 78, "{ran:?}");
        assert!(
            ran.err.contains("no nearmost.toml here") && ran.err.contains("-c FILE"),
            "{ran:?}"
        );
        let named = folder.run(&[&["-c", "nope.toml"], verb].concat());
        assert_eq!(named.code, 78, "{named:?}");
        assert!(named.err.contains("nope.toml"), "{named:?}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = Folder::new();
    for wrong in [
        &[][..],
        &["serv"],
        &["check", "--shw"],
        &["health", "--nope"],
        &["explain"],
        &["explain", "a.example", "--from", "nowhere"],
        &["geo"],
        &["geo", "300.0.0.1"],
        &["demo", "--listen", "5300x"],
        &["-c", "nearmost.toml", "demo"],
    ] {
        let ran = folder.run(wrong);
        assert_eq!(ran.code, 2, "{wrong:?}: {ran:?}");
        assert!(
            ran.err.contains("Usage:") || ran.err.contains("--help"),
            "{wrong:?}: {ran:?}"
        );
    }
    for help in [&["--help"][..], &["serve", "--help"], &["--version"]] {
        let ran = folder.run(help);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("nearmost"), "{ran:?}");
    }
}
