//! A client that sends whatever it is told to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use wsinspect::wire::handshake::accept_key;
use wsinspect::wire::{CloseBody, CloseCode, Header, MaskingKey, Opcode, Parsed, frame};

use super::PATIENCE;

/// The key of RFC 6455 1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The headers that ask for a WebSocket.
pub(crate) const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// A request for a WebSocket at `/chat` with `more` headers, each with its line break.
pub(crate) fn request(more: &str) -> String {
    format!("GET /chat HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{more}\r\n")
}

/// A header with a masking key that no other has.
pub(crate) fn masked(opcode: Opcode, length: usize) -> Header {
    static NEXT: AtomicU32 = AtomicU32::new(0x0102_0304);
    let key = NEXT.fetch_add(0x0101_0107, Ordering::Relaxed).to_be_bytes();
    Header::new(opcode, Some(MaskingKey(key)), length as u64)
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(this, value)| this.eq_ignore_ascii_case(name).then_some(value))
    }

    #[track_caller]
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no response: {:?}", String::from_utf8_lossy(bytes));
        });
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }
}

/// Sends `request` and reads the response up to the end of the connection, which must come.
#[track_caller]
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut client = Client::bare(address);
    client.send(request);
    Response::parse(&client.read_to_end())
}

/// A TCP connection to the program, a WebSocket once it is opened.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) response: Response,
    buffer: Vec<u8>,
}

impl Client {
    /// A TCP connection and nothing more.
    #[track_caller]
    pub(crate) fn bare(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let response = Response { status: 0, head: String::new(), body: Vec::new() };
        Self { stream, response, buffer: Vec::new() }
    }

    /// A WebSocket.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::open_with(address, "")
    }

    /// A WebSocket asked for with more headers.
    #[track_caller]
    pub(crate) fn open_with(address: SocketAddr, more: &str) -> Self {
        let mut client = Self::bare(address);
        client.send(request(more).as_bytes());
        client.read_opened();
        client
    }

    /// Reads the response that opens the connection.
    #[track_caller]
    pub(crate) fn read_opened(&mut self) {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read_some() > 0, "closed: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        self.response = Response::parse(&head);
        assert_eq!(self.response.status, 101, "{}", self.response.head);
        assert_eq!(self.response.header("Sec-WebSocket-Accept"), Some(accept_key(KEY).as_str()));
    }

    /// The address at this end.
    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes it");
    }

    /// Sends a frame; its bytes.
    #[track_caller]
    pub(crate) fn send_frame(&mut self, header: &Header, payload: &[u8]) -> Vec<u8> {
        let bytes = frame(header, payload);
        self.send(&bytes);
        bytes
    }

    /// Sends a message, or a control frame.
    #[track_caller]
    pub(crate) fn message(&mut self, opcode: Opcode, payload: &[u8]) {
        self.send_frame(&masked(opcode, payload.len()), payload);
    }

    /// Sends a text and reads its echo.
    #[track_caller]
    pub(crate) fn echoes(&mut self, text: &str) {
        self.message(Opcode::TEXT, text.as_bytes());
        let (header, payload) = self.read_frame();
        assert_eq!((header.opcode, payload.as_slice()), (Opcode::TEXT, text.as_bytes()));
    }

    /// The server's next frame.
    #[track_caller]
    pub(crate) fn read_frame(&mut self) -> (Header, Vec<u8>) {
        loop {
            if let Parsed::Complete(header) = Header::parse(&self.buffer) {
                let end = header.len() + usize::try_from(header.length).unwrap();
                if self.buffer.len() >= end {
                    let payload = self.buffer[header.len()..end].to_vec();
                    self.buffer.drain(..end);
                    return (header, payload);
                }
            }
            assert!(self.read_some() > 0, "the connection ended in {:02x?}", self.buffer);
        }
    }

    /// The server's close frame, which must be what comes next: code and reason.
    #[track_caller]
    pub(crate) fn read_close(&mut self) -> (Option<CloseCode>, String) {
        let (header, payload) = self.read_frame();
        assert_eq!(header.opcode, Opcode::CLOSE, "{:?}", String::from_utf8_lossy(&payload));
        match CloseBody::parse(&payload) {
            CloseBody::Code(code, reason) => (Some(code), String::from_utf8(reason.to_vec()).unwrap()),
            other => (other.code(), String::new()),
        }
    }

    /// Closes with code and reason, and reads the answer and the end.
    #[track_caller]
    pub(crate) fn close(mut self, code: CloseCode, reason: &str) {
        self.message(Opcode::CLOSE, &CloseBody::encode(code, reason));
        assert_eq!(self.read_close(), (Some(code), String::new()));
        self.ended();
    }

    /// The server ends its side, and so does this one.
    #[track_caller]
    pub(crate) fn ended(mut self) {
        assert_eq!(self.read_to_end(), b"", "nothing follows");
        // the server may have gone first
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends this side and reads what there still is.
    #[track_caller]
    pub(crate) fn close_unread(mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.read_to_end();
    }

    /// Everything up to the end of the server's side; a reset is no end.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_some() > 0 {}
        std::mem::take(&mut self.buffer)
    }

    #[track_caller]
    fn read_some(&mut self) -> usize {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(n) => {
                    self.buffer.extend_from_slice(&bytes[..n]);
                    return n;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("cannot read: {error}; so far {:02x?}", &self.buffer[..self.buffer.len().min(99)]),
            }
        }
    }
}
