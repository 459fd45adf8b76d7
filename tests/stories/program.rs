//! The program as a person runs it: in a folder, with arguments, and until it is stopped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::question::{Question, Reply};

/// When to give up on what must happen: longer than any machine stalls.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is something.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

/// The same for what may take as long as this.
pub fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < patience,
            "not within {patience:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Tells threads to end, also when the story fails.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A folder of a story's own, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nearmost-story-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A folder whose `nearmost.toml` says this.
    pub fn with(config: &str) -> Self {
        let folder = Self::new();
        folder.write("nearmost.toml", config);
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nearmost"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program said, and its exit code.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Runs a program to its end; one that does not end in time is killed, and the story fails.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = reading(child.stdout.take().unwrap());
        let err = reading(child.stderr.take().unwrap());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("still running: {command:?}: {}", err.join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Self {
            code: status.code().unwrap_or(-1),
            out: out.join().unwrap(),
            err: err.join().unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

fn reading(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = from.read_to_string(&mut text);
        text
    })
}

/// The lines that a running program has said so far.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    pub fn of(from: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let ours = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                ours.0.0.lock().unwrap().push(line);
                ours.0.1.notify_all();
            }
        });
        lines
    }

    /// The first line that holds all these words; waits for it.
    pub fn wait(&self, words: &[&str]) -> String {
        self.look(words, PATIENCE)
            .unwrap_or_else(|| panic!("no line with {words:?} in:\n{}", self.text()))
    }

    fn look(&self, words: &[&str], patience: Duration) -> Option<String> {
        let holds = |line: &&String| words.iter().all(|word| line.contains(word));
        let (lines, changed) = &*self.0;
        let (lines, _) = changed
            .wait_timeout_while(lines.lock().unwrap(), patience, |lines| {
                !lines.iter().any(|line| holds(&line))
            })
            .unwrap();
        lines.iter().find(holds).cloned()
    }

    pub fn text(&self) -> String {
        self.0.0.lock().unwrap().join("\n")
    }
}

/// A running server; killed when dropped.
pub struct Server {
    pub folder: Arc<Folder>,
    pub address: SocketAddr,
    pub log: Lines,
    child: Child,
}

impl Server {
    /// Starts a server with this configuration, which listens on port 0, and waits until it answers.
    pub fn start(config: &str) -> Self {
        Self::start_in(&Arc::new(Folder::with(config)))
    }

    /// Starts a server in a folder and waits until it answers.
    pub fn start_in(folder: &Arc<Folder>) -> Self {
        Self::start_as(folder, &mut folder.command(&["serve"]))
    }

    /// Starts a server by this command and waits until it answers.
    pub fn start_as(folder: &Arc<Folder>, command: &mut Command) -> Self {
        let mut server = Self::starting_as(folder, ([127, 0, 0, 1], 0).into(), command);
        let line = eventually("the server answers or ends", || {
            let line = server.log.look(&["answering on "], Duration::ZERO);
            match (line, server.child.try_wait().unwrap()) {
                (Some(line), _) => Some(line),
                (None, Some(_)) => panic!("it has ended"),
                (None, None) => None,
            }
        });
        let address = line.split("answering on ").nth(1).unwrap();
        server.address = address.split(',').next().unwrap().parse().unwrap();
        server
    }

    /// Starts a server that will listen on this address, and does not wait for it.
    pub fn starting(folder: &Arc<Folder>, address: SocketAddr) -> Self {
        Self::starting_as(folder, address, &mut folder.command(&["serve"]))
    }

    fn starting_as(folder: &Arc<Folder>, address: SocketAddr, command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self {
            folder: Arc::clone(folder),
            address,
            log: Lines::of(child.stderr.take().unwrap()),
            child,
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.folder.run(arguments)
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// Asks over UDP.
    pub fn ask(&self, question: &Question) -> Reply {
        question.by_udp(self.address)
    }

    /// The one address that a client in this network is given.
    pub fn given(&self, net: &str) -> String {
        self.ask(&Question::a("get.example.org").from(net)).one()
    }

    /// Waits until a client in this network is given this address.
    pub fn gives(&self, net: &str, address: &str) {
        let mut last = String::new();
        let what = format!("{net} is given {address}");
        eventually(&what, || {
            last = self.given(net);
            (last == address).then_some(())
        });
    }

    pub fn dig(&self, arguments: &[&str]) -> Ran {
        dig(self.address, arguments)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop as a service manager does; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        terminate(&self.child);
        wait(&mut self.child)
    }

    /// Kills it without a chance to clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log.text());
        }
    }
}

/// `dig` at a server.
pub fn dig(server: SocketAddr, arguments: &[&str]) -> Ran {
    Ran::of(
        Command::new("dig")
            .args(["-r", "+norec", "+tries=1", "+time=10"])
            .arg(format!("@{}", server.ip()))
            .args(["-p", &server.port().to_string()])
            .args(arguments),
    )
}

/// Tells a child that has not been waited for to stop.
pub fn terminate(child: &Child) {
    signal(child, "TERM");
}

/// Sends a signal to a child that has not been waited for.
pub fn signal(child: &Child, signal: &str) {
    let kill = format!("kill -{signal} {}", child.id());
    let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(status.success());
}

/// The processes that were to take over, as a log tells.
pub fn successors(log: &str) -> Vec<u32> {
    let pid = |line: &str| {
        let words = line.split_once("INFO process ")?.1;
        words.split(' ').next()?.parse().ok()
    };
    log.lines().filter_map(pid).collect()
}

/// Sends a signal to a process that a server of ours has started, if it is still there.
pub fn kill(process: u32, signal: &str) {
    let _ = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {process} 2>/dev/null")])
        .status();
}

/// Waits for a child's end; its exit code.
pub fn wait(child: &mut Child) -> Option<i32> {
    let status = eventually("the process ends", || child.try_wait().unwrap());
    status.code()
}

/// A program of another package; a line is printed where it is missing, and the story fails where all are required.
pub fn other(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Says that a story is not told, or fails where all are required.
pub fn skip(why: &str) {
    let all = std::env::var_os("NEARMOST_REQUIRE_ALL").is_some();
    assert!(!all, "required, but {why}");
    eprintln!("skipped: {why}");
}

/// A file of this repository.
pub fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
