//! What crosses a tunnel, by its first bytes.

use bytes::BytesMut;
use tokio::time::Instant;

use super::pump::{Abort, at, is_temporary};
use super::relay::PATIENCE;
use super::socket::Socket;
use crate::wire::Side;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Requests of HTTP/1.
    Http,
    /// TLS.
    Tls,
    /// Neither, or that can't be told: why, as the end of a sentence.
    Unknown(&'static str),
}

/// The longest request line that is waited for: beyond that it is taken for none.
const LONGEST_LINE: usize = 8 * 1024;
/// The longest method, likewise.
const LONGEST_METHOD: usize = 20;

/// Waits for as much of what the client sends as tells what it is; that is put behind what is in `came`. No longer than 10
/// seconds, and only until the server says something, which is put into `said`: whoever awaits a greeting of the server
/// says nothing before.
pub(super) async fn look(
    (client, came): (&Socket, &mut BytesMut),
    (server, said): (&Socket, &mut BytesMut),
) -> Result<Contents, Abort> {
    let deadline = Some(Instant::now() + PATIENCE);
    loop {
        if let Some(contents) = judge(came) {
            return Ok(contents);
        }
        tokio::select! {
            biased;
            // an error shows again, and in full, in the read that follows
            _ = client.readable() => {}
            _ = server.readable() => match server.read_some(said) {
                Ok(0) => return Ok(Contents::Unknown("the server ended it first")),
                Ok(_) => return Ok(Contents::Unknown("the server spoke first")),
                Err(error) if is_temporary(&error) => continue,
                Err(error) => return Err(Abort::of(&error, Side::Server)),
            },
            () = at(deadline) => {
                let sentence = if came.is_empty() { "nothing came for 10 seconds" } else { NO_REQUEST };
                return Ok(Contents::Unknown(sentence));
            }
        }
        match client.read_some(came) {
            // whoever passes on what came reads this end once more
            Ok(0) => {
                let sentence = if came.is_empty() { "nothing came before the client's end" } else { NO_REQUEST };
                return Ok(Contents::Unknown(sentence));
            }
            Ok(_) => {}
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(Abort::of(&error, Side::Client)),
        }
    }
}

const NO_REQUEST: &str = "it does not begin with a request of HTTP/1.1";

/// `None` while too little has come.
fn judge(came: &[u8]) -> Option<Contents> {
    const HANDSHAKE: u8 = 22;
    let no_request = Some(Contents::Unknown(NO_REQUEST));
    if *came.first()? == HANDSHAKE {
        return Some(Contents::Tls);
    }
    let method = came.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    if method == 0 || method > LONGEST_METHOD || came.get(method).is_some_and(|&byte| byte != b' ') {
        return no_request;
    }
    let Some(end) = came.iter().take(LONGEST_LINE).position(|&byte| byte == b'\n') else {
        return if came.len() < LONGEST_LINE { None } else { no_request };
    };
    let line = came[..end].strip_suffix(b"\r").unwrap_or(&came[..end]);
    if line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0") {
        Some(Contents::Http)
    } else if line == b"PRI * HTTP/2.0" {
        Some(Contents::Unknown("it is HTTP/2"))
    } else {
        no_request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_as_soon_as_they_can() {
        let line = [&b"GET /"[..], &[b'a'; LONGEST_LINE]].concat();
        for (came, contents) in [
            (&b""[..], None),
            (b"\x16", Some(Contents::Tls)),
            (b"GET", None),
            (b"GET /chat HTTP/1.1\r", None),
            (b"GET /chat HTTP/1.1\r\n", Some(Contents::Http)),
            (b"M-SEARCH * HTTP/1.0\nX", Some(Contents::Http)),
            (b"PRI * HTTP/2.0\r\n", Some(Contents::Unknown("it is HTTP/2"))),
            (b"SSH-2", Some(Contents::Unknown(NO_REQUEST))),
            (b"EHLO a\r\n", Some(Contents::Unknown(NO_REQUEST))),
            (b"get / HTTP/1.1\r\n", Some(Contents::Unknown(NO_REQUEST))),
            (b"\0", Some(Contents::Unknown(NO_REQUEST))),
            (b"AAAAAAAAAAAAAAAAAAAAA", Some(Contents::Unknown(NO_REQUEST))),
            (&line, Some(Contents::Unknown(NO_REQUEST))),
        ] {
            assert_eq!(judge(came), contents, "{:?}", String::from_utf8_lossy(came));
        }
        assert_eq!(judge(&line[..LONGEST_LINE - 1]), None);
    }
}
