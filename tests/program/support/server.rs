//! A server that says whatever it is told to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use wsinspect::wire::handshake::accept_key;
use wsinspect::wire::{CloseBody, CloseCode, Header, Opcode, Parsed, frame, mask};

use super::{PATIENCE, eventually};

/// A listening socket, and its URL.
pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    pub(crate) fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/chat", self.address())
    }

    /// The next connection, whose request is read and not answered.
    #[track_caller]
    pub(crate) fn accept(&self) -> Peer {
        let stream = eventually("a connection", || self.listener.accept().ok()).0;
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Peer { stream, request: String::new(), buffer: Vec::new() };
        let end = loop {
            match peer.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => assert!(peer.read_some() > 0, "no request: {:?}", String::from_utf8_lossy(&peer.buffer)),
            }
        };
        peer.request = String::from_utf8(peer.buffer.drain(..end).collect()).unwrap();
        peer
    }

    /// The next connection, which is opened.
    #[track_caller]
    pub(crate) fn open(&self) -> Peer {
        let mut peer = self.accept();
        let answer = peer.acceptance("");
        peer.send(answer.as_bytes());
        peer
    }
}

/// A connection of a client's.
pub(crate) struct Peer {
    stream: TcpStream,
    /// What it asked for.
    pub(crate) request: String,
    buffer: Vec<u8>,
}

impl Peer {
    /// The value of a header of the request.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.request.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(this, value)| this.eq_ignore_ascii_case(name).then_some(value))
    }

    /// The answer that opens the connection, with `more` headers.
    pub(crate) fn acceptance(&self, more: &str) -> String {
        let accept = accept_key(self.header("Sec-WebSocket-Key").unwrap());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client takes it");
    }

    /// Sends a message, or a control frame.
    #[track_caller]
    pub(crate) fn message(&mut self, opcode: Opcode, payload: &[u8]) {
        self.send(&frame(&Header::new(opcode, None, payload.len() as u64), payload));
    }

    /// The client's next frame, unmasked.
    #[track_caller]
    pub(crate) fn read_frame(&mut self) -> (Header, Vec<u8>) {
        loop {
            if let Parsed::Complete(header) = Header::parse(&self.buffer) {
                let end = header.len() + usize::try_from(header.length).unwrap();
                if self.buffer.len() >= end {
                    let mut payload = self.buffer[header.len()..end].to_vec();
                    self.buffer.drain(..end);
                    mask(&mut payload, header.masking_key.expect("a client masks"), 0);
                    return (header, payload);
                }
            }
            assert!(self.read_some() > 0, "the connection ended in {:02x?}", self.buffer);
        }
    }

    /// The client's next frame, which is a text.
    #[track_caller]
    pub(crate) fn read_text(&mut self) -> String {
        let (header, payload) = self.read_frame();
        assert_eq!(header.opcode, Opcode::TEXT, "{:?}", String::from_utf8_lossy(&payload));
        String::from_utf8(payload).unwrap()
    }

    /// The client's next frame, which is a Close; before it may come the ping of a client that has nothing more to say.
    #[track_caller]
    pub(crate) fn read_close(&mut self) -> (Option<CloseCode>, String) {
        let (header, payload) = match self.read_frame() {
            (header, payload) if header.opcode == Opcode::PING => {
                assert_eq!(payload, b"end of input");
                self.message(Opcode::PONG, &payload);
                self.read_frame()
            }
            frame => frame,
        };
        assert_eq!(header.opcode, Opcode::CLOSE, "{:?}", String::from_utf8_lossy(&payload));
        match CloseBody::parse(&payload) {
            CloseBody::Code(code, reason) => (Some(code), String::from_utf8(reason.to_vec()).unwrap()),
            other => (other.code(), String::new()),
        }
    }

    /// Answers a Close with the same code and ends the connection, as a server does.
    #[track_caller]
    pub(crate) fn end(mut self, code: CloseCode) {
        self.message(Opcode::CLOSE, &CloseBody::encode(code, ""));
        self.hang_up();
    }

    /// Waits for the client's end, and says nothing.
    #[track_caller]
    pub(crate) fn stays_silent(mut self) {
        while self.read_some() > 0 {}
    }

    /// Ends the connection, and waits for the client's end.
    #[track_caller]
    pub(crate) fn hang_up(mut self) {
        // the client may have gone first
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.read_some() > 0 {}
    }

    #[track_caller]
    fn read_some(&mut self) -> usize {
        let mut bytes = [0; 16 * 1024];
        let read = match self.stream.read(&mut bytes) {
            // whoever leaves what we said unread may end like that
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            read => read.unwrap_or_else(|error| panic!("cannot read: {error}")),
        };
        self.buffer.extend_from_slice(&bytes[..read]);
        read
    }
}
