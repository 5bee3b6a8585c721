//! The load: connections that each keep a number of messages on the way, made beforehand, and compare what comes back.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as Blocking};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;
use wsinspect::wire::{Header, MaskingKey, Opcode, encode_frame};

use crate::Outcome;
use crate::latency::Latencies;
use crate::socket::{self, Socket};

/// Nothing is counted before that.
const WARM_UP: Duration = Duration::from_millis(300);
/// An echo that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Options {
    address: SocketAddr,
    /// At most 1024.
    connections: usize,
    /// Messages of a connection on the way at once.
    window: usize,
    /// Bytes of a payload.
    size: usize,
    seconds: f64,
    /// The end comes after so many, too.
    messages: u64,
    opcode: Opcode,
    /// Processes whose time is told, with that of their children.
    pids: Vec<u32>,
    /// How TLS is spoken, if it is.
    tls: Option<Arc<ClientConfig>>,
}

impl Options {
    pub fn read(address: &str, mut words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            address: address.parse()?,
            connections: 1,
            window: 1,
            size: 125,
            seconds: 2.0,
            messages: u64::MAX,
            opcode: Opcode::TEXT,
            pids: Vec::new(),
            tls: None,
        };
        if !options.address.ip().is_loopback() {
            return Err(format!("{address} is not on this machine").into());
        }
        while let [option, rest @ ..] = words {
            words = rest;
            if *option == "--binary" {
                options.opcode = Opcode::BINARY;
                continue;
            }
            if *option == "--tls" {
                options.tls = Some(socket::tls()?);
                continue;
            }
            let [value, rest @ ..] = words else { return Err(format!("{option} lacks its value").into()) };
            words = rest;
            match *option {
                "--connections" => options.connections = value.parse::<usize>()?.clamp(1, 1024),
                "--window" => options.window = value.parse::<usize>()?.clamp(1, 4096),
                "--size" => options.size = value.parse::<usize>()?.min(1 << 20),
                "--seconds" => options.seconds = value.parse::<f64>()?.clamp(0.1, 600.0),
                "--messages" => options.messages = value.parse()?,
                "--pid" => options.pids.push(value.parse()?),
                _ => return Err(format!("there is no option {option}").into()),
            }
        }
        Ok(options)
    }
}

/// Sends, compares, and prints a line of JSON.
pub fn run(options: &Options) -> Outcome {
    let traffic = Traffic::new(options);
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for n in 0..options.connections {
        let mut connection = Connection::open(options)?;
        poll.registry().register(connection.socket.tcp(), Token(n), Interest::READABLE | Interest::WRITABLE)?;
        connections.push(connection);
    }
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 256 << 10];
    let (mut latencies, mut echoed, mut measured) = (Latencies::default(), 0, None);
    let began = Instant::now();
    let end = WARM_UP + Duration::from_secs_f64(options.seconds);
    for connection in &mut connections {
        connection.send(&traffic, began)?;
    }
    let (start, cpu_before) = loop {
        poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err(format!("no echo came within {} s", PATIENCE.as_secs()).into());
        }
        for event in &events {
            let connection = &mut connections[event.token().0];
            echoed += connection.go_on(&traffic, &mut buffer, &mut latencies)?;
        }
        let since = began.elapsed();
        match measured {
            // a load that ends after so many messages counts all of them
            None if since >= WARM_UP || options.messages < u64::MAX => {
                if options.messages == u64::MAX {
                    (latencies, echoed) = (Latencies::default(), 0);
                }
                measured = Some((Instant::now(), cpu_seconds(&options.pids)));
            }
            Some(start) if since >= end || echoed >= options.messages => break start,
            _ => {}
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds(&options.pids) - cpu_before;
    let rate = echoed as f64 / seconds;
    let micros = |share| latencies.percentile(share).as_nanos() as f64 / 1e3;
    println!(
        "{{\"messages\": {echoed}, \"seconds\": {seconds:.3}, \"messages_per_s\": {rate:.0}, \"mb_per_s\": {:.1}, \
         \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"p999_us\": {:.1}, \"cpu_s_per_million\": {:.4}}}",
        rate * options.size as f64 / 1e6,
        micros(0.5),
        micros(0.99),
        micros(0.999),
        cpu / echoed as f64 * 1e6,
    );
    Ok(())
}

/// Seconds that the processes and their children have computed for: user and system time, in hundredths.
fn cpu_seconds(pids: &[u32]) -> f64 {
    fn ticks(pid: u32) -> u64 {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = read("stat");
        // the name, in brackets, may hold anything; user and system time are the 12th and 13th word after it
        let words = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        let own: u64 = words.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let children = read(&format!("task/{pid}/children"));
        own + children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(ticks).sum::<u64>()
    }
    pids.iter().map(|&pid| ticks(pid)).sum::<u64>() as f64 / 100.0
}

/// A round of messages, masked as they are sent and plain as they come back. No two that follow each other are equal.
struct Traffic {
    sent: Vec<u8>,
    expected: Vec<u8>,
    /// Bytes of a frame.
    sent_len: usize,
    expected_len: usize,
    window: usize,
}

