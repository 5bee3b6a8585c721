//! Makes the pictures in `screenshots/` from the running program:
//!
//! ```text
//! cargo build --release && cargo run --release --example screenshots
//! ```
//!
//! The program runs in a pseudo-terminal, real clients talk to it, and what a terminal emulator then shows is drawn.

#[path = "../../tests/program/support/terminal.rs"]
#[expect(dead_code, reason = "tests need more of it than pictures do")]
mod terminal;

mod svg;

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use terminal::Terminal;
use wsinspect::wire::{CloseBody, CloseCode, Header, LengthForm, MaskingKey, Opcode, frame};

/// The port that the pictures show.
const ADDRESS: &str = "127.0.0.1:9002";

/// What the terminal sends for the key.
const RIGHT: &str = "\x1b[C";

fn main() -> Result<(), Box<dyn Error>> {
    let program = program()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    live(&program, &folder)?;
    tour(&program, &folder)?;
    relay(&program, &folder)?;
    lesson(&program, &folder)?;
    explain(&program, &folder)?;
    Ok(())
}

/// A lesson, its own connection beside it.
fn lesson(program: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut terminal = Terminal::start(program, (120, 36), &["learn", "masking"]);
    terminal.wait_for("masking key");
    terminal.settled();
    save(&mut terminal, folder, "lesson")
}

/// The binary beside this example.
fn program() -> Result<PathBuf, Box<dyn Error>> {
    let example = std::env::current_exe()?;
    let program = example.parent().and_then(Path::parent).map(|folder| folder.join("wsinspect"));
    program.filter(|program| program.exists()).ok_or_else(|| "build the program first: cargo build --release".into())
}

/// The views of `serve`.
fn live(program: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut terminal = Terminal::start(program, (120, 36), &["serve", "9002", "--subprotocol", "chat"]);
    terminal.wait_for(ADDRESS);
    let traffic = Traffic::play()?;
    terminal.wait_for("unmasked-client-frame");

    terminal.keys("[");
    terminal.settled();
    save(&mut terminal, folder, "finding")?;
    terminal.keys("gjj");
    save(&mut terminal, folder, "frames")?;
    terminal.keys("gjj\r");
    terminal.keys(&RIGHT.repeat(7));
    save(&mut terminal, folder, "anatomy")?;
    terminal.keys("\t");
    terminal.keys("n");
    save(&mut terminal, folder, "unmasking")?;
    // as it was before
    terminal.keys("nuu\x1b");
    terminal.settled();
    terminal.keys("2g");
    save(&mut terminal, folder, "connections")?;
    terminal.keys("3");
    save(&mut terminal, folder, "handshake")?;
    terminal.keys("6");
    save(&mut terminal, folder, "rules")?;
    terminal.keys("1f");
    save(&mut terminal, folder, "fragments")?;
    drop(traffic);
    Ok(())
}

