//! How fast a million frames are filtered: `cargo bench --bench filter`. It prints the figures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wsinspect::capture::filter::{Filter, Sieve};
use wsinspect::capture::{self, Capture, ConnectionId, Event, EventKind, Recording, Timestamp, Vantage};
use wsinspect::lint::Limits;
use wsinspect::wire::{Header, MaskingKey, Opcode, Side, frame};

const FRAMES: u64 = 1_000_000;
const PAYLOAD: usize = 119;

fn main() {
    let folder = std::env::temp_dir().join(format!("wsinspect-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let capture = record(&folder.join("bench.pcapng"));
    println!("{FRAMES} frames of {} bytes", PAYLOAD + 6);
    for expression in [
        "opcode == ping",
        "opcode == text and payload_length > 100 and from == client",
        "not finding and (mask or fin == 0) and n in {1..500000}",
        "time > 12:00:00",
        "fragments > 1",
    ] {
        measure(&capture, Some(expression));
    }
    measure(&capture, None);
    measure(&capture, Some("payload contains \"999999\""));
    // what can't be removed lies in the temporary folder
    let _ = std::fs::remove_dir_all(folder);
}

fn measure(capture: &Arc<Capture>, expression: Option<&str>) {
    let best = (0..5).map(|_| sift(capture, expression)).min().unwrap_or_default();
    let frames = FRAMES as f64 / best.as_secs_f64() / 1e6;
    let gigabytes = frames * PAYLOAD as f64 / 1e3;
    println!("{best:>10.1?}  {frames:>6.1} M frames/s  {gigabytes:>5.2} GB/s  {}", expression.unwrap_or("(messages)"));
}

fn sift(capture: &Arc<Capture>, expression: Option<&str>) -> Duration {
    let filter = expression.map(|expression| Filter::parse(expression).expect("it is an expression"));
    let began = Instant::now();
    let sieve = Sieve::start(capture.clone(), filter).expect("a thread");
    while sieve.looked_at() < FRAMES {
        std::thread::sleep(Duration::from_micros(100));
    }
    began.elapsed()
}

/// A million frames of one client, in chunks of fifty.
fn record(path: &std::path::Path) -> Arc<Capture> {
    let recording = Recording::create(Some(path), true).expect("a recording");
    let capture = Arc::new(Capture::new(recording.reader()));
    let writer = recording.writer("a bench").expect("a recording");
    let (recorder, thread) = capture::start(writer, capture.clone(), Limits::default()).expect("a thread");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let client = SocketAddr::from(([127, 0, 0, 1], 50_000));
    let opened =
        EventKind::Opened { client, server: SocketAddr::from(([127, 0, 0, 1], 9002)), vantage: Vantage::Beside };
    let chunk = |from, bytes| EventKind::Chunk { from, bytes, notes: Vec::new() };
    let head =
        [opened, chunk(Side::Client, Bytes::from_static(request)), chunk(Side::Server, Bytes::from_static(response))];
    let chunks = (0..FRAMES / 50).map(|part| {
        let frames = (part * 50..part * 50 + 50).map(|n| {
            let header = Header::new(Opcode::TEXT, Some(MaskingKey((n as u32).to_be_bytes())), PAYLOAD as u64);
            frame(&header, format!("{n:0>PAYLOAD$}").as_bytes())
        });
        chunk(Side::Client, Bytes::from(frames.collect::<Vec<_>>().concat()))
    });
    runtime.block_on(async {
        for (time, kind) in (1_700_000_000_000_000_000..).step_by(1000).zip(head.into_iter().chain(chunks)) {
            recorder.record(Event { connection: ConnectionId(1), time: Timestamp(time), kind }).await;
        }
    });
    drop(recorder);
    thread.join();
    capture
}
