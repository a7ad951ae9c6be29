//! A connection whose writes leave together. `h2` writes each frame of 16 kB by itself and flushes behind it, so that each is a
//! call of the kernel.
//!
//! What is written is copied together until there is no more room. A flush is put off until the task of the connection is
//! polled again, which it asks for: then everything leaves before the connection waits for something to read. So nothing is
//! kept back while both ends wait, in the handshake of TLS as little as later. A shutdown puts nothing off.
//!
//! For connections that one task reads and writes, reading whenever it is polled, and whose own flush does nothing: HTTP/2 over
//! TCP, with TLS between or not. Halves with a task each would lose wake-ups.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection and what is to be written on it.
#[derive(Debug)]
pub(super) struct Gather<T> {
    inner: T,
    /// What is written to this and not to `inner`, but for the first `gone` octets.
    buffer: Vec<u8>,
    gone: usize,
    /// Most octets of `buffer`.
    room: usize,
    /// Whether `inner` would take no more when last asked; the task is woken when it does.
    is_blocked: bool,
}

impl<T: AsyncWrite + Unpin> Gather<T> {
    /// Puts up to `room` octets together.
    pub(super) fn new(inner: T, room: usize) -> Gather<T> {
        Gather { inner, buffer: Vec::with_capacity(room), gone: 0, room, is_blocked: false }
    }

