//! The query log: a thread of its own takes what the others have left in the queue and writes it, a JSON object a line.
//!
//! However slow its file is, nobody waits for it: what finds no room in the queue meanwhile is dropped, and counted.

mod line;

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::handle::Handle;
use super::run::StartError;
use crate::clock::{Clock, utc};
use crate::config::{LogTo, QueryLog};
use crate::health::Time;
use crate::snapshot::{Asked, Current, Queue, Snapshot, Waiting};
use line::Line;

/// Time between looks at the queue.
const TURN: Duration = Duration::from_millis(20);
/// Time between looks whether the file is another, and between attempts to open it.
const LOOK: Duration = Duration::from_secs(1);
/// How long we wait for what may take for ever, as with a pipe that nobody reads: for the file to open at the start, and for the last lines
/// at the end.
const WAIT: Duration = Duration::from_secs(1);
/// Octets that are written at once, and one line more.
const CHUNK: usize = 64 * 1024;

/// The thread that writes. Dropping it has it write what is left.
#[derive(Debug)]
pub(super) struct Writing {
    stop: Option<Sender<()>>,
    done: Receiver<()>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It ends by letting go of the other side.
        let _ = self.done.recv_timeout(WAIT);
    }
}

/// A queue for so many threads or groups of threads; none where the log is off.
pub(super) fn queue(log: &QueryLog, threads: usize) -> Option<Arc<Queue>> {
    (log.to != LogTo::Off).then(|| Arc::new(Queue::new(threads, log.sample)))
}

/// Starts the thread, if the current generation has a queue.
///
/// # Errors
/// The file cannot be opened, or the system gives no thread.
pub(super) fn start(log: &QueryLog, handle: &Handle) -> Result<Option<Writing>, StartError> {
    let Some(queue) = handle.current().get().log.clone() else {
        return Ok(None);
    };
    let (current, clock) = (Arc::clone(&handle.0.current), handle.0.clock);
    let writing = begin(&log.to, queue, current, clock);
    let failed = |error: io::Error| {
        StartError::System(format!("the query log cannot go to {}: {error}", log.to))
    };
    writing.map(Some).map_err(failed)
}

