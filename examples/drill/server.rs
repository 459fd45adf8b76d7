//! The real server, its configuration, and what it logs.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::mirror::Mirror;

/// The TTL of the name: steady, and at least.
pub(crate) const TTL: &str = "20/2";

/// Ten mirrors that are about equally near to everybody, so that each has clients.
pub(crate) fn config(mirrors: &[Mirror]) -> String {
    let port = mirrors[0].port;
    let mut out = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\nttl = \"{TTL}\"\npools = {{ \"@\" = \"site\" }}\n\
         [pool.site]\nprobes = [\"web\"]\n\
         [probe.web]\nkind = \"https\"\nport = {port}\npath = \"/\"\nca = \"ca.pem\"\nexpect = {{ body = \"mirror of everything\" }}\n\
         every = \"1s\"\ntimeout = \"400ms\"\ndown = 3\nok = 6\nup = 6\n"
    );
    for (number, mirror) in (1..).zip(mirrors) {
        let ips: Vec<_> = mirror.ips.iter().map(|ip| format!("\"{ip}\"")).collect();
        out += &format!(
            "[node.m{number}]\nat = \"FRA\"\nip = [{}]\n",
            ips.join(", ")
        );
    }
    out
}

/// A folder of the drill's own, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("nearmost-drill-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lines with the time at which they came.
type Lines = Arc<(Mutex<Vec<(Instant, String)>>, Condvar)>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    lines: Lines,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(program: &Path, folder: &Path, config: &str) -> Self {
        let file = folder.join("nearmost.toml");
        std::fs::write(&file, config).unwrap();
        let begun = Instant::now();
        let mut child = Command::new(program)
            .arg("serve")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::default();
        let (ours, log) = (Arc::clone(&lines), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                ours.0.lock().unwrap().push((Instant::now(), line));
                ours.1.notify_all();
            }
        });
        let mut server = Self {
            address: ([127, 0, 0, 1], 0).into(),
            child,
            lines,
        };
        let line = server.wait(begun, &["answering on "], Duration::from_secs(30));
        let line = line.expect("the server answers").1;
        let address = line.split("answering on ").nth(1).unwrap();
        server.address = address.split(',').next().unwrap().parse().unwrap();
        server
    }

    /// The first line since some time that holds these words, and when it came; none if it does not come within `patience` from now.
    pub(crate) fn wait(
        &self,
        since: Instant,
        words: &[&str],
        patience: Duration,
    ) -> Option<(Instant, String)> {
        let holds = |line: &&(Instant, String)| {
            // `192.0.2.1` is not `192.0.2.10`.
            let held = |w: &&str| match w.contains(' ') {
                true => line.1.contains(*w),
                false => line.1.split(' ').any(|word| word == *w),
            };
            line.0 >= since && words.iter().all(held)
        };
        let (lines, changed) = &*self.lines;
        let (lines, _) = changed
            .wait_timeout_while(lines.lock().unwrap(), patience, |lines| {
                !lines.iter().any(|line| holds(&line))
            })
            .unwrap();
        lines.iter().find(holds).cloned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
