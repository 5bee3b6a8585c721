//! What a recording of a million frames costs: `cargo bench --bench recording`. It prints a table, and tshark's time beside
//! ours where tshark is there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use wsinspect::capture::filter::{Filter, Sieve};
use wsinspect::capture::{self, Capture, ConnectionId, Event, EventKind, Recording, Timestamp, Vantage};
use wsinspect::lint::Limits;
use wsinspect::tui::Offscreen;
use wsinspect::wire::{Header, MaskingKey, Opcode, Side, frame};

const FRAMES: u64 = 1_000_000;
/// With a header of two bytes and a masking key of four.
const PAYLOAD: usize = 119;
/// Longer ones, in which payloads are searched.
const LONG: (u64, usize) = (65_536, 4096);
const CONNECTIONS: u64 = 100;
const SCREEN: (u16, u16) = (200, 50);

/// Filters that headers alone decide.
const HEADERS: [&str; 5] = [
    "opcode == ping",
    "opcode == text and payload_length > 100 and from == client",
    "not finding and (mask or fin == 0) and n in {1..500000}",
    "time > 12:00:00",
    "fragments > 1",
];
/// Filters that payloads decide.
const PAYLOADS: [&str; 3] =
    ["payload contains \"999999\"", "payload.text contains \"999999\"", "payload matches \"[1-9]{6}$\""];
/// What is drawn: what it is called, the keys that lead there from the list of frames, and those that lead on.
const VIEWS: [(&str, &str, &str); 14] = [
    ("frames, from page to page", "", "<"),
    ("frames, first and last in turn", "", "gG"),
    ("a frame's fields", "\r", ""),
    ("a frame unmasked byte by byte", "u", "jk"),
    ("a frame as text", "uu", "jk"),
    ("messages", "v", "<"),
    ("a filtered list", "/from == server\r", "<"),
    ("connections", "2", "jk"),
    ("a handshake", "3", "<>"),
    ("the ladder of a connection", "4", "<"),
    ("the ladder of all", "4o", "<"),
    ("statistics", "5", ""),
    ("rules", "6", "jk"),
    ("the keys over the frames", "?", ""),
];
/// How often each is drawn.
const DRAWINGS: usize = 1000;

fn main() {
    let folder = std::env::temp_dir().join(format!("wsinspect-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    for (reads, at_once) in [("each in a read of its own", 1), ("fifty in a read", 50)] {
        let path = folder.join(format!("{at_once}.pcapng"));
        record(&path, at_once, FRAMES, PAYLOAD);
        let megabytes = path.metadata().map_or(0, |file| file.len()) >> 20;
        println!("\n{FRAMES} frames of {} bytes, {reads}, on {CONNECTIONS} connections: {megabytes} MiB", PAYLOAD + 6);
        let capture = opening(&path);
        filtering(&capture);
        if at_once == 1 {
            drawing(&capture);
        }
    }
    let (frames, length) = LONG;
    let path = folder.join("long.pcapng");
    record(&path, 1, frames, length);
    println!("\n{frames} frames with payloads of {length} bytes");
    let opened = capture::open(&path, Limits::default(), "a bench").expect("a recording");
    opened.reading.run(false, &AtomicBool::new(false));
    searching(&opened.capture, frames, length);
    // what can't be removed lies in the temporary folder
    let _ = std::fs::remove_dir_all(folder);
}

fn say(what: &str, figure: &str) {
    println!("  {what:<66} {figure:>22}");
}

fn opening(path: &Path) -> Arc<Capture> {
    let mut best: Option<(Duration, Arc<Capture>)> = None;
    let before = resident();
    let mut memory = 0;
    for _ in 0..3 {
        let began = Instant::now();
        let opened = capture::open(path, Limits::default(), "a bench").expect("a recording");
        let sentences = opened.reading.run(false, &AtomicBool::new(false));
        let took = began.elapsed();
        assert!(sentences.is_empty(), "{sentences:?}");
        if best.is_none() {
            memory = resident().saturating_sub(before);
        }
        if best.as_ref().is_none_or(|(best, _)| took < *best) {
            best = Some((took, opened.capture));
        }
    }
    let (took, capture) = best.expect("three times");
    let frames = capture.index().totals().frames;
    assert_eq!(frames, FRAMES);
    say("opening", &format!("{:.2} s", took.as_secs_f64()));
    say("tshark, counting the frames of the same file", &tshark(path));
    say("memory that opening takes, for each frame", &format!("{:.1} bytes", memory as f64 / frames as f64));
    capture
}

fn tshark(path: &Path) -> String {
    let began = Instant::now();
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(path).args(["-Y", "websocket", "-T", "fields", "-e", "websocket.opcode"]);
    match tshark.stderr(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            let frames = output.stdout.split(|byte| *byte == b'\n' || *byte == b',').filter(|one| !one.is_empty());
            format!("{} frames  {:.2} s", frames.count(), began.elapsed().as_secs_f64())
        }
        _ => "there is no tshark".to_owned(),
    }
}