fn begin(
    to: &LogTo,
    queue: Arc<Queue>,
    current: Arc<Current>,
    clock: Clock,
) -> io::Result<Writing> {
    let path = match to {
        LogTo::Off | LogTo::Stdout => None,
        LogTo::File(path) => Some(path.clone()),
    };
    let ((stop, stopped), (end, done)) = (channel(), channel());
    let (tell, told) = channel();
    let write = move || {
        let to = path.map_or(Ok(To::Stdout), |path| {
            let file = open(&path)?;
            Ok(To::File(Target {
                path,
                file: Some(file),
                looked: clock.now(),
            }))
        });
        match to {
            Err(error) => drop(tell.send(error)),
            Ok(to) => {
                drop(tell);
                Writer::new(to, queue, current, clock).run(&stopped);
            }
        }
        drop(end);
    };
    std::thread::Builder::new()
        .name("querylog".into())
        .spawn(write)?;
    match told.recv_timeout(WAIT) {
        Ok(error) => Err(error),
        Err(_) => Ok(Writing {
            stop: Some(stop),
            done,
        }),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Where lines go.
#[derive(Debug)]
enum To {
    Stdout,
    File(Target),
}

#[derive(Debug)]
struct Target {
    path: PathBuf,
    /// None: it could not be opened or written.
    file: Option<File>,
    looked: Time,
}

impl Target {
    /// Opens the file where it is not open, or another stands there now: what turns logs over moves them away.
    fn look(&mut self, now: Time, torn: &mut bool) -> io::Result<()> {
        if now < self.looked + LOOK {
            return Ok(());
        }
        self.looked = now;
        let which = |about: &Metadata| (about.dev(), about.ino());
        let held = self.file.as_ref().and_then(|file| file.metadata().ok());
        let there = std::fs::metadata(&self.path).ok();
        if held.is_none() || held.as_ref().map(which) != there.as_ref().map(which) {
            *torn &= held.is_none();
            self.file = None;
            self.file = Some(open(&self.path)?);
        }
        Ok(())
    }
}

struct Writer {
    to: To,
    queue: Arc<Queue>,
    current: Arc<Current>,
    clock: Clock,
    newest: Arc<Snapshot>,
    /// The one before: threads may still have answered by it.
    older: Option<Arc<Snapshot>>,
    text: Vec<u8>,
    /// The last line in the file has no end.
    torn: bool,
    /// Something cannot be written, and that was said.
    failing: bool,
}

impl Writer {
    fn new(to: To, queue: Arc<Queue>, current: Arc<Current>, clock: Clock) -> Self {
        Self {
            to,
            queue,
            newest: current.get(),
            current,
            clock,
            older: None,
            text: Vec::new(),
            torn: false,
            failing: false,
        }
    }

    /// Writes until the other side of `stopped` is dropped.
    fn run(mut self, stopped: &Receiver<()>) {
        let (queue, mut spare) = (Arc::clone(&self.queue), Waiting::room());
        loop {
            let end = !matches!(stopped.recv_timeout(TURN), Err(RecvTimeoutError::Timeout));
            let newest = self.current.get();
            let other = newest.generation != self.newest.generation;
            if other {
                self.older = Some(std::mem::replace(&mut self.newest, newest));
            }
            queue.take(&mut spare, |asked| self.show(asked));
            if let To::File(target) = &mut self.to
                && let Err(error) = target.look(self.clock.now(), &mut self.torn)
            {
                self.failed(&error);
            }
            if !other {
                self.older = None;
            }
            if end {
                return;
            }
        }
    }

    fn show(&mut self, asked: &[Asked]) {
        let now = self.clock.now();
        let time = format!(
            "{}.{:03}Z",
            utc(now).replacen(' ', "T", 1),
            now.subsec_millis()
        );
        for asked in asked {
            let known = [Some(&self.newest), self.older.as_ref()];
            let of = known
                .into_iter()
                .flatten()
                .find(|of| of.generation == asked.generation);
            let line = Line::of(asked, &time, of.map(AsRef::as_ref));
            if serde_json::to_writer(&mut self.text, &line).is_ok() {
                self.text.push(b'\n');
            }
            if self.text.len() >= CHUNK {
                self.write();
            }
        }
        self.write();
    }

    /// Writes what is made, and counts the lines that are there then, and those that are not.
    fn write(&mut self) {
        let text = std::mem::take(&mut self.text);
        let mut rest = text.as_slice();
        let result = match &mut self.to {
            To::Stdout => put(&mut io::stdout().lock(), &mut rest, &mut self.torn),
            To::File(Target {
                file: Some(file), ..
            }) => put(file, &mut rest, &mut self.torn),
            // That was said.
            To::File(Target { file: None, .. }) => Ok(()),
        };
        let lines = |text: &[u8]| text.iter().filter(|octet| **octet == b'\n').count() as u64;
        let (all, lost) = (lines(&text), lines(rest));
        self.queue.written.add(all - lost);
        self.queue.dropped.add(lost);
        match result {
            Err(error) => self.failed(&error),
            Ok(()) if all > 0 && lost == 0 && self.failing => {
                self.failing = false;
                tracing::info!("the query log is written again");
            }
            Ok(()) => {}
        }
        self.text = text;
        self.text.clear();
    }

    /// Says so once, and opens the file again after a while.
    fn failed(&mut self, error: &io::Error) {
        if let To::File(target) = &mut self.to {
            target.file = None;
        }
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!("the query log cannot be written, lines are dropped: {error}");
        }
    }
}

/// Writes as much as it takes; what is left is in `rest`. A line that was begun before gets its end first.
fn put(to: &mut impl Write, rest: &mut &[u8], torn: &mut bool) -> io::Result<()> {
    if !rest.is_empty() && *torn {
        to.write_all(b"\n")?;
        *torn = false;
    }
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                *torn = rest[..written].last() != Some(&b'\n');
                *rest = &rest[written..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many octets, then there is no room.
    struct Small(Vec<u8>, usize);

    impl Write for Small {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let room = self.1 - self.0.len();
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let len = room.min(octets.len());
            self.0.extend_from_slice(&octets[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_gets_its_end_before_the_next() {
        let (mut small, mut torn) = (Small(Vec::new(), 3), false);
        let mut rest = &b"a\nbcd\n"[..];
        assert!(put(&mut small, &mut rest, &mut torn).is_err());
        assert_eq!((rest, torn), (&b"cd\n"[..], true));
        small.1 = 100;
        put(&mut small, &mut &b"e\n"[..], &mut torn).unwrap();
        assert_eq!((&small.0[..], torn), (&b"a\nb\ne\n"[..], false));
    }
}
