//! `demo`: what it prints works when it is typed.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};

use crate::program::{Folder, Lines, Ran, eventually, other, skip, terminate, wait};

#[test]
fn the_demo_does_what_it_prints() {
    let mirrors: Vec<String> = (1..=5).map(|n| format!("127.0.1.{n}:18080")).collect();
    if mirrors.iter().any(|m| TcpListener::bind(m).is_err()) {
        return skip("port 18080 of 127.0.1.x is in use");
    }
    if other("dig").is_none() {
        return;
    }
    let folder = Folder::new();
    let mut demo = Demo::start(&folder);
    let text = demo.1.text();
    let typed = |line: &str| Ran::of(Command::new("sh").args(["-c", line]));
    let commands = |word: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|l| l.starts_with(word))
            .map(str::to_owned)
            .collect()
    };
    let ours = format!("{} -c ", env!("CARGO_BIN_EXE_nearmost"));
    let (digs, kills, verbs) = (commands("dig "), commands("kill "), commands(&ours));
    assert_eq!((digs.len(), kills.len(), verbs.len()), (3, 1, 2), "{text}");
    for (dig, mirror) in digs.iter().zip(["127.0.1.1", "127.0.1.4", "127.0.1.3"]) {
        let ran = typed(dig);
        assert_eq!(ran.out.trim(), mirror, "{dig}: {ran:?}");
    }
    for verb in &verbs {
        let ran = typed(verb);
        assert_eq!(ran.code, 0, "{verb}: {ran:?}");
    }
    assert_eq!(typed(&kills[0]).code, 0);
    eventually("Germany is given another mirror", || {
        let now = typed(&digs[0]).out;
        (now.trim() != "127.0.1.1" && !now.trim().is_empty()).then_some(())
    });
    assert_eq!(typed(&verbs[0]).code, 1, "health says so");

    let config = verbs[0].split_whitespace().nth(2).unwrap().to_owned();
    assert!(std::path::Path::new(&config).exists());
    terminate(&demo.0);
    assert_eq!(wait(&mut demo.0), Some(0));
    gone(&mirrors);
    assert!(
        !std::path::Path::new(&config).exists(),
        "its folder is gone"
    );
    a_killed_demo_takes_its_mirrors_along(&folder, &mirrors);
}

/// Mirrors end with the demo even when it has no chance to end them.
fn a_killed_demo_takes_its_mirrors_along(folder: &Folder, mirrors: &[String]) {
    let mut demo = Demo::start(folder);
    demo.0.kill().unwrap();
    demo.0.wait().unwrap();
    gone(mirrors);
    let left = format!("nearmost-demo-{}", demo.0.id());
    std::fs::remove_dir_all(std::env::temp_dir().join(left)).unwrap();
}

/// A running demo; killed when dropped.
struct Demo(Child, Lines);

impl Demo {
    /// Starts it and waits until it has printed everything.
    fn start(folder: &Folder) -> Self {
        let mut child = folder
            .command(&["demo", "--listen", "127.0.0.1:0"])
            .spawn()
            .unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        // Its log must not fill the pipe.
        let _ = Lines::of(child.stderr.take().unwrap());
        let demo = Self(child, out);
        demo.1.wait(&["End with Ctrl-C"]);
        demo
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn gone(mirrors: &[String]) {
    for mirror in mirrors {
        eventually("nobody listens any more", || {
            TcpStream::connect(mirror).err()
        });
    }
}