/// Bytes of memory that this process takes, where the system tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0) * 1024
}

fn filtering(capture: &Arc<Capture>) {
    for expression in HEADERS {
        let took = sift(capture, Some(expression));
        say(expression, &milliseconds(took));
    }
    say("messages put together", &milliseconds(sift(capture, None)));
    searching(capture, FRAMES, PAYLOAD);
}

fn searching(capture: &Arc<Capture>, frames: u64, length: usize) {
    for expression in PAYLOADS {
        let took = sift(capture, Some(expression));
        let gigabytes = frames as f64 * length as f64 / took.as_secs_f64() / 1e9;
        say(expression, &format!("{gigabytes:.2} GB/s  {}", milliseconds(took)));
    }
}

/// The least time of five.
fn sift(capture: &Arc<Capture>, expression: Option<&str>) -> Duration {
    let frames = capture.index().totals().frames;
    let one = |_| {
        let filter = expression.map(|expression| Filter::parse(expression).expect("it is an expression"));
        let began = Instant::now();
        let sieve = Sieve::start(capture.clone(), filter).expect("a thread");
        while sieve.looked_at() < frames {
            std::thread::sleep(Duration::from_micros(100));
        }
        began.elapsed()
    };
    (0..5).map(one).min().unwrap_or_default()
}

fn drawing(capture: &Arc<Capture>) {
    for (what, keys, on) in VIEWS {
        let mut screen = Offscreen::new(capture.clone(), SCREEN.0, SCREEN.1).expect("a screen");
        screen.keys(keys);
        // what the view lists is looked for from the first drawing on
        screen.draw().expect("it draws on nothing");
        screen.settle();
        let mut on = on.chars().cycle();
        let mut times: Vec<Duration> = (0..DRAWINGS)
            .map(|_| {
                let began = processor();
                screen.keys(on.next().map(String::from).unwrap_or_default().as_str());
                screen.draw().expect("it draws on nothing");
                processor().saturating_sub(began)
            })
            .collect();
        times.sort_unstable();
        let [median, p99] = [50, 99].map(|percent| milliseconds(times[DRAWINGS * percent / 100]));
        let figure = format!("{median}, p99 {p99}");
        say(&format!("drawing at {}×{}: {what}", SCREEN.0, SCREEN.1), &figure);
    }
}

/// The processor's time for this thread: what else the machine does disturbs it less than it disturbs a clock.
fn processor() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Writes a recording: half of the frames come from clients, masked, half from servers, which mask nothing.
fn record(path: &Path, at_once: u64, frames: u64, payload: usize) {
    let recording = Recording::create(Some(path), true).expect("a recording");
    let capture = Arc::new(Capture::new(recording.reader()));
    let writer = recording.writer("a bench").expect("a recording");
    let (recorder, thread) = capture::start(writer, capture, Limits::default()).expect("a thread");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut time = 1_700_000_000_000_000_000;
    let mut record = |connection: u64, kind| {
        time += 1000;
        let event = Event { connection: ConnectionId(connection as u32 + 1), time: Timestamp(time), kind };
        runtime.block_on(recorder.record(event));
    };
    let chunk = |from, bytes| EventKind::Chunk { from, bytes, notes: Vec::new() };
    for connection in 0..CONNECTIONS {
        let client = SocketAddr::from(([127, 0, 0, 1], 50_000 + connection as u16));
        let server = SocketAddr::from(([127, 0, 0, 1], 9002));
        record(connection, EventKind::Opened { client, server, vantage: Vantage::Beside });
        record(connection, chunk(Side::Client, Bytes::from_static(REQUEST)));
        record(connection, chunk(Side::Server, Bytes::from_static(RESPONSE)));
    }
    for read in 0..frames / at_once {
        let from = if read % 2 == 0 { Side::Client } else { Side::Server };
        let mut bytes = Vec::new();
        for n in read * at_once..(read + 1) * at_once {
            let key = (from == Side::Client).then_some(MaskingKey((n as u32).wrapping_mul(0x9E37_79B9).to_be_bytes()));
            // frames of both sides have the same length
            let length = if key.is_some() { payload } else { payload + 4 };
            bytes.extend(frame(&Header::new(Opcode::TEXT, key, length as u64), format!("{n:0>length$}").as_bytes()));
        }
        record(read / 2 % CONNECTIONS, chunk(from, Bytes::from(bytes)));
    }
    drop(recorder);
    thread.join();
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
