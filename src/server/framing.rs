//! Messages in a stream: each is preceded by its length in two octets (RFC 1035 4.2.2), and nothing keeps a length and its
//! message in one segment (RFC 7766 8).

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::answer::LONGEST;
use crate::wire::HEADER;

/// Octets that stand for the length.
const PREFIX: usize = 2;
/// Octets taken from the system at once.
const READ: usize = 16 * 1024;

thread_local! {
    /// Where the system puts octets: one for each thread, so that a connection that says nothing holds no buffer.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// What was received and not yet taken: it grows with what arrives, never with what is announced, and never beyond one
/// message of the greatest length.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    octets: Vec<u8>,
    taken: usize,
}

/// What stands next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'i> {
    /// A whole message.
    Message(&'i [u8]),
    /// Less than a whole message, or nothing.
    Incomplete,
    /// A length too small for a header: whatever follows, its borders cannot be trusted. NSD gives up here as well.
    Nonsense,
}

impl Inbox {
    /// Waits for more of the stream and returns how many octets came: 0 at its end. Nothing is lost when dropped.
    /// All whole messages have been taken before. While nothing is left of any, no memory is held.
    pub(super) async fn fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        self.octets.drain(..self.taken);
        self.taken = 0;
        if self.octets.is_empty() {
            self.octets = Vec::new();
        }
        poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|scratch| {
                let room = (PREFIX + LONGEST - self.octets.len()).min(scratch.len());
                let mut buf = ReadBuf::new(&mut scratch[..room]);
                ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf))?;
                self.push(buf.filled());
                Poll::Ready(Ok(buf.filled().len()))
            })
        })
        .await
    }

    fn push(&mut self, more: &[u8]) {
        let len = self.octets.len();
        if self.octets.capacity() - len < more.len() {
            // Twice as much, as a vector does by itself, but not beyond the longest message.
            let room = (PREFIX + LONGEST).saturating_sub(len);
            self.octets.reserve_exact(len.min(room).max(more.len()));
        }
        self.octets.extend_from_slice(more);
    }

    /// Takes the next message.
    pub(super) fn take(&mut self) -> Next<'_> {
        let rest = &self.octets[self.taken..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() else {
            return Next::Incomplete;
        };
        let len = usize::from(u16::from_be_bytes(*prefix));
        if len < HEADER {
            return Next::Nonsense;
        }
        match rest.get(..len) {
            Some(message) => {
                self.taken += PREFIX + len;
                Next::Message(message)
            }
            None => Next::Incomplete,
        }
    }

    /// Whether nothing is left, not even a part of a message.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.octets.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = Vec::new();
        for message in messages {
            let len = u16::try_from(message.len()).expect("a message is short");
            octets.extend_from_slice(&len.to_be_bytes());
            octets.extend_from_slice(message);
        }
        octets
    }

    async fn received(mut stream: impl AsyncRead + Unpin) -> (Vec<Vec<u8>>, usize) {
        let (mut inbox, mut messages, mut most) = (Inbox::default(), Vec::new(), 0);
        while inbox.fill(&mut stream).await.expect("a read") != 0 {
            most = most.max(inbox.octets.capacity());
            while let Next::Message(message) = inbox.take() {
                messages.push(message.to_vec());
            }
        }
        (messages, most)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }.build().expect("a runtime").block_on(future)
    }

    /// A stream in pieces of the given lengths, then in one.
    struct Pieces<'a>(&'a [u8], std::vec::IntoIter<usize>);

    impl AsyncRead for Pieces<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let len = self.1.next().unwrap_or(usize::MAX);
            let (now, later) = self.0.split_at(len.min(self.0.len()).min(buf.remaining()));
            buf.put_slice(now);
            self.0 = later;
            Poll::Ready(Ok(()))
        }
    }

    proptest! {
        #[test]
        fn borders_of_segments_do_not_matter(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 12..400), 0..20),
            pieces in prop::collection::vec(1usize..300, 0..40),
        ) {
            let octets = framed(&messages);
            let (all, _) = block_on(received(Pieces(&octets, pieces.into_iter())));
            prop_assert_eq!(all, messages);
        }
    }

    #[test]
    fn no_more_is_held_than_the_longest_message() {
        let messages = vec![vec![7; LONGEST], vec![8; LONGEST], vec![9; 12]];
        let octets = framed(&messages);
        for piece in [1, 1000, usize::MAX] {
            let pieces = vec![piece; octets.len() / piece.min(octets.len()) + 1];
            let (all, most) = block_on(received(Pieces(&octets, pieces.into_iter())));
            assert!(all == messages);
            assert!(most <= PREFIX + LONGEST, "{most} octets held");
        }
    }

    #[test]
    fn an_announced_length_costs_nothing() {
        let mut inbox = Inbox::default();
        inbox.push(&[0xff, 0xff]);
        assert_eq!(inbox.take(), Next::Incomplete);
        assert!(inbox.octets.capacity() < 64);
    }

    #[test]
    fn a_length_too_small_for_a_header_is_nonsense() {
        for len in [0, 11] {
            let mut inbox = Inbox::default();
            inbox.push(&[0, len]);
            inbox.push(&[0; 11]);
            assert_eq!(inbox.take(), Next::Nonsense);
        }
    }
}
