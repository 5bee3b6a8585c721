//! Traffic is never held up, and memory is bounded: whoever does not read, whatever a peer withholds or sends.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wsinspect::wire::{CloseCode, Header, Opcode, frame};

use crate::support::{Client, Program, eventually, masked};

/// What the program may hold, however long nobody reads.
const BOUND: u64 = 100;

/// Writes `frame` over and over until the server takes no more for half a second, or `most` bytes are written.
fn write_until_held_back(stream: &mut TcpStream, frame: &[u8], most: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut written = 0;
    let mut at = 0;
    while written < most {
        match stream.write(&frame[at..]) {
            Ok(n) => {
                written += n;
                at = (at + n) % frame.len();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("the server closed: {error}"),
        }
    }
    written
}

#[test]
fn a_reader_of_the_output_that_stops_holds_up_no_echo() {
    // the program's output is a pipe that nobody reads
    let program = Program::start("0", &["--format", "json"], &[], false);
    let mut client = Client::open(program.address());
    let text = "x".repeat(10_000);
    for _ in 0..300 {
        client.echoes(&text);
    }
    Client::open(program.address()).echoes("and a new client");
    client.close(CloseCode::NORMAL, "");
}

#[test]
fn a_reader_of_the_output_that_stops_keeps_the_program_from_ending_for_about_a_second() {
    let mut program = Program::start("0", &["--format", "json"], &[], false);
    let mut client = Client::open(program.address());
    for _ in 0..30 {
        client.echoes(&"x".repeat(10_000));
    }
    client.close(CloseCode::NORMAL, "");
    program.signal(rustix::process::Signal::TERM);
    let began = Instant::now();
    assert_eq!(program.wait(crate::support::PATIENCE).code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_client_that_is_gone_while_it_is_held_back_is_known_to_be_gone() {
    let program = Program::json(&["--payload-limit", "10"]);
    let mut client = Client::open(program.address());
    let payload = vec![b'x'; 1 << 20];
    let bytes = frame(&masked(Opcode::BINARY, payload.len()), &payload);
    let written = write_until_held_back(&mut client.stream, &bytes, 64 << 20);
    assert!(written < 64 << 20, "nothing held it back");
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
    drop(client);
    let close = program.close_event(1);
    assert_eq!((&close["how"], &close["by"]), (&json!("reset"), &json!("client")), "{close}");
}

#[test]
fn a_client_that_does_not_read_its_echoes_is_held_back_and_costs_bounded_memory() {
    let program = Program::start("0", &["--payload-limit", "10"], &[], true);
    let mut deaf = Client::open(program.address());
    let message = frame(&masked(Opcode::BINARY, 1 << 20), &vec![7; 1 << 20]);
    let written = write_until_held_back(&mut deaf.stream, &message, 200 << 20);
    assert!(written < 200 << 20, "it was never held back");
    assert!(program.resident_megabytes() < BOUND, "{} MB", program.resident_megabytes());
    for _ in 0..3 {
        Client::open(program.address()).echoes("served");
    }
}

#[test]
fn a_flood_of_pings_that_nobody_reads_the_answers_of_costs_bounded_memory() {
    let program = Program::start("0", &["--payload-limit", "10"], &[], false);
    let mut deaf = Client::open(program.address());
    let pings = frame(&masked(Opcode::PING, 0), b"").repeat(10_000);
    write_until_held_back(&mut deaf.stream, &pings, 20 << 20);
    assert!(program.resident_megabytes() < 3 * BOUND, "{} MB", program.resident_megabytes());
    Client::open(program.address()).echoes("served");
}

#[test]
fn a_message_that_never_ends_costs_no_more_than_the_limit() {
    let program = Program::json(&["--max-message", "1MiB", "--payload-limit", "10"]);
    let mut client = Client::open(program.address());
    let start = masked(Opcode::BINARY, 64 << 10).with_fin(false);
    let more = Header { opcode: Opcode::CONTINUATION, ..start };
    let piece = vec![0; 64 << 10];
    client.send_frame(&start, &piece);
    for _ in 0..16 {
        client.send_frame(&more, &piece);
    }
    assert_eq!(client.read_close().0, Some(CloseCode::MESSAGE_TOO_BIG));
    // a length alone reserves nothing
    let mut boaster = Client::open(program.address());
    let boast = Header { length: 16 << 20, ..masked(Opcode::BINARY, 1 << 16) };
    boaster.send_frame(&boast, b"a");
    Client::open(program.address()).echoes("served");
    assert!(program.resident_megabytes() < BOUND);
}

#[test]
fn with_tolerant_a_frame_beyond_every_limit_passes_at_bounded_memory() {
    let program = Program::json(&["--tolerant", "--max-frame", "1M", "--max-message", "1M", "--payload-limit", "10"]);
    let mut client = Client::open(program.address());
    let piece = vec![0; 1 << 20];
    client.send_frame(&Header { length: 150 << 20, ..masked(Opcode::BINARY, 1 << 16) }, b"");
    for _ in 0..150 {
        client.send(&piece);
    }
    client.message(Opcode::PING, b"through");
    while client.read_frame().1 != b"through" {}
    assert!(program.resident_megabytes() < BOUND, "{} MB", program.resident_megabytes());
    let event = program.event("the frame", |event| event["type"] == "binary" && event["from"] == "client");
    assert_eq!((&event["length"], &event["truncated"]), (&json!(150 << 20), &json!(true)));
    assert_eq!(event["findings"][0]["rule"], "frame-too-big");
}

#[test]
fn five_hundred_connections_at_once_are_served() {
    let program = Program::json(&[]);
    let mut clients: Vec<_> = (0..500).map(|_| Client::open(program.address())).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.message(Opcode::TEXT, format!("I am {n}").as_bytes());
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read_frame().1, format!("I am {n}").as_bytes());
    }
    assert!(program.resident_megabytes() < BOUND);
}

#[test]
fn connections_that_send_nothing_keep_nobody_else_out() {
    let program = Program::json(&[]);
    let silent: Vec<_> = (0..500).map(|_| Client::bare(program.address())).collect();
    Client::open(program.address()).echoes("served");
    drop(silent);
    let mut refused = 0;
    program.stdout().wait("their ends", |lines| {
        refused = lines.iter().filter(|line| line.contains(r#""event":"refused""#)).count();
        (refused == 500).then_some(())
    });
}

#[test]
fn a_broadcast_reaches_every_open_connection_the_senders_too() {
    let program = Program::json(&["--reply", "broadcast"]);
    let mut clients: Vec<_> = (0..4).map(|_| Client::open(program.address())).collect();
    let gone = Client::open(program.address());
    gone.close(CloseCode::NORMAL, "");
    let unopened = Client::bare(program.address());
    for (n, opcode) in [Opcode::TEXT, Opcode::BINARY].into_iter().enumerate() {
        let text = format!("number {n}");
        // in two fragments; it goes out as one message
        let (one, two) = text.as_bytes().split_at(3);
        clients[n].send_frame(&masked(opcode, 3).with_fin(false), one);
        clients[n].send_frame(&masked(Opcode::CONTINUATION, two.len()), two);
        for client in &mut clients {
            let (header, payload) = client.read_frame();
            assert_eq!((header.opcode, header.fin, payload.as_slice()), (opcode, true, text.as_bytes()));
        }
    }
    drop(unopened);
}

#[test]
fn a_receiver_too_slow_for_the_broadcast_is_closed_with_1008_and_holds_up_nobody() {
    let program = Program::json(&["--reply", "broadcast", "--payload-limit", "10"]);
    let mut slow = Client::open(program.address());
    let mut sender = Client::open(program.address());
    let mut other = Client::open(program.address());
    let payload = vec![1; 1 << 20];
    for _ in 0..40 {
        sender.message(Opcode::BINARY, &payload);
        assert_eq!(sender.read_frame().1.len(), payload.len());
        assert_eq!(other.read_frame().1.len(), payload.len());
    }
    // what was queued for it before comes first; then it is told why it has to go
    let close = loop {
        let (header, payload) = slow.read_frame();
        if header.opcode == Opcode::CLOSE {
            break payload;
        }
    };
    assert_eq!(close[..2], 1008_u16.to_be_bytes());
    slow.message(Opcode::CLOSE, &close[..2]);
    slow.ended();
    let frame = program.event("the close frame", |event| event["type"] == "close" && event["from"] == "server");
    assert_eq!(frame["origin"], "endpoint", "the user did not ask for it");
    let event = program.close_event(1);
    assert_eq!((&event["code"], &event["by"], &event["how"]), (&json!(1008), &json!("wsinspect"), &json!("handshake")));
    sender.message(Opcode::TEXT, b"still here");
    assert_eq!(other.read_frame().1, b"still here");
}

#[test]
fn a_receiver_that_reads_nothing_of_the_broadcast_is_dropped_and_costs_bounded_memory() {
    let program = Program::json(&["--reply", "broadcast", "--payload-limit", "10"]);
    let deaf = Client::open(program.address());
    let mut sender = Client::open(program.address());
    let payload = vec![1; 1 << 20];
    for _ in 0..60 {
        sender.message(Opcode::BINARY, &payload);
        sender.read_frame();
    }
    assert!(program.resident_megabytes() < BOUND, "{} MB", program.resident_megabytes());
    let event = program.close_event(1);
    assert_eq!((&event["how"], &event["clean"]), (&json!("timeout"), &json!(false)), "{event}");
    drop(deaf);
}

#[test]
fn with_reply_none_messages_are_checked_and_forgotten_and_pings_answered() {
    let program = Program::json(&["--reply", "none"]);
    let mut client = Client::open(program.address());
    client.message(Opcode::TEXT, b"nothing comes of it");
    client.message(Opcode::PING, b"you there?");
    assert_eq!(client.read_frame(), (Header::new(Opcode::PONG, None, 10), b"you there?".to_vec()));
    client.message(Opcode::TEXT, b"\xFF");
    assert_eq!(client.read_close().0, Some(CloseCode::INVALID_PAYLOAD));
}

#[test]
fn with_no_auto_pong_a_ping_is_not_answered() {
    let program = Program::json(&["--no-auto-pong"]);
    let mut client = Client::open(program.address());
    client.message(Opcode::PING, b"you there?");
    client.echoes("the echo comes first");
    client.close(CloseCode::NORMAL, "");
}

#[test]
fn a_peer_that_answers_its_pings_stays_and_one_that_does_not_is_given_up() {
    let program = Program::json(&["--ping-interval", "200ms"]);
    let mut alive = Client::open(program.address());
    let mut dead = Client::open(program.address());
    for _ in 0..4 {
        let (header, payload) = alive.read_frame();
        assert_eq!(header.opcode, Opcode::PING);
        alive.message(Opcode::PONG, &payload);
    }
    assert_eq!(dead.read_frame().0.opcode, Opcode::PING);
    assert_eq!(dead.read_close().0, Some(CloseCode::INTERNAL_ERROR));
    // the dead do not close their side either
    let close = eventually("the end of the dead", || {
        let (header, payload) = alive.read_frame();
        assert_eq!(header.opcode, Opcode::PING);
        alive.message(Opcode::PONG, &payload);
        program.stdout().wait("anything", |lines| {
            Some(
                lines
                    .iter()
                    .find(|line| line.contains(r#""event":"close""#))
                    .map(|line| serde_json::from_str::<Value>(line).unwrap()),
            )
        })
    });
    assert_eq!(close["conn"], 2);
    assert_eq!((&close["how"], &close["by"], &close["clean"]), (&json!("timeout"), &json!("wsinspect"), &json!(false)));
    assert!(close["verdict"].as_str().unwrap().contains("ping"), "{close}");
    let _ = dead.stream.shutdown(Shutdown::Both);
}