/// The main use as a picture that moves: frames come, one is taken apart, a broken one is composed and its end told.
fn tour(program: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut server = Terminal::start(program, (80, 24), &["serve", "9003", "--subprotocol", "chat"]);
    server.wait_for("127.0.0.1:9003");
    let mut terminal = Terminal::start(program, (120, 36), &["relay", "9002", "localhost:9003"]);
    terminal.wait_for(ADDRESS);
    let mut stills = Vec::new();
    let mut shot = |terminal: &mut Terminal, caption: &str, seconds: f32| {
        stills.push((svg::Still::of(terminal.settled(), caption), seconds));
    };
    shot(&mut terminal, "wsinspect relay 9002 localhost:9003 stands between a client and its server", 2.0);
    let mut chat = open("/chat?room=7", "Sec-WebSocket-Protocol: chat\r\n")?;
    exchange(&mut chat, &client_frame(Opcode::TEXT, br#"{"op":"subscribe","channel":"trades","last":[1.50,null]}"#))?;
    terminal.wait_for("row 2 of 2");
    shot(&mut terminal, "every frame appears as it crosses the wire, bit by bit", 1.5);
    exchange(&mut chat, &client_frame(Opcode::PING, b"still there?"))?;
    terminal.wait_for("row 4 of 4");
    shot(&mut terminal, "every frame appears as it crosses the wire, bit by bit", 1.5);
    let into = "right: into the frame, field by field: what it means here, why it is there, where that is written";
    terminal.keys("g");
    for seconds in [1.5, 0.6, 0.6, 0.6, 1.2, 1.6, 1.6, 1.8] {
        terminal.keys(RIGHT);
        shot(&mut terminal, into, seconds);
    }
    terminal.keys(RIGHT);
    shot(&mut terminal, "its bytes stand in brackets", 1.5);
    terminal.keys("u");
    shot(&mut terminal, "u: unmasked byte by byte", 2.2);
    terminal.keys("n");
    shot(&mut terminal, "n: in binary", 2.2);
    terminal.keys("u");
    shot(&mut terminal, "u: the payload as JSON", 2.2);
    terminal.keys("u\x1b");
    terminal.settled();
    terminal.keys("b");
    terminal.wait_for("compose, to the server");
    shot(&mut terminal, "b: compose any frame, legal or not", 1.5);
    terminal.keys("f");
    terminal.wait_for("! fragmented-control");
    shot(&mut terminal, "a preset for each rule; what it breaks is told before it is sent", 2.5);
    terminal.keys("\r");
    terminal.wait_for("1002 protocol error");
    terminal.keys("]");
    terminal.wait_for("The server failed");
    shot(&mut terminal, "sent: the rule that it breaks, and what the server did about it", 3.0);
    terminal.keys("4");
    terminal.wait_for("ladder of connection 1");
    terminal.wait_until("no notice", |screen| !screen.contents().contains("frame sent"));
    shot(&mut terminal, "4: the same as a ladder", 3.0);
    let path = folder.join("tour.svg");
    fs::write(&path, svg::animate(&stills))?;
    println!("{}", path.display());
    Ok(())
}

/// The ladder and the statistics of `relay`.
fn relay(program: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut server = Terminal::start(program, (80, 24), &["serve", "9003", "--subprotocol", "chat"]);
    server.wait_for("127.0.0.1:9003");
    let mut terminal = Terminal::start(program, (120, 36), &["relay", "9002", "localhost:9003"]);
    terminal.wait_for(ADDRESS);
    let mut chat = open("/chat?room=7", "Sec-WebSocket-Protocol: chat\r\n")?;
    exchange(&mut chat, &client_frame(Opcode::TEXT, br#"{"op":"subscribe","channel":"trades"}"#))?;
    exchange(&mut chat, &client_frame(Opcode::TEXT, "größer, 漢字 and 😀 \u{1b}[31m".as_bytes()))?;
    let fragment = |opcode, fin, payload: &[u8]| {
        let header = Header::new(opcode, Some(key(payload)), payload.len() as u64).with_fin(fin);
        frame(&header, payload)
    };
    // long enough to be folded
    std::thread::sleep(Duration::from_millis(1400));
    chat.write_all(&fragment(Opcode::TEXT, false, b"a message "))?;
    exchange(&mut chat, &client_frame(Opcode::PING, b"still there?"))?;
    exchange(&mut chat, &fragment(Opcode::CONTINUATION, true, b"in two fragments"))?;
    terminal.wait_for("\"a message in two fragments\"");
    // one to each side, put in
    terminal.keys("p");
    terminal.wait_for("wsinspect 1");
    terminal.keys("<p");
    terminal.wait_for("wsinspect 2");
    let header = Header { length_form: LengthForm::Bits16, ..Header::new(Opcode::TEXT, None, 5) };
    exchange(&mut chat, &frame(&header, b"Hello"))?;
    terminal.wait_for("unmasked-client-frame");
    terminal.keys("4");
    terminal.wait_for("ladder of connection 1");
    terminal.wait_for("101 Switching");
    terminal.keys("gjj");
    terminal.wait_until("no notice", |screen| !screen.contents().contains("ping sent"));
    save(&mut terminal, folder, "ladder")?;

    let mut feed = open("/feed", "")?;
    for n in 0..60_usize {
        // more and less, and each size another number of times
        for _ in 0..=n * n % 7 {
            let opcode = if n % 5 == 0 { Opcode::BINARY } else { Opcode::TEXT };
            exchange(&mut feed, &client_frame(opcode, &vec![b'x'; 1 << (n * n % 9)]))?;
        }
        if n % 6 == 0 {
            exchange(&mut feed, &client_frame(Opcode::PING, n.to_string().as_bytes()))?;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    terminal.keys("5");
    save(&mut terminal, folder, "statistics")?;
    Ok(())
}

/// `wsinspect explain` on the example of RFC 6455 5.7.
fn explain(program: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let arguments = ["explain", "81", "85", "37fa213d", "7f9f4d5158"];
    let mut terminal = Terminal::start(program, (120, 50), &arguments);
    terminal.wait_for_end();
    write(terminal.settled(), folder, "explain")
}

fn save(terminal: &mut Terminal, folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    terminal.settled();
    // the emulator mixes up bold and dim where only that changes: have everything drawn anew
    let (rows, columns) = terminal.screen().size();
    terminal.resize(columns.get() - 1, rows.get());
    terminal.settled();
    terminal.resize(columns.get(), rows.get());
    write(terminal.settled(), folder, name)
}

fn write(screen: &vt100::Screen, folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let path = folder.join(name).with_extension("svg");
    fs::write(&path, svg::draw(screen))?;
    println!("{}", path.display());
    Ok(())
}

/// Clients that stay connected until this is dropped.
struct Traffic {
    _clients: Vec<TcpStream>,
}

impl Traffic {
    fn play() -> Result<Self, Box<dyn Error>> {
        let mut chat = open("/chat?room=7", "Sec-WebSocket-Protocol: chat\r\n")?;
        exchange(&mut chat, &client_frame(Opcode::TEXT, br#"{"op":"subscribe","channel":"trades"}"#))?;
        exchange(&mut chat, &client_frame(Opcode::TEXT, "größer, 漢字 and 😀 \u{1b}[31m".as_bytes()))?;
        exchange(&mut chat, &client_frame(Opcode::BINARY, &[0x00, 0xff, 0x10, 0x80, 0x7f]))?;
        let fragment = |opcode, fin, payload: &[u8]| {
            let header = Header::new(opcode, Some(key(payload)), payload.len() as u64).with_fin(fin);
            frame(&header, payload)
        };
        chat.write_all(&fragment(Opcode::TEXT, false, b"a message "))?;
        exchange(&mut chat, &client_frame(Opcode::PING, b"still there?"))?;
        chat.write_all(&fragment(Opcode::CONTINUATION, false, b"in three "))?;
        exchange(&mut chat, &fragment(Opcode::CONTINUATION, true, b"fragments"))?;

        let mut feed = open("/feed", "Origin: http://localhost:8080\r\n")?;
        exchange(&mut feed, &client_frame(Opcode::BINARY, &[7; 300]))?;
        exchange(&mut feed, &client_frame(Opcode::CLOSE, &CloseBody::encode(CloseCode(4001), "session expired")))?;
        feed.shutdown(Shutdown::Write)?;

        let mut broken = open("/broken", "")?;
        let payload = b"Hello";
        let header = Header { length_form: LengthForm::Bits16, ..Header::new(Opcode::TEXT, None, 5) };
        exchange(&mut broken, &frame(&header, payload))?;
        broken.shutdown(Shutdown::Write)?;
        Ok(Self { _clients: vec![chat, feed, broken] })
    }
}

fn open(target: &str, more: &str) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {ADDRESS}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    );
    exchange(&mut stream, request.as_bytes())?;
    Ok(stream)
}

/// Sends and waits for the answer, so that the pictures show one order.
fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    stream.write_all(bytes)?;
    let _ = stream.read(&mut [0; 4096])?;
    Ok(())
}

fn client_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(&Header::new(opcode, Some(key(payload)), payload.len() as u64), payload)
}

/// A key that differs from frame to frame and is the same in every picture.
fn key(payload: &[u8]) -> MaskingKey {
    let sum = payload.iter().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    MaskingKey(sum.to_be_bytes())
}
