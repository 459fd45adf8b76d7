//! One connection: its messages are answered in the order they come, in one task, until one of the two sides has had enough.
//!
//! ```text
//!   read -> take whole messages -> answer each -> write the replies together -> more in the inbox? -> read ...
//!     |            |                                 |
//!     |            +-- nonsense, panic: write, close +-- not taken in time: close
//!     +-- end of stream, too slow, too old: close
//! ```
//!
//! Nothing is read while replies wait to be written: who does not read is not read from. What a connection holds is one
//! incomplete message and one batch of replies at most; between questions, no buffer at all.

use std::collections::hash_map::RandomState;
use std::future::ready;
use std::hash::BuildHasher;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::connections::Activity;
use super::framing::{Inbox, Next};
use super::service::Service;
use crate::answer::LONGEST;
use crate::transfer::Outgoing;

/// Replies are written when there are this many octets of them; one more reply may follow.
const BATCH: usize = 16 * 1024;
/// Time for all of a zone, however slowly each message is taken.
const ZONE: Duration = Duration::from_secs(3600);
/// Octets of the length before a message.
const PREFIX: usize = 2;
/// Octets still read from a client that talks nonsense, so that the replies it has earned reach it.
const FAREWELL: u64 = 64 * 1024;

/// One connection's side of the talk.
pub(super) struct Talk<'s> {
    service: &'s Service,
    source: IpAddr,
    activity: Activity,
    inbox: Inbox,
    /// The transfer that comes next.
    granted: Option<Outgoing>,
    /// Whole messages so far.
    messages: u64,
    draws: RandomState,
}

/// Why a batch of replies ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There is no whole message left.
    Drained,
    /// It is large enough.
    Full,
    /// A transfer comes next.
    Transfer,
    /// Nothing that follows can be answered.
    Close,
}

impl<'s> Talk<'s> {
    /// With the client at `source`.
    pub(super) fn new(service: &'s Service, source: IpAddr, activity: Activity) -> Self {
        Self {
            service,
            source: source.to_canonical(),
            activity,
            inbox: Inbox::default(),
            granted: None,
            messages: 0,
            draws: RandomState::new(),
        }
    }

    /// Answers until the client ends the stream, a deadline passes, or the stream breaks. To close is then enough:
    /// everything received was answered and nothing is left unread, so replies on their way still arrive.
    pub(super) async fn run(mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
        let limits = &self.service.limits;
        // The runtime's own clock: it is the one that wakes us.
        let start = Instant::now();
        let (end, mut deadline) = (start + limits.total, start + limits.idle);
        while Instant::now() < end {
            let (fresh, before) = (self.inbox.is_empty(), self.messages);
            let filled = timeout_at(deadline.min(end), self.inbox.fill(stream)).await;
            let Ok(Ok(1..)) = filled else { return };
            if self.reply(stream).await == End::Close {
                return;
            }
            // Octets of a message that has begun before buy no time.
            if fresh || self.messages != before {
                let idle = self.inbox.is_empty();
                deadline = Instant::now() + if idle { limits.idle } else { limits.message };
            }
        }
    }

    /// Answers all whole messages of the inbox, [`End::Drained`] unless this is the end of the connection.
    async fn reply(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> End {
        let mut written = false;
        loop {
            let mut replies = Vec::new();
            let end = self.batch(&mut replies);
            if !replies.is_empty() {
                if self.write(stream, &replies).await.is_err() {
                    self.service.counters.send_errors.count();
                    return End::Close;
                }
                written = true;
            }
            match end {
                End::Drained => {
                    if written {
                        self.activity.mark();
                    }
                    return end;
                }
                // Who asks a lot at once takes turns with the others.
                End::Full => tokio::task::yield_now().await,
                End::Transfer => {
                    if self.transfer(stream).await.is_err() {
                        return End::Close;
                    }
                    written = true;
                }
                End::Close => {
                    self.farewell(stream).await;
                    return end;
                }
            }
        }
    }

    /// Sends a zone, a message whenever the one before was taken.
    async fn transfer(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let Some(mut outgoing) = self.granted.take() else {
            return Ok(());
        };
        // Room of the system's that is not touched is not taken.
        let mut buffer = vec![0; PREFIX + LONGEST];
        let end = Instant::now() + ZONE;
        loop {
            let len = outgoing.message(&mut buffer[PREFIX..]);
            if len == 0 {
                break;
            }
            if Instant::now() > end {
                outgoing.counts.broken.count();
                return Err(ErrorKind::TimedOut.into());
            }
            buffer[..PREFIX].copy_from_slice(&u16::try_from(len).unwrap_or(0).to_be_bytes());
            if let Err(error) = self.write(stream, &buffer[..PREFIX + len]).await {
                self.service.counters.send_errors.count();
                outgoing.counts.broken.count();
                return Err(error);
            }
            self.activity.mark();
            // A large zone takes turns with the others.
            tokio::task::yield_now().await;
        }
        outgoing.has_ended();
        Ok(())
    }

    /// Nearly always the system takes all at once.
    async fn write(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        replies: &[u8],
    ) -> io::Result<()> {
        let mut write = pin!(async {
            stream.write_all(replies).await?;
            // TLS keeps what the system does not take.
            stream.flush().await
        });
        tokio::select! {
            biased;
            written = &mut write => written,
            () = ready(()) => {
                self.activity.stalled();
                timeout(self.service.limits.write, write).await?
            }
        }
    }

    /// Ends our half and reads a little more: to close with something unread would reset the connection, and the client
    /// lose replies that are on their way.
    async fn farewell(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
        let rest = async {
            stream.shutdown().await?;
            tokio::io::copy(&mut stream.take(FAREWELL), &mut tokio::io::sink()).await
        };
        // Nothing depends on whether that went well.
        let _: Result<io::Result<u64>, _> = timeout(self.service.limits.message, rest).await;
    }

    fn batch(&mut self, replies: &mut Vec<u8>) -> End {
        let (service, source) = (self.service, self.source);
        service.turn(|turn| {
            while replies.len() < BATCH {
                let packet = match self.inbox.take() {
                    Next::Message(packet) => packet,
                    Next::Incomplete => return End::Drained,
                    Next::Nonsense => return End::Close,
                };
                self.messages += 1;
                if let Some(outgoing) = turn.transfer(source, packet) {
                    self.granted = Some(outgoing);
                    return End::Transfer;
                }
                let draw = self.draws.hash_one(self.messages);
                let Some((reply, _)) = turn.answer(source, packet, draw) else {
                    return End::Close;
                };
                push(replies, reply);
            }
            End::Full
        })
    }
}

fn push(replies: &mut Vec<u8>, reply: &[u8]) {
    let len = u16::try_from(reply.len()).expect("the buffer of replies is as long as the longest");
    if len > 0 {
        replies.extend_from_slice(&len.to_be_bytes());
        replies.extend_from_slice(reply);
    }
}