impl Traffic {
    fn new(options: &Options) -> Self {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        // more than the keys that a linter remembers, and not more than a cache holds
        let round = ((256 << 10) / options.size.max(1)).clamp(17, 1021) as u32;
        for n in 0..round {
            let payload: String = format!("{{\"message\": {n:>4}}} ").chars().cycle().take(options.size).collect();
            let key = MaskingKey((n + 1).wrapping_mul(0x9E37_79B9).to_be_bytes());
            let header = |key| Header::new(options.opcode, key, options.size as u64);
            encode_frame(&header(Some(key)), payload.as_bytes(), &mut sent);
            encode_frame(&header(None), payload.as_bytes(), &mut expected);
        }
        let (sent_len, expected_len) = (sent.len() / round as usize, expected.len() / round as usize);
        Self { sent, expected, sent_len, expected_len, window: options.window }
    }
}

struct Connection {
    socket: Socket<TcpStream>,
    /// Places in the round.
    sent_at: usize,
    expected_at: usize,
    /// Bytes that may be sent before the next echo.
    to_send: usize,
    /// Bytes of the echo that is coming in.
    partial: usize,
    /// When messages on the way were given to the socket, and how many each time.
    departures: VecDeque<(Instant, usize)>,
    /// Bytes of a message of which only a part was given to the socket.
    partly_sent: usize,
}

impl Connection {
    fn open(options: &Options) -> io::Result<Self> {
        let socket = open(options)?.polled()?;
        Ok(Self {
            socket,
            sent_at: 0,
            expected_at: 0,
            to_send: options.window
                * (options.size + Header::new(Opcode::TEXT, Some(MaskingKey([0; 4])), options.size as u64).len()),
            partial: 0,
            departures: VecDeque::new(),
            partly_sent: 0,
        })
    }

    /// Takes what has come and sends as many as were echoed; tells how many those were.
    fn go_on(&mut self, traffic: &Traffic, buffer: &mut [u8], latencies: &mut Latencies) -> io::Result<u64> {
        let mut echoed = 0;
        loop {
            let n = match self.socket.read(buffer) {
                Ok(0) => return Err(io::Error::other("the server ended the connection")),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.compare(traffic, &buffer[..n])?;
            self.partial += n;
            let whole = self.partial / traffic.expected_len;
            self.partial %= traffic.expected_len;
            echoed += whole;
            self.to_send += whole * traffic.sent_len;
            if whole > 0 {
                self.arrived(whole, latencies);
            }
            if n < buffer.len() && self.socket.is_drained() {
                break;
            }
        }
        self.socket.send_kept()?;
        self.send(traffic, Instant::now())?;
        Ok(echoed as u64)
    }

    fn compare(&mut self, traffic: &Traffic, mut echo: &[u8]) -> io::Result<()> {
        while !echo.is_empty() {
            let expected = &traffic.expected[self.expected_at..];
            let n = expected.len().min(echo.len());
            if echo[..n] != expected[..n] {
                return Err(io::Error::other("an echo differs from what was sent"));
            }
            echo = &echo[n..];
            self.expected_at = (self.expected_at + n) % traffic.expected.len();
        }
        Ok(())
    }

    fn arrived(&mut self, mut count: usize, latencies: &mut Latencies) {
        let now = Instant::now();
        while count > 0
            && let Some((departed, together)) = self.departures.front_mut()
        {
            let n = count.min(*together);
            latencies.add(now - *departed, n as u64);
            count -= n;
            *together -= n;
            if *together == 0 {
                self.departures.pop_front();
            }
        }
    }

    fn send(&mut self, traffic: &Traffic, now: Instant) -> io::Result<()> {
        while self.to_send > 0 {
            let end = traffic.sent.len().min(self.sent_at + self.to_send);
            match self.socket.write(&traffic.sent[self.sent_at..end]) {
                Ok(n) => {
                    self.to_send -= n;
                    self.sent_at = (self.sent_at + n) % traffic.sent.len();
                    // a message departs when its last byte does
                    self.partly_sent += n;
                    let whole = self.partly_sent / traffic.sent_len;
                    self.partly_sent %= traffic.sent_len;
                    if whole > 0 {
                        self.departures.push_back((now, whole));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        debug_assert!(self.departures.len() <= traffic.window);
        Ok(())
    }
}

/// A connection with its opening handshake behind it.
fn open(options: &Options) -> io::Result<Socket<Blocking>> {
    let socket = Blocking::connect_timeout(&options.address, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut socket = Socket::on(socket, options.tls.as_ref())?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        options.address
    );
    socket.write_all(request.as_bytes())?;
    socket.flush()?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
        return Err(io::Error::other(format!("the handshake was refused: {line}")));
    }
    Ok(socket)
}

/// Opens connections, some at once, and lets go of each; prints a line of JSON.
pub fn open_and_leave(options: &Options) -> Outcome {
    let cpu_before = cpu_seconds(&options.pids);
    let began = Instant::now();
    let end = Duration::from_secs_f64(options.seconds);
    let opened: u64 = thread::scope(|scope| {
        let opening = || {
            let mut opened = 0;
            while began.elapsed() < end {
                drop(open(options)?);
                opened += 1;
            }
            Ok(opened)
        };
        let threads: Vec<_> = (0..options.connections).map(|_| scope.spawn(opening)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum::<io::Result<u64>>()
    })?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(&options.pids) - cpu_before);
    println!(
        "{{\"opened\": {opened}, \"seconds\": {seconds:.3}, \"opened_per_s\": {:.0}, \"cpu_ms_each\": {:.3}}}",
        opened as f64 / seconds,
        cpu / opened as f64 * 1e3
    );
    Ok(())
}
