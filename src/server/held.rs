//! What a connection with many questions at one time holds for its client (HTTPS, QUIC): octets of questions that are not answered yet, and of replies that were
//! not taken yet. Each question has bounds of its own, but there may be a hundred of them: these are the bounds of all together.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::connections::Activity;
use crate::answer::LONGEST;

/// Octets of questions that are not answered: two of the longest.
const QUESTIONS: usize = 2 * (2 + LONGEST);
/// Octets of replies beyond which no question is read or answered until some are taken; one that a thread is at may follow.
const REPLIES: usize = 64 << 10;

/// What a connection holds.
pub(super) struct Held {
    activity: Activity,
    questions: AtomicUsize,
    replies: AtomicUsize,
    taken: Notify,
}

impl Held {
    /// Nothing yet.
    pub(super) fn new(activity: Activity) -> Arc<Self> {
        Arc::new(Self {
            activity,
            questions: AtomicUsize::new(0),
            replies: AtomicUsize::new(0),
            taken: Notify::new(),
        })
    }

    /// Waits until the client has taken enough for another question to be read, or for one that is whole to be answered.
    pub(super) async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            if self.replies.load(Ordering::SeqCst) < REPLIES {
                return;
            }
            self.stalled();
            taken.await;
        }
    }

    /// The client leaves replies unread, for now at least.
    pub(super) fn stalled(&self) {
        self.activity.stalled();
    }

    /// A question that begins to come.
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            held: self,
            octets: Vec::new(),
        }
    }

    /// A reply, which is held until it is dropped.
    pub(super) fn reply(self: &Arc<Self>, octets: Vec<u8>) -> Reply {
        self.replies.fetch_add(octets.len(), Ordering::SeqCst);
        Reply {
            held: Arc::clone(self),
            octets,
        }
    }
}

/// As much of a question as has come.
pub(super) struct Question<'h> {
    held: &'h Held,
    octets: Vec<u8>,
}

impl Question<'_> {
    /// Takes more of it, unless the client sends too much at one time.
    pub(super) fn push(&mut self, more: &[u8]) -> bool {
        let before = self.held.questions.fetch_add(more.len(), Ordering::SeqCst);
        if before + more.len() > QUESTIONS {
            self.held.questions.fetch_sub(more.len(), Ordering::SeqCst);
            return false;
        }
        self.octets.extend_from_slice(more);
        true
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let len = self.octets.len();
        self.held.questions.fetch_sub(len, Ordering::SeqCst);
    }
}

/// A reply that the client has not taken.
pub(super) struct Reply {
    held: Arc<Held>,
    octets: Vec<u8>,
}

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let len = self.octets.len();
        if self.held.replies.fetch_sub(len, Ordering::SeqCst) == len {
            self.held.activity.mark();
        }
        self.held.taken.notify_waiters();
    }
}

/// A stream whose client is seen to take nothing.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) held: Arc<Held>,
}

impl<S: Unpin> Watched<S> {
    fn inner(&mut self) -> Pin<&mut S> {
        Pin::new(&mut self.stream)
    }

    fn seen<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() {
            self.held.stalled();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write(cx, octets);
        self.seen(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write_vectored(cx, octets);
        self.seen(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.inner().poll_flush(cx);
        self.seen(written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Whether it is done at once.
    async fn done(work: impl Future) -> bool {
        tokio::select! {
            biased;
            _ = work => true,
            () = ready(()) => false,
        }
    }

    #[tokio::test]
    async fn who_has_taken_all_is_proven() {
        let held = Held::new(Activity::alone());
        let (first, second) = (held.reply(vec![0; 9]), held.reply(vec![0; 9]));
        drop(first);
        assert!(!held.activity.is_proven());
        drop(second);
        assert!(held.activity.is_proven());
    }

    #[tokio::test]
    async fn who_takes_nothing_waits_and_is_proven_no_more() {
        let held = Held::new(Activity::alone());
        drop(held.reply(vec![0; 9]));
        let small = held.reply(vec![0; REPLIES - 1]);
        assert!(done(held.room()).await && held.activity.is_proven());
        let other = held.reply(vec![0]);
        let waiting = held.room();
        tokio::pin!(waiting);
        assert!(!done(&mut waiting).await && !held.activity.is_proven());
        drop(other);
        assert!(done(&mut waiting).await);
        drop(small);
        assert!(held.activity.is_proven());
    }

    #[tokio::test]
    async fn questions_have_one_bound_together() {
        let held = Held::new(Activity::alone());
        let half = vec![7; QUESTIONS / 2];
        let (mut first, mut second) = (held.question(), held.question());
        assert!(first.push(&half) && second.push(&half));
        assert!(!second.push(&[7]) && !held.question().push(&[7]));
        assert_eq!(first.octets(), half);
        drop(first);
        let mut third = held.question();
        assert!(third.push(&half) && !third.push(&[7]));
        drop((second, third));
        assert_eq!(held.questions.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_write_that_waits_is_seen() {
        let held = Held::new(Activity::alone());
        held.activity.mark();
        let (stream, _client) = tokio::io::duplex(8);
        let mut stream = Watched {
            stream,
            held: Arc::clone(&held),
        };
        assert!(done(stream.write_all(&[1; 8])).await && held.activity.is_proven());
        assert!(!done(stream.write_all(&[1])).await && !held.activity.is_proven());
    }
}
