//! What a probe says when it failed: one short line, for the operator who is woken by it.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::time::Duration;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No connection yet.
    Connecting,
    /// The connection stands, TLS does not.
    Handshake,
    /// The question is sent; status and headers are not here yet.
    Waiting,
    /// Status and headers are here.
    Reading,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "while connecting",
            Self::Handshake => "in the TLS handshake",
            Self::Waiting => "while waiting for the answer",
            Self::Reading => "while reading the body",
        })
    }
}

/// Longer lines are cut: parts of them are chosen by the node.
const LONGEST: usize = 240;

/// The probe's own end of patience.
pub(super) fn timed_out(after: Duration, phase: Phase) -> String {
    format!("{} {phase}", took_too_long(after))
}

/// The same where there are no phases.
pub(super) fn took_too_long(after: Duration) -> String {
    let ms = after.as_millis();
    if ms.is_multiple_of(1000) {
        format!("timed out after {} s", ms / 1000)
    } else {
        format!("timed out after {ms} ms")
    }
}

/// What the kernel said.
pub(super) fn io(error: &Error, phase: Phase) -> String {
    // Linux's numbers of the two errors that std has no kind for.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    if let Some(ENFILE | EMFILE) = error.raw_os_error() {
        return "not probed: no file descriptor left on this server, raise its limit of open files"
            .into();
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::ConnectionReset => format!("connection reset {phase}"),
        ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => format!("connection closed {phase}"),
        ErrorKind::HostUnreachable => "no route to host".into(),
        ErrorKind::NetworkUnreachable => "network unreachable".into(),
        ErrorKind::TimedOut => format!("timed out by the kernel {phase}"),
        ErrorKind::AddrNotAvailable => {
            "not probed: no local address or port left to connect from".into()
        }
        ErrorKind::PermissionDenied => "not probed: this server may not connect there".into(),
        _ => format!("{error} {phase}"),
    }
}

/// `text` as one line of bounded length, whatever a node put into it.
pub(super) fn line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_name_their_length_and_phase() {
        let after = |ms| timed_out(Duration::from_millis(ms), Phase::Handshake);
        assert_eq!(after(4000), "timed out after 4 s in the TLS handshake");
        assert_eq!(after(1500), "timed out after 1500 ms in the TLS handshake");
    }

    #[test]
    fn the_kernel_in_words() {
        let said = |number| io(&Error::from_raw_os_error(number), Phase::Connecting);
        assert_eq!(said(111), "connection refused");
        assert_eq!(said(113), "no route to host");
        assert_eq!(said(101), "network unreachable");
        assert_eq!(said(104), "connection reset while connecting");
        assert!(said(24).contains("no file descriptor left"), "{}", said(24));
    }

    #[test]
    fn a_line_is_one_line_and_ends() {
        assert_eq!(line("a\r\nb\u{1b}[31m"), "a  b [31m");
        assert_eq!(line(&"x".repeat(1000)).chars().count(), LONGEST + 1);
    }
}
