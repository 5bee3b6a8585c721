//! TLS over a TCP connection (RFC 8446), read and written by readiness.

use std::cell::RefCell;
use std::io::{self, BufRead as _, ErrorKind, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use rustls::Connection;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::HandshakeError;
use crate::capture::Tls;
use crate::net::socket::{READ_SIZE, read_once};

/// How long a peer has to take our end.
const FAREWELL: Duration = Duration::from_secs(1);

thread_local! {
    /// What one read took, before it is decrypted: none of it stays here between two reads.
    static CIPHERTEXT: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// A TLS connection whose handshake is over.
#[derive(Debug)]
pub(in crate::net) struct TlsStream {
    tcp: TcpStream,
    session: Mutex<Session>,
    facts: Arc<Tls>,
}

/// TLS without the socket.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    /// What came with the end of the handshake.
    early: BytesMut,
    /// How it ended, if it has.
    end: Option<End>,
}

#[derive(Clone, Debug)]
enum End {
    /// By close_notify.
    Closed,
    /// TCP ended, and TLS had not.
    Truncated,
    /// What came is no TLS, or an alert.
    Failed(rustls::Error),
}

impl TlsStream {
    pub(super) fn new(tcp: TcpStream, session: Session, facts: Tls) -> Self {
        Self { tcp, session: Mutex::new(session), facts: Arc::new(facts) }
    }

    pub(in crate::net) const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What was agreed on, and the server's certificates.
    pub(in crate::net) const fn facts(&self) -> &Arc<Tls> {
        &self.facts
    }

    /// Whether a read gives something although nothing comes from the socket.
    pub(in crate::net) fn has_more(&self) -> bool {
        let session = self.session();
        session.end.is_some() || !session.early.is_empty()
    }

    pub(in crate::net) fn is_truncated(&self) -> bool {
        matches!(self.session().end, Some(End::Truncated))
    }

    pub(in crate::net) fn read_some(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let before = buffer.len();
        let mut session = self.session();
        if !session.early.is_empty() {
            buffer.unsplit(mem::take(&mut session.early));
        } else if session.end.is_none() {
            CIPHERTEXT.with_borrow_mut(|ciphertext| {
                let read = read_once(&self.tcp, READ_SIZE, || self.tcp.try_read(ciphertext))?;
                session.decrypt(&ciphertext[..read], buffer);
                // an answer of TLS itself, which may wait; an error shows again in the write that follows
                let _ = session.send(&self.tcp);
                io::Result::Ok(())
            })?;
        }
        match (buffer.len() - before, &session.end) {
            (0, None) => Err(ErrorKind::WouldBlock.into()),
            (0, Some(End::Failed(error))) => Err(io::Error::new(ErrorKind::InvalidData, error.clone())),
            (came, _) => Ok(came),
        }
    }

    pub(in crate::net) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut session = self.session();
        session.send(&self.tcp)?;
        let taken = session.connection.writer().write(bytes)?;
        match session.send(&self.tcp) {
            Err(error) if !is_full(&error) => Err(error),
            _ => Ok(taken),
        }
    }

    pub(in crate::net) fn is_flushed(&self) -> bool {
        !self.session().connection.wants_write()
    }

    pub(in crate::net) fn flush(&self) -> io::Result<()> {
        self.session().send(&self.tcp)
    }

    /// Says that nothing more comes (RFC 8446 6.1), and waits until that is taken.
    pub(in crate::net) async fn notify_close(&self) {
        self.session().connection.send_close_notify();
        let flush =
            async { while self.flush().is_err_and(|error| is_full(&error)) && self.tcp.writable().await.is_ok() {} };
        // a peer that takes nothing is not waited for
        let _ = timeout(FAREWELL, flush).await;
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Carries out the handshake of `connection`; `come` was read already.
    pub(super) async fn begin(
        tcp: &TcpStream,
        connection: impl Into<Connection>,
        come: &[u8],
    ) -> Result<Self, HandshakeError> {
        let mut session = Self { connection: connection.into(), early: BytesMut::new(), end: None };
        let mut early = BytesMut::new();
        if !come.is_empty() {
            session.decrypt(come, &mut early);
        }
        loop {
            while let Err(error) = session.send(tcp) {
                if !is_full(&error) {
                    return Err(error.into());
                }
                tcp.writable().await?;
            }
            match session.end.take() {
                Some(End::Failed(error)) => return Err(HandshakeError::Tls(error)),
                Some(End::Closed | End::Truncated) if session.connection.is_handshaking() => {
                    return Err(HandshakeError::Ended);
                }
                end => session.end = end,
            }
            if !session.connection.is_handshaking() {
                session.early = early;
                return Ok(session);
            }
            tcp.readable().await?;
            let read = CIPHERTEXT.with_borrow_mut(|ciphertext| {
                let read = read_once(tcp, READ_SIZE, || tcp.try_read(ciphertext))?;
                session.decrypt(&ciphertext[..read], &mut early);
                io::Result::Ok(())
            });
            if let Err(error) = read
                && !is_full(&error)
            {
                return Err(error.into());
            }
        }
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Puts the plaintext of what was read behind what is in `plain`. Nothing at all is the end.
    fn decrypt(&mut self, mut bytes: &[u8], plain: &mut BytesMut) {
        if bytes.is_empty() {
            self.end = Some(End::Truncated);
        }
        while !bytes.is_empty() && self.end.is_none() {
            let processed = match self.connection.read_tls(&mut bytes) {
                Ok(_) => self.connection.process_new_packets(),
                Err(error) => Err(rustls::Error::General(error.to_string())),
            };
            self.take_plaintext(plain);
            match processed {
                Ok(state) if state.peer_has_closed() => self.end = Some(End::Closed),
                Ok(_) => {}
                Err(error) => self.end = Some(End::Failed(error)),
            }
        }
    }

    fn take_plaintext(&mut self, plain: &mut BytesMut) {
        let mut reader = self.connection.reader();
        while let Ok(chunk @ [_, ..]) = reader.fill_buf() {
            plain.extend_from_slice(chunk);
            let taken = chunk.len();
            reader.consume(taken);
        }
    }

    /// Sends what waits, as much of it as is taken.
    fn send(&mut self, tcp: &TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Now(tcp)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => drop(written?),
            }
        }
        Ok(())
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// A socket that takes what it takes without waiting.
struct Now<'a>(&'a TcpStream);

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
