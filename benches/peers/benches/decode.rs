//! Decoding beside other libraries, in memory: `cargo bench` in this folder. One iteration is one message: its header
//! read, its payload unmasked and, as it is text, checked.

use std::convert::Infallible;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wsinspect::lint::{Limits, Linter};
use wsinspect::wire::{Decoder, Header, MaskingKey, Opcode, Piece, Side, Utf8Checker, encode_frame, mask, mask_into};

const SIZES: [usize; 4] = [16, 125, 1024, 64 << 10];

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = decode, borders, unmask, utf8, lint
}
criterion_main!(benches);

/// Text in which every character is a byte, and text in which some take two or three.
const ALPHABETS: [(&str, &str); 2] =
    [("ascii", "{\"id\":4711,\"name\":\"a value\"},"), ("other", "naïve café, 日本語 and so on. ")];

fn text(alphabet: &str, size: usize) -> String {
    let mut text: String = alphabet
        .chars()
        .cycle()
        .scan(0, |len, c| {
            *len += c.len_utf8();
            (*len <= size).then_some(c)
        })
        .collect();
    text.extend(std::iter::repeat_n(' ', size - text.len()));
    text
}

/// A client's messages one after the other, each with a key of its own.
fn stream(alphabet: &str, size: usize) -> Vec<u8> {
    let payload = text(alphabet, size);
    let mut stream = Vec::new();
    for n in 1..=((64 << 10) / size).clamp(16, 512) as u32 {
        let key = MaskingKey(n.wrapping_mul(0x9E37_79B9).to_ne_bytes());
        encode_frame(&Header::new(Opcode::TEXT, Some(key), size as u64), payload.as_bytes(), &mut stream);
    }
    stream
}

fn decode(c: &mut Criterion<CpuTime>) {
    for (name, alphabet) in ALPHABETS {
        let mut group = c.benchmark_group(format!("decode/{name}"));
        for size in SIZES {
            let stream = stream(alphabet, size);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new("wsinspect", size), |b| {
                let (mut decoder, mut input, mut room) = (Decoder::default(), &stream[..], vec![0; size]);
                b.iter(|| {
                    if input.is_empty() {
                        input = &stream;
                    }
                    let (header, payload) = decoder.whole(&mut input).expect("a frame");
                    let plain = mask_into(&mut room, payload, header.masking_key.unwrap_or_default(), 0);
                    let mut utf8 = Utf8Checker::default();
                    utf8.push(plain).and_then(|()| utf8.finish()).expect("it is text");
                    black_box(plain).len()
                });
            });
            group.bench_function(BenchmarkId::new("tungstenite", size), |b| {
                let mut socket = tungstenite::WebSocket::from_raw_socket(
                    Endless::new(&stream),
                    tungstenite::protocol::Role::Server,
                    None,
                );
                b.iter(|| black_box(socket.read().expect("a message")).len());
            });
            group.bench_function(BenchmarkId::new("fastwebsockets", size), |b| {
                let (mut reader, _writer) = fastwebsockets::after_handshake_split(
                    Endless::new(&stream),
                    tokio::io::sink(),
                    fastwebsockets::Role::Server,
                );
                b.iter(|| {
                    let mut answer = |_| async { Ok::<_, Infallible>(()) };
                    black_box(ready(reader.read_frame(&mut answer)).expect("a frame")).payload.len()
                });
            });
            group.bench_function(BenchmarkId::new("tokio-websockets", size), |b| {
                let mut socket = tokio_websockets::ServerBuilder::new().serve(Endless::new(&stream));
                b.iter(|| black_box(ready(socket.next()).expect("a message").expect("it is right")).as_payload().len());
            });
        }
    }
}

/// Frames by their headers alone.
fn borders(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("borders");
    for size in SIZES {
        let stream = stream(ALPHABETS[0].1, size);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("whole", size), |b| {
            let (mut decoder, mut input) = (Decoder::default(), &stream[..]);
            b.iter(|| {
                if input.is_empty() {
                    input = &stream;
                }
                decoder.whole(&mut input).map(|(header, _)| header.length)
            });
        });
        group.bench_function(BenchmarkId::new("in pieces", size), |b| {
            let (mut decoder, mut input) = (Decoder::default(), &stream[..]);
            b.iter(|| {
                if input.is_empty() {
                    input = &stream;
                }
                while let Some(piece) = decoder.next(&mut input) {
                    if piece == Piece::End {
                        break;
                    }
                }
            });
        });
    }
}

/// In place, and while copying, beside a copy.
fn unmask(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("unmask");
    for size in [16, 125, 1024, 4 << 10, 16 << 10, 64 << 10] {
        let (mut from, mut to) = (vec![b'x'; size + PAGE], vec![b'x'; size + PAGE]);
        let from = &mut from[..size];
        // some processors copy slowly between two places that lie alike in their pages: these never do
        let skew = (from.as_ptr().addr() + PAGE / 2).wrapping_sub(to.as_ptr().addr()) % PAGE;
        let to = &mut to[skew..skew + size];
        let key = MaskingKey([1, 2, 3, 4]);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("in place", size), |b| {
            b.iter(|| mask(black_box(&mut *from), black_box(key), 0));
        });
        group.bench_function(BenchmarkId::new("copying", size), |b| {
            b.iter(|| black_box(mask_into(black_box(&mut *to), black_box(&*from), black_box(key), 0)).len());
        });
        group.bench_function(BenchmarkId::new("memcpy", size), |b| {
            b.iter(|| black_box(&mut *to).copy_from_slice(black_box(&*from)));
        });
    }
}

const PAGE: usize = 4096;

fn utf8(c: &mut Criterion<CpuTime>) {
    for (name, alphabet) in ALPHABETS {
        let mut group = c.benchmark_group(format!("utf8/{name}"));
        for size in SIZES {
            let text = text(alphabet, size);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new("wsinspect", size), |b| {
                b.iter(|| {
                    let mut checker = Utf8Checker::default();
                    checker.push(black_box(text.as_bytes())).and_then(|()| checker.finish())
                });
            });
            group.bench_function(BenchmarkId::new("std", size), |b| {
                b.iter(|| std::str::from_utf8(black_box(text.as_bytes())).is_ok());
            });
        }
    }
}

/// All rules, on frames that are already found and unmasked.
fn lint(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("lint");
    for size in SIZES {
        let text = text(ALPHABETS[0].1, size);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            let (mut linter, mut found, mut n) = (Linter::new(Side::Client, Limits::default()), Vec::new(), 0_u32);
            b.iter(|| {
                n = n.wrapping_add(0x9E37_79B9);
                let header = Header::new(Opcode::TEXT, Some(MaskingKey(n.to_ne_bytes())), size as u64);
                linter.header(black_box(&header), &mut found);
                linter.payload(black_box(text.as_bytes()), &mut found, |_| {});
                linter.end(&mut found);
                assert!(found.is_empty());
            });
        });
    }
}

/// The processor's time for this thread: what else the machine does disturbs it less than it disturbs a clock.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// The result of a future that has nothing to wait for.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("memory is always ready"),
    }
}

/// The same bytes over and over; what is written is forgotten.
struct Endless<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Endless<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let end = self.bytes.len().min(self.at + most);
        let taken = &self.bytes[self.at..end];
        self.at = if end == self.bytes.len() { 0 } else { end };
        taken
    }
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.take(buffer.len());
        buffer[..taken.len()].copy_from_slice(taken);
        Ok(taken.len())
    }
}

impl Write for Endless<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Endless<'_> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buffer.put_slice(self.get_mut().take(buffer.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
