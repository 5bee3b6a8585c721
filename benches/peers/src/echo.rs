//! Echo servers. Each answers all that it has read before it flushes: what is fair to one is fair to all.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use fastwebsockets::{Frame, OpCode, Role};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as TungsteniteRole;
use tokio_websockets::ServerBuilder;
use wsinspect::wire::handshake::accept_key;
use wsinspect::wire::{Decoder, Header, MaskingKey, Piece, encode_header, mask_onto};

use crate::Outcome;

type Served = Result<(), Box<dyn Error + Send + Sync>>;

#[tokio::main]
pub async fn run(library: &str) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    if !["bare", "fastwebsockets", "tokio-tungstenite", "tokio-websockets"].contains(&library) {
        return Err(format!("{library} is none of the libraries").into());
    }
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let library = library.to_owned();
        tokio::spawn(async move {
            let socket = opening_handshake(socket).await?;
            match library.as_str() {
                "bare" => bare(socket).await,
                "fastwebsockets" => fastwebsockets(socket).await,
                "tokio-tungstenite" => tokio_tungstenite(socket).await,
                _ => tokio_websockets(socket).await,
            }
        });
    }
}

/// Takes the request, which is right, and agrees to it.
async fn opening_handshake(mut socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // a byte at a time, so that no frame is taken with it
        head.push(socket.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("Sec-WebSocket-Key")).map(|(_, key)| key);
    let accept = accept_key(key.ok_or(io::ErrorKind::InvalidData)?);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    socket.write_all(response.as_bytes()).await?;
    Ok(socket)
}

/// The least that an echo can be, to stand behind relays: one read, one write, nothing checked.
async fn bare(mut socket: TcpStream) -> Served {
    let (mut decoder, mut key, mut answer) = (Decoder::default(), MaskingKey::default(), Vec::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        let mut input = match socket.read(&mut buffer).await? {
            0 => return Ok(()),
            n => &buffer[..n],
        };
        while let Some(piece) = decoder.next(&mut input) {
            match piece {
                Piece::Header(header) => {
                    key = header.masking_key.unwrap_or_default();
                    encode_header(&Header { masking_key: None, ..header }, &mut answer);
                }
                Piece::Payload { bytes, offset } => mask_onto(&mut answer, bytes, key, offset),
                Piece::End => {}
                Piece::Lost(_) => return Err("a length with its top bit set".into()),
            }
        }
        socket.write_all(&answer).await?;
        answer.clear();
    }
}

async fn fastwebsockets(socket: TcpStream) -> Served {
    let (read, write) = socket.into_split();
    let (mut reader, mut writer) =
        fastwebsockets::after_handshake_split(read, BufWriter::with_capacity(64 << 10, write), Role::Server);
    let mut answer = |_| async { Ok::<_, Infallible>(()) };
    loop {
        let mut next = pin!(reader.read_frame(&mut answer));
        let frame = match poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await {
            Poll::Ready(frame) => frame?,
            Poll::Pending => {
                writer.flush().await?;
                next.await?
            }
        };
        match frame.opcode {
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                // the frame that came would go back as masked
                writer.write_frame(Frame::new(frame.fin, frame.opcode, None, frame.payload)).await?;
            }
            OpCode::Close => return Ok(()),
            OpCode::Ping | OpCode::Pong => {}
        }
    }
}

async fn tokio_tungstenite(socket: TcpStream) -> Served {
    let mut socket = WebSocketStream::from_raw_socket(socket, TungsteniteRole::Server, None).await;
    loop {
        let next = match socket.next().now_or_never() {
            Some(next) => next,
            None => {
                socket.flush().await?;
                socket.next().await
            }
        };
        match next.transpose()? {
            None => return Ok(()),
            Some(message @ (Message::Text(_) | Message::Binary(_))) => socket.feed(message).await?,
            Some(_) => {}
        }
    }
}

async fn tokio_websockets(socket: TcpStream) -> Served {
    let mut socket = ServerBuilder::new().serve(socket);
    let mut batch = Vec::new();
    loop {
        // a read flushes what was written before: so all that is there is read first
        match socket.next().now_or_never() {
            Some(None) => return Ok(()),
            Some(Some(message)) => batch.push(message?),
            None if batch.is_empty() => match socket.next().await {
                None => return Ok(()),
                Some(message) => batch.push(message?),
            },
            None => {
                for message in batch.drain(..).filter(|message| message.is_text() || message.is_binary()) {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
        }
    }
}
