//! A command of the operator's own: its exit status is the verdict, its first line the words.
//!
//! No shell. It runs in a process group of its own, which is killed as a whole when the command has ended, its time is
//! over or nobody waits for it any more: no process stays behind, but for one that has left the group on purpose.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::words;
use crate::health::Check;

/// As much of the output is kept; the rest is read and forgotten, so that the command is not held up.
const OUTPUT: usize = 4096;

/// For the output's end once the command has ended: only a process that left the group still holds it open then.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A command with all its words filled in.
#[derive(Debug)]
pub(super) struct Exec {
    words: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Exec {
    /// The command of a check: `{address}`, `{host}` and `{port}` in its arguments are replaced.
    pub(super) fn new(check: &Check, command: &[String]) -> Self {
        let port = match check.probe.port {
            0 => String::new(),
            port => port.to_string(),
        };
        let address = check.address.to_string();
        let fill = |(place, word): (usize, &String)| match place {
            0 => word.clone(),
            _ => filled(
                word,
                &[
                    ("address", &address),
                    ("host", &check.host),
                    ("port", &port),
                ],
            ),
        };
        Self {
            words: command.iter().enumerate().map(fill).collect(),
            environment: vec![
                ("NEARMOST_HOST", check.host.clone()),
                ("NEARMOST_NODE", check.node.clone()),
                ("NEARMOST_ADDRESS", address),
                ("NEARMOST_PORT", port),
            ],
        }
    }

    /// Runs it once.
    pub(super) async fn run(&self, patience: Duration) -> Result<(), String> {
        match timeout(patience, self.ended()).await {
            Ok(Ok((status, output))) => judge(status, &output),
            Ok(Err(error)) => Err(not_run(&error)),
            Err(_) => Err(words::took_too_long(patience)),
        }
    }

    async fn ended(&self) -> io::Result<(ExitStatus, Vec<u8>)> {
        let (mut group, mut pipe) = self.start()?;
        let mut output = Vec::new();
        let status = tokio::select! {
            status = group.0.wait() => status?,
            error = keep_reading(&mut pipe, &mut output) => return Err(error),
        };
        group.kill();
        // What it wrote is in the pipe.
        let _ = timeout(LAST_WORDS, read_all(&mut pipe, &mut output)).await;
        Ok((status, output))
    }

    /// The running command, and the end of a pipe that takes all it says.
    fn start(&self) -> io::Result<(Group, Receiver)> {
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let (output, input) = io::pipe()?;
        let output = Receiver::from_owned_fd(output.into())?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .process_group(0)
            .kill_on_drop(true);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        // Signals that wait for us are not to wait for the command too.
        let ours = SigSet::thread_get_mask()?;
        SigSet::empty().thread_set_mask()?;
        let child = command.spawn();
        ours.thread_set_mask()?;
        // The command holds our copies of the pipe's other end: they are closed when it is dropped here.
        Ok((Group(child?, None).named(), output))
    }
}

/// A running command and its process group.
struct Group(Child, Option<Pid>);

impl Group {
    fn named(mut self) -> Self {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        self.1 = id.map(Pid::from_raw);
        self
    }

    /// Kills what is left of the group. Its number is nobody else's as long as it has members, nor soon after.
    fn kill(&mut self) {
        if let Some(group) = self.1.take() {
            // None left is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    /// The command itself is reaped by tokio.
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end.
async fn read_all(pipe: &mut Receiver, kept: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0; 1024];
    loop {
        let count = pipe.read(&mut part).await?;
        if count == 0 {
            return Ok(());
        }
        let room = OUTPUT - kept.len();
        kept.extend_from_slice(&part[..count.min(room)]);
    }
}

/// Reads to the end and goes on waiting; it returns only on an error.
async fn keep_reading(pipe: &mut Receiver, kept: &mut Vec<u8>) -> io::Error {
    match read_all(pipe, kept).await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

fn judge(status: ExitStatus, output: &[u8]) -> Result<(), String> {
    if status.success() {
        return Ok(());
    }
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "no exit status".to_owned(),
    };
    let output = String::from_utf8_lossy(output);
    let line = output.lines().map(str::trim).find(|l| !l.is_empty());
    Err(match line {
        Some(line) => format!("{line} ({ended})"),
        None => ended,
    })
}

fn not_run(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "not probed: there is no such command".into(),
        io::ErrorKind::PermissionDenied => "not probed: the command may not be run".into(),
        _ => format!("not probed: the command cannot be run: {error}"),
    }
}

/// `text` with each `{name}` replaced, in one pass: what is put in is not looked at again.
pub(super) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let value = values.iter().find_map(|(name, value)| {
            let after = from[1..].strip_prefix(name)?.strip_prefix('}')?;
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        let values = [("host", "{port}"), ("port", "80")];
        assert_eq!(
            filled("{host}:{port}/{x}{{port}", &values),
            "{port}:80/{x}{80"
        );
        assert_eq!(filled("a{", &values), "a{");
    }
}
