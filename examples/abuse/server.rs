//! The real server with a signed zone and TLS, in a folder of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::certificates::Authority;
use crate::crowd::{self, Doors};

/// Killed when dropped, and its folder removed.
pub(crate) struct Server {
    pub(crate) doors: Doors,
    /// The certificate of its authority, PEM.
    pub(crate) authority: String,
    program: PathBuf,
    folder: PathBuf,
    child: Child,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(program: PathBuf) -> Self {
        let folder = std::env::temp_dir().join(format!("nearmost-abuse-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let authority = Authority::new("abuse");
        let (cert, key) = authority.pair(&[crowd::NAME]);
        let files = [
            ("nearmost.toml", crowd::config()),
            ("zones/large.example.zone", crowd::large_zone()),
            ("tls/cert.pem", cert),
            ("tls/key.pem", key),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let made = run(&program, &folder, &["keys", "new", crowd::POOL]);
        assert!(made.is_ok(), "{made:?}");
        let mut child = Command::new(&program)
            .arg("serve")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, lines) = channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        // Whatever else it says is read too, so that it never waits for us.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if line.contains("WARN") || line.contains("ERROR") {
                    eprintln!("{line}");
                }
                let _ = told.send(line);
            }
        });
        let [plain, dot, doh] = ["answering on ", "DNS over TLS on ", "DNS over HTTPS on "]
            .map(|words| listens(&lines, words));
        Self {
            doors: Doors { plain, dot, doh },
            authority: authority.pem,
            program,
            folder,
            child,
        }
    }

    /// Kilobytes of memory that it has now.
    pub(crate) fn memory(&self) -> u64 {
        crowd::memory(self.child.id())
    }

    /// What one of its counters says.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let status = run(&self.program, &self.folder, &["status", "--json"]).unwrap();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["counters"][name].as_u64().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn listens(lines: &Receiver<String>, words: &str) -> SocketAddr {
    loop {
        let line = lines.recv_timeout(Duration::from_secs(30));
        let line = line.expect("the server answers");
        if let Some((_, address)) = line.split_once(words) {
            return address.split(',').next().unwrap().parse().unwrap();
        }
    }
}

/// What it prints; or what it says on standard error.
fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    match ran.status.success() {
        true => Ok(text(ran.stdout)),
        false => Err(text(ran.stderr)),
    }
}