    /// Writes everything to `inner`.
    fn poll_empty(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gone < self.buffer.len() {
            let written = Pin::new(&mut self.inner).poll_write(context, &self.buffer[self.gone..]);
            self.is_blocked = written.is_pending();
            match ready!(written)? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                octets => self.gone += octets,
            }
        }
        self.buffer.clear();
        self.gone = 0;
        Poll::Ready(Ok(()))
    }

    /// Makes room for `octets`; whether there is as much.
    fn poll_room(&mut self, context: &mut Context<'_>, octets: usize) -> Poll<io::Result<bool>> {
        if self.buffer.len() + octets > self.room {
            ready!(self.poll_empty(context))?;
        }
        Poll::Ready(Ok(octets <= self.room))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(context, out);
        if read.is_pending()
            && let Poll::Ready(Err(error)) = self.poll_empty(context)
        {
            return Poll::Ready(Err(error));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !ready!(self.poll_room(context, octets.len()))? {
            return Pin::new(&mut self.inner).poll_write(context, octets);
        }
        self.buffer.extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let octets = parts.iter().map(|part| part.len()).sum();
        if !ready!(self.poll_room(context, octets))? {
            return Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        }
        parts.iter().for_each(|part| self.buffer.extend_from_slice(part));
        Poll::Ready(Ok(octets))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_blocked {
            ready!(self.poll_empty(context))?;
        }
        if !self.buffer.is_empty() {
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use proptest::prelude::*;
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    const ROOM: usize = 1_000;

    /// Whether a task is to be polled.
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Polls those that are woken until all have ended; panics where none is woken before.
    fn run(tasks: [Pin<&mut dyn Future<Output = ()>>; 2]) {
        let mut running = Vec::from(tasks.map(|task| (task, Arc::new(Woken(AtomicBool::new(true))))));
        while !running.is_empty() {
            assert!(
                running.iter().any(|(_, woken)| woken.0.load(Ordering::Relaxed)),
                "all wait for each other"
            );
            running.retain_mut(|(task, woken)| {
                !woken.0.swap(false, Ordering::Relaxed)
                    || task
                        .as_mut()
                        .poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken))))
                        .is_pending()
            });
        }
    }

    /// What is done with a connection.
    #[derive(Clone, Debug)]
    enum Step {
        Write(usize),
        /// Two slices at once.
        WriteBoth(usize, usize),
        Flush,
    }

    fn step() -> impl Strategy<Value = Step> {
        let len = 1..2 * ROOM;
        prop_oneof![
            len.clone().prop_map(Step::Write),
            (0..ROOM, len).prop_map(|(one, other)| Step::WriteBoth(one, other)),
            Just(Step::Flush),
        ]
    }

    /// A task that reads before it writes and flushes at last, as HTTP/2 does; ends with the answer of the peer.
    async fn connection(mut io: Gather<DuplexStream>, steps: Vec<Step>, octets: &[u8]) {
        let mut rest = octets;
        let mut steps = steps.into_iter().chain([Step::Flush]).peekable();
        poll_fn(|context| {
            let mut answer = [0];
            if Pin::new(&mut io).poll_read(context, &mut ReadBuf::new(&mut answer))?.is_ready() {
                return Poll::Ready(Ok(()));
            }
            while let Some(step) = steps.peek_mut() {
                let written = match step {
                    Step::Flush => {
                        ready!(Pin::new(&mut io).poll_flush(context))?;
                        steps.next();
                        continue;
                    }
                    Step::Write(len) => ready!(Pin::new(&mut io).poll_write(context, &rest[..*len]))?,
                    Step::WriteBoth(one, other) => {
                        let (first, second) = (&rest[..*one], &rest[*one..*one + *other]);
                        let both = [IoSlice::new(first), IoSlice::new(second)];
                        ready!(Pin::new(&mut io).poll_write_vectored(context, &both))?
                    }
                };
                rest = &rest[written..];
                let left = len(step) - written;
                *step = Step::Write(left);
                if left == 0 {
                    steps.next();
                }
            }
            Poll::<io::Result<()>>::Pending
        })
        .await
        .unwrap();
    }

    fn len(step: &Step) -> usize {
        match step {
            Step::Write(len) => *len,
            Step::WriteBoth(one, other) => one + other,
            Step::Flush => 0,
        }
    }

    /// Reads `octets` in pieces of `piece`, with a rest after each, and answers.
    async fn peer(mut io: DuplexStream, octets: &[u8], piece: usize) {
        let mut read = Vec::new();
        let mut rested = false;
        poll_fn(|context| {
            while read.len() < octets.len() {
                rested = !rested;
                if rested {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let mut room = vec![0; piece];
                let mut room = ReadBuf::new(&mut room);
                ready!(Pin::new(&mut io).poll_read(context, &mut room))?;
                assert!(!room.filled().is_empty(), "the end comes early");
                read.extend_from_slice(room.filled());
            }
            Pin::new(&mut io).poll_write(context, b"!").map_ok(drop)
        })
        .await
        .unwrap();
        assert_eq!(read, octets);
    }

    proptest! {
        #[test]
        fn all_octets_come_in_order_and_none_is_kept_back(
            steps in proptest::collection::vec(step(), 1..30),
            pipe in 1..3 * ROOM,
            piece in 1..ROOM,
        ) {
            let octets: Vec<u8> = (0..=250).cycle().take(steps.iter().map(len).sum()).collect();
            let (near, far) = duplex(pipe);
            let connection = pin!(connection(Gather::new(near, ROOM), steps, &octets));
            run([connection, pin!(peer(far, &octets, piece))]);
        }
    }

    fn unwoken() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn arrived(far: &mut DuplexStream) -> usize {
        let mut room = [0; 10 * ROOM];
        let mut room = ReadBuf::new(&mut room);
        let _ = Pin::new(far).poll_read(&mut unwoken(), &mut room);
        room.filled().len()
    }

    #[test]
    fn writes_leave_together_when_there_is_no_room_or_nothing_to_read() {
        let (near, mut far) = duplex(10 * ROOM);
        let mut io = Gather::new(near, ROOM);
        let mut write = |io: &mut Gather<DuplexStream>| {
            assert!(Pin::new(&mut *io).poll_write(&mut unwoken(), &[7; 300]).is_ready());
            assert!(Pin::new(io).poll_flush(&mut unwoken()).is_ready());
            arrived(&mut far)
        };
        assert_eq!([0; 5].map(|_| write(&mut io)), [0, 0, 0, 900, 0]);
        let mut room = [0];
        assert!(Pin::new(&mut io).poll_read(&mut unwoken(), &mut ReadBuf::new(&mut room)).is_pending());
        assert_eq!(arrived(&mut far), 600);
    }

    #[test]
    fn a_flush_waits_while_the_connection_takes_no_more() {
        let (near, mut far) = duplex(100);
        let mut io = Gather::new(near, ROOM);
        assert!(Pin::new(&mut io).poll_write(&mut unwoken(), &[7; 150]).is_ready());
        let mut room = [0];
        assert!(Pin::new(&mut io).poll_read(&mut unwoken(), &mut ReadBuf::new(&mut room)).is_pending());
        assert!(Pin::new(&mut io).poll_flush(&mut unwoken()).is_pending());
        assert_eq!(arrived(&mut far), 100);
        assert!(Pin::new(&mut io).poll_flush(&mut unwoken()).is_ready());
        assert_eq!(arrived(&mut far), 50);
    }

    #[test]
    fn a_shutdown_and_a_write_beyond_the_room_put_nothing_off() {
        let (near, mut far) = duplex(10 * ROOM);
        let mut io = Gather::new(near, ROOM);
        assert!(Pin::new(&mut io).poll_write(&mut unwoken(), &[7; 10]).is_ready());
        assert!(Pin::new(&mut io).poll_write(&mut unwoken(), &[7; ROOM + 1]).is_ready());
        assert_eq!(arrived(&mut far), ROOM + 11);
        assert!(Pin::new(&mut io).poll_write(&mut unwoken(), &[7; 10]).is_ready());
        assert!(Pin::new(&mut io).poll_shutdown(&mut unwoken()).is_ready());
        assert_eq!(arrived(&mut far), 10);
    }
}
