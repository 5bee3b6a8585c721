//! A connection of ours: plain TCP, or TLS over it. Both are read and written alike, by readiness, and by more than one at
//! a time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::net::Shutdown;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

use super::tls::TlsStream;
use crate::capture::Tls;

/// Room for one read.
pub(super) const READ_SIZE: usize = 256 * 1024;
/// Below this much room a new buffer is taken.
const MIN_ROOM: usize = 8 * 1024;

thread_local! {
    static ROOMS: RefCell<Rooms> = RefCell::default();
}

/// What reads go into: a connection that rests holds no room, and those that don't use the same, which stays in the
/// processor's caches.
#[derive(Debug)]
struct Rooms {
    current: BytesMut,
    /// Full ones: each is free again once nobody needs the bytes in it any more.
    full: VecDeque<BytesMut>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { current: BytesMut::with_capacity(READ_SIZE), full: VecDeque::new() }
    }
}

impl Rooms {
    /// The most that are kept for a thread.
    const MOST: usize = 32;

    /// Room for one read at least, empty. To get it from the system each time would cost as much as to write it.
    fn current(&mut self) -> &mut BytesMut {
        if self.current.capacity() < MIN_ROOM {
            self.full.push_back(std::mem::take(&mut self.current));
            let is_free = self.full[0].try_reclaim(READ_SIZE);
            let oldest = if is_free || self.full.len() > Self::MOST { self.full.pop_front() } else { None };
            self.current = oldest.filter(|_| is_free).unwrap_or_else(|| BytesMut::with_capacity(READ_SIZE));
        }
        &mut self.current
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Socket {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream>),
}

impl Socket {
    /// The TCP connection under it: for its addresses and options.
    pub(super) const fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.tcp(),
        }
    }

    /// What was agreed on, if it is TLS.
    pub(super) const fn tls(&self) -> Option<&Arc<Tls>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls.facts()),
        }
    }

    /// Waits until it is ready for that. An error shows again, and in full, in the read or write that follows.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tls(tls) if interest.is_readable() && tls.has_more() => Ok(Ready::READABLE),
            _ => self.tcp().ready(interest).await,
        }
    }

    /// Waits until something can be read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(|_| ())
    }

    /// Waits until something can be written.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.tcp().writable().await
    }

    /// Reads once what has come; nothing is the end.
    pub(super) fn read(&self) -> io::Result<Bytes> {
        ROOMS.with_borrow_mut(|rooms| {
            let room = rooms.current();
            let read = self.read_some(room);
            // whatever was read is this connection's, and no other's
            let bytes = room.split().freeze();
            read.map(|_| bytes)
        })
    }

    /// Reads once what has come, behind what is in `buffer`, and tells how many bytes that was; 0 is the end.
    pub(super) fn read_some(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        if buffer.capacity() - buffer.len() < MIN_ROOM {
            buffer.reserve(READ_SIZE);
        }
        match self {
            Self::Plain(tcp) => {
                let room = buffer.capacity() - buffer.len();
                read_once(tcp, room, || tcp.try_read_buf(buffer))
            }
            Self::Tls(tls) => tls.read_some(buffer),
        }
    }

    /// Writes as much of `bytes` as is taken now. By TLS, what was taken may wait to be sent: see [`Self::flush`].
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
        }
    }

    /// Whether nothing waits that was written.
    pub(super) fn is_flushed(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(tls) => tls.is_flushed(),
        }
    }

    /// Sends what waits; an error of kind `WouldBlock` if not all of it is taken now.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Nothing more is sent, and the peer is told so. A peer that takes nothing is not waited for longer than a second,
    /// and one that is gone already needs no end.
    pub(super) async fn shutdown(&self) {
        if let Self::Tls(tls) = self {
            tls.notify_close().await;
        }
        self.shutdown_tcp();
    }

    /// The same without the end that TLS has of its own.
    pub(super) fn shutdown_tcp(&self) {
        let _ = rustix::net::shutdown(self.tcp(), Shutdown::Write);
    }

    /// Whether it ended without the end that TLS has of its own (RFC 8446 6.1): bytes may be missing at the end.
    pub(super) fn is_truncated(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.is_truncated(),
        }
    }

    /// Waits until it breaks while nobody reads from it.
    pub(super) async fn broken(&self) -> io::Error {
        let tcp = self.tcp();
        loop {
            if let Err(error) = tcp.ready(Interest::ERROR).await {
                return error;
            }
            match tcp.take_error() {
                Ok(Some(error)) | Err(error) => return error,
                // whoever read or wrote has taken it: wait for the next
                Ok(None) => drop(tcp.try_io(Interest::ERROR, || Err::<(), _>(ErrorKind::WouldBlock.into()))),
            }
        }
    }
}

/// Reads once by `read` into `room` bytes.
pub(super) fn read_once(
    tcp: &TcpStream,
    room: usize,
    mut read: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    let mut short = None;
    let read = tcp.try_io(Interest::READABLE, || match read() {
        // nothing is left: to be told so now saves the read that would find it out
        Ok(read) if (1..room).contains(&read) => {
            short = Some(read);
            Err(ErrorKind::WouldBlock.into())
        }
        read => read,
    });
    short.map_or(read, Ok)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn whatever_is_sent_is_read_and_then_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = Socket::Plain(listener.accept().await.unwrap().0);
        let pieces = [1, 5, READ_SIZE - MIN_ROOM, READ_SIZE, 3 * READ_SIZE + 1, 2];
        let sent: Vec<u8> = (0..pieces.iter().sum()).map(|i: usize| (i * 31 / 7) as u8).collect();
        let writing = async {
            let mut rest = &sent[..];
            for piece in pieces {
                client.write_all(rest.split_off(..piece).unwrap()).await.unwrap();
                // the reader gets its turn in between
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
        };
        let reading = async {
            let mut got = Vec::new();
            loop {
                server.readable().await.unwrap();
                match server.read() {
                    Ok(bytes) if bytes.is_empty() => return got,
                    Ok(bytes) => got.extend_from_slice(&bytes),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
        };
        let both = async { tokio::join!(writing, reading) };
        let ((), got) = timeout(Duration::from_secs(20), both).await.expect("the end is told");
        assert!(got == sent);
    }

    #[test]
    fn rooms_are_used_again_and_never_while_bytes_in_them_are_needed() {
        let mut rooms = Rooms::default();
        let mut read = |byte: u8| {
            let room = rooms.current();
            let length = room.capacity() - MIN_ROOM + 1;
            room.resize(length, byte);
            room.split().freeze()
        };
        let kept: Vec<_> = (0..3 * Rooms::MOST as u8).map(&mut read).collect();
        for (byte, bytes) in (0..).zip(&kept) {
            assert!(bytes.iter().all(|this| *this == byte), "{byte}");
        }
        let places: Vec<_> = kept.iter().map(|bytes| bytes.as_ptr()).collect();
        drop(kept);
        for byte in 0..Rooms::MOST as u8 {
            let bytes = read(byte);
            assert!(places.contains(&bytes.as_ptr()), "{byte}");
        }
        assert!(rooms.full.len() <= Rooms::MOST);
    }
}
