//! Reading from a socket.

use std::io::{self, ErrorKind};

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Room for one read.
pub(super) const READ_SIZE: usize = 64 * 1024;
/// Below this much room a new buffer is taken.
const MIN_ROOM: usize = 8 * 1024;

/// Reads once what has come, behind what is in `buffer`, and tells how many bytes that was; 0 is the end.
pub(super) fn read_some(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    if buffer.capacity() - buffer.len() < MIN_ROOM {
        buffer.reserve(READ_SIZE);
    }
    let room = buffer.capacity() - buffer.len();
    let mut short = None;
    let read = stream.try_io(Interest::READABLE, || match stream.try_read_buf(buffer) {
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
        let (server, _) = listener.accept().await.unwrap();
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
            let (mut buffer, mut got) = (BytesMut::new(), Vec::new());
            loop {
                server.readable().await.unwrap();
                match read_some(&server, &mut buffer) {
                    Ok(0) => return got,
                    Ok(read) => {
                        assert_eq!(buffer.len(), read);
                        got.extend_from_slice(&buffer.split());
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
        };
        let both = async { tokio::join!(writing, reading) };
        let ((), got) = timeout(Duration::from_secs(20), both).await.expect("the end is told");
        assert!(got == sent);
    }
}
