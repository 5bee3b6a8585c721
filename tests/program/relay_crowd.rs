//! Many connections through the relay at once, and too many.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;
use wsinspect::wire::Opcode;
use wsinspect::wire::handshake::accept_key;

use crate::support::{Client, KEY, Program, exchange, request};

/// Connections at once.
const CROWD: usize = 1_000;
/// The same where there is time, and as many file descriptors as that takes.
const CROWD_IN_CI: usize = 5_000;
/// Kilobytes that each of them may cost, and what the program takes without any.
const KILOBYTES_EACH: u64 = 64;
const MEGABYTES: u64 = 30;

/// A server that agrees to every WebSocket and sends back what a text holds, a thread for all of them.
fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
    });
    address
}

async fn echo(mut stream: tokio::net::TcpStream) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let accept = accept_key(KEY);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).await?;
    loop {
        // texts below 126 bytes, masked
        let mut header = [0; 6];
        stream.read_exact(&mut header).await?;
        let mut payload = vec![0; usize::from(header[1] & 0x7F)];
        stream.read_exact(&mut payload).await?;
        payload.iter_mut().enumerate().for_each(|(i, byte)| *byte ^= header[2 + i % 4]);
        stream.write_all(&[&[0x81, payload.len() as u8][..], &payload].concat()).await?;
    }
}

#[test]
fn thousands_of_connections_chat_through_the_relay_within_the_documented_memory() {
    let in_ci = std::env::var_os("WSINSPECT_CI").is_some();
    // both ends of every connection on both sides of the relay, which has descriptors of its own
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, all);
    let room = limit.maximum.map_or(usize::MAX, |limit| (limit as usize).saturating_sub(500) / 2);
    let wanted = if in_ci { CROWD_IN_CI } else { CROWD };
    let crowd = wanted.min(room);
    if crowd < wanted {
        eprintln!("SKIPPED in part: {crowd} connections instead of {wanted}, for want of file descriptors (ulimit -n)");
    }
    let program = Program::relay("0", &[&echo_server(), "--format", "json", "--payload-limit", "0"]);
    let before = program.resident_megabytes();
    assert!(before < MEGABYTES, "{before} MB");
    let mut clients: Vec<_> = (0..crowd).map(|_| Client::open(program.address())).collect();
    let idle = program.resident_megabytes();
    // every second one chats
    for round in 0..3 {
        for (n, client) in clients.iter_mut().enumerate().step_by(2) {
            client.message(Opcode::TEXT, format!("{n} in round {round}").as_bytes());
        }
        for (n, client) in clients.iter_mut().enumerate().step_by(2) {
            assert_eq!(client.read_frame().1, format!("{n} in round {round}").as_bytes());
        }
    }
    let resident = program.resident_megabytes();
    eprintln!("{crowd} connections: {before} MB before, {idle} MB idle, {resident} MB after half of them chatted");
    assert!(resident < MEGABYTES + crowd as u64 * KILOBYTES_EACH / 1024, "{resident} MB");
}

#[test]
fn one_connection_too_many_is_told_so_and_when_another_is_gone_there_is_room_again() {
    let program = Program::relay("0", &[&echo_server(), "--format", "json", "--max-connections", "2"]);
    let first = Client::open(program.address());
    let mut second = Client::open(program.address());
    for conn in [3, 4] {
        let response = exchange(program.address(), request("").as_bytes());
        let sentence = "There are 2 connections already, as many as --max-connections allows.";
        assert_eq!((response.status, response.body), (503, format!("{sentence}\n").into_bytes()));
        let refused = program.event("the refusal", |event| event["event"] == "refused" && event["conn"] == conn);
        assert_eq!((&refused["status"], &refused["request"]["line"]), (&json!(503), &json!("GET /chat HTTP/1.1")));
        assert!(refused["reason"].as_str().unwrap().ends_with(sentence), "{refused}");
    }
    drop(first);
    program.close_event(1);
    // its place is free a moment after that was recorded
    crate::support::eventually("room", || {
        let mut client = TcpStream::connect(program.address()).unwrap();
        client.write_all(request("").as_bytes()).unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).unwrap();
        (&status == b"HTTP/1.1 101").then_some(())
    });
    second.echoes("not disturbed");
}

#[test]
fn without_file_descriptors_newcomers_are_told_so_and_service_resumes() {
    // with the last descriptor a connection comes in, or goes on to the server
    for descriptors in 40..44 {
        runs_out_of(descriptors);
    }
}

fn runs_out_of(descriptors: usize) {
    let program = Program::relay_with_descriptors(descriptors as u64, &[&echo_server(), "--format", "json"]);
    let mut clients = Vec::new();
    let refusal = loop {
        assert!(clients.len() < descriptors, "it has {descriptors} descriptors");
        let mut client = Client::bare(program.address());
        client.send(request("").as_bytes());
        let mut status = [0; 12];
        client.stream.read_exact(&mut status).unwrap();
        if &status != b"HTTP/1.1 101" {
            break (String::from_utf8(status.to_vec()).unwrap(), client.read_to_end());
        }
        clients.push(client);
    };
    assert!(clients.len() > 5, "{refusal:?}");
    assert!(["HTTP/1.1 502", "HTTP/1.1 503"].contains(&refusal.0.as_str()), "{refusal:?}");
    assert!(String::from_utf8_lossy(&refusal.1).contains("no file descriptors left"), "{refusal:?}");
    // another one, while none is free
    let response = exchange(program.address(), request("").as_bytes());
    assert!(String::from_utf8_lossy(&response.body).contains("no file descriptors left"), "{response:?}");
    let half = clients.len() / 2;
    clients.truncate(half);
    crate::support::eventually("service", || {
        let mut client = TcpStream::connect(program.address()).unwrap();
        client.write_all(request("").as_bytes()).unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).unwrap();
        (&status == b"HTTP/1.1 101").then_some(())
    });
}
