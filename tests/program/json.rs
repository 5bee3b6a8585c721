//! JSON Lines: every event's keys, types and values, which scripts hold on to.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wsinspect::wire::{CloseBody, CloseCode, Header, Opcode, Side, encode_header, frame};

use crate::support::{Client, Program, masked};

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Takes `time` out of an event, which is a plausible number of Unix seconds with microseconds.
#[track_caller]
fn take_time(event: &mut Value, began: f64) -> f64 {
    let time = event.as_object_mut().unwrap().remove("time").unwrap();
    assert!(time.is_f64(), "{time}");
    let decimals = time.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
    assert!(decimals <= 6, "{time}");
    let time = time.as_f64().unwrap();
    assert!((began - 1.0..now() + 1.0).contains(&time), "{time}");
    time
}

/// One direction of a connection as it ought to be reported.
struct Reported {
    from: Side,
    conn: u64,
    offset: u64,
}

impl Reported {
    fn new(from: Side, conn: u64) -> Self {
        Self { from, conn, offset: 0 }
    }

    /// The next frame of this direction, without `time` and `n`, all in one chunk and breaking no rule.
    fn frame(&mut self, header: &Header, payload: &[u8], text: Option<&str>) -> Value {
        let mut bytes = Vec::new();
        encode_header(header, &mut bytes);
        let offset = self.offset;
        self.offset += (bytes.len() + payload.len()) as u64;
        let close = match CloseBody::parse(payload) {
            CloseBody::Code(code, reason) if header.opcode == Opcode::CLOSE => {
                json!({"code": code.0, "reason": String::from_utf8_lossy(reason)})
            }
            _ => Value::Null,
        };
        json!({
            "event": "frame",
            "conn": self.conn,
            "from": self.from.name(),
            "offset": offset,
            "fin": header.fin,
            "rsv": header.rsv.value(),
            "opcode": header.opcode.value(),
            "type": header.opcode.name(),
            "masked": header.masking_key.is_some(),
            "masking_key": header.masking_key.map(|key| hex::encode(key.0)),
            "length": header.length,
            "length_form": header.length_form.bits(),
            "header": hex::encode(bytes),
            "payload": hex::encode(payload),
            "text": text,
            "close": close,
            "compressed": false,
            "chunks": 1,
            "origin": if self.from == Side::Client { "peer" } else { "endpoint" },
            "edit": null,
            "findings": [],
        })
    }
}

fn server_header(opcode: Opcode, length: usize) -> Header {
    Header::new(opcode, None, length as u64)
}

#[test]
fn a_session_is_reported_event_by_event_with_every_field() {
    let began = now();
    let program = Program::json(&["--subprotocol", "chat", "-H", "X-Extra: yes"]);
    let more = "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat\r\nsec-websocket-extensions: x-unknown\r\n";
    let mut client = Client::open_with(program.address(), more);
    let address = client.address();
    let (mut up, mut down) = (Reported::new(Side::Client, 1), Reported::new(Side::Server, 1));
    let mut expected = vec![json!({
        "event": "open",
        "conn": 1,
        "client": address.to_string(),
        "server": program.address().to_string(),
        "target": "/chat",
        "request": {
            "line": "GET /chat HTTP/1.1",
            "headers": [
                ["Host", "localhost"],
                ["Upgrade", "websocket"],
                ["Connection", "Upgrade"],
                ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
                ["Sec-WebSocket-Version", "13"],
                ["Origin", "http://example.com"],
                ["Sec-WebSocket-Protocol", "chat"],
                ["sec-websocket-extensions", "x-unknown"],
            ],
        },
        "response": {
            "line": "HTTP/1.1 101 Switching Protocols",
            "headers": [
                ["Upgrade", "websocket"],
                ["Connection", "Upgrade"],
                ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
                ["Sec-WebSocket-Protocol", "chat"],
                ["X-Extra", "yes"],
            ],
        },
        "subprotocol": "chat",
        "extensions": null,
        "findings": [],
    })];

    // each is answered before the next is sent, so that every frame comes in one chunk
    for length in [0_usize, 6, 125, 126, 5000] {
        let letters = "é\"\n\u{7f}z".bytes().cycle().take(length / 6 * 6).collect::<Vec<_>>();
        let text = String::from_utf8(letters).unwrap();
        for (opcode, payload, text) in
            [(Opcode::TEXT, text.as_bytes(), Some(text.as_str())), (Opcode::BINARY, &vec![0xA5; length][..], None)]
        {
            let header = masked(opcode, payload.len());
            assert_eq!(client.send_frame(&header, payload).len(), header.len() + payload.len());
            expected.push(up.frame(&header, payload, text));
            let (echo, echoed) = client.read_frame();
            assert_eq!((echo, echoed.as_slice()), (server_header(opcode, payload.len()), payload));
            expected.push(down.frame(&echo, payload, text));
        }
    }
    let header = masked(Opcode::PING, 5);
    client.send_frame(&header, b"hi \xFF!");
    expected.push(up.frame(&header, b"hi \xFF!", None));
    let (pong, _) = client.read_frame();
    assert_eq!(pong, server_header(Opcode::PONG, 5));
    expected.push(down.frame(&pong, b"hi \xFF!", None));
    let header = masked(Opcode::CLOSE, 11);
    let body = CloseBody::encode(CloseCode(3999), "reason \u{e9}");
    let header = Header { length: body.len() as u64, ..header };
    client.send_frame(&header, &body);
    expected.push(up.frame(&header, &body, None));
    client.read_close();
    expected.push(down.frame(&server_header(Opcode::CLOSE, 2), &body[..2], None));
    client.ended();
    program.close_event(1);

    let mut events = program.finish();
    let mut last_time = began - 1.0;
    for event in &mut events {
        let time = take_time(event, began);
        assert!(time >= last_time, "time goes back: {event}");
        last_time = time;
    }
    let mut close = events.pop().unwrap();
    let verdict = close.as_object_mut().unwrap().remove("verdict").unwrap();
    assert_eq!(
        verdict,
        "The client closed with 3999 (library or framework), and the server answered with the same code: the closing handshake is complete; then the server ended the TCP connection (FIN)."
    );
    let pings = close.as_object_mut().unwrap().remove("pings").unwrap();
    let round_trip = pings["client"]["round_trip"]["mean"].as_f64().unwrap();
    assert!((0.0..10.0).contains(&round_trip), "{pings}");
    assert_eq!((&pings["client"]["answered"], &pings["server"]["sent"]), (&json!(1), &json!(0)));
    assert_eq!(
        close,
        json!({"event": "close", "conn": 1, "code": 3999, "reason": "reason é", "by": "client", "clean": true, "how": "handshake"})
    );
    for (n, frame) in expected.iter_mut().skip(1).enumerate() {
        frame["n"] = json!(n + 1);
    }
    assert_eq!(events.len(), expected.len());
    for (event, expected) in events.iter().zip(&expected) {
        assert_eq!(event, expected);
    }
}

#[test]
fn each_way_to_write_the_length_is_reported_with_it() {
    let program = Program::json(&["--reply", "none"]);
    let mut client = Client::open(program.address());
    let lengths = [(0, 7), (125, 7), (126, 16), (65535, 16), (65536, 64)];
    for (length, _) in lengths {
        client.message(Opcode::BINARY, &vec![7; length]);
    }
    client.close(CloseCode::NORMAL, "");
    let events = program.finish();
    for ((length, form), event) in lengths.into_iter().zip(&events[1..]) {
        assert_eq!((&event["length"], &event["length_form"]), (&json!(length), &json!(form)));
        assert_eq!(
            event["header"].as_str().unwrap().len(),
            2 * (6 + [(7, 0), (16, 2), (64, 8)].into_iter().find(|(bits, _)| *bits == form).unwrap().1)
        );
        assert_eq!(event["payload"].as_str().unwrap(), "07".repeat(length));
    }
}

#[test]
fn a_frame_of_16_mib_is_reported_whole_and_in_many_chunks() {
    let program = Program::json(&["--reply", "none"]);
    let mut client = Client::open(program.address());
    let payload: Vec<u8> = (0..16_u32 << 20).map(|i| (i ^ i >> 9) as u8).collect();
    client.message(Opcode::BINARY, &payload);
    client.close(CloseCode::NORMAL, "");
    let events = program.finish();
    assert_eq!(events.len(), 5);
    let frame = &events[1];
    assert_eq!((&frame["length"], &frame["text"]), (&json!(16 << 20), &Value::Null));
    assert!(frame["chunks"].as_u64().unwrap() > 1);
    assert!(frame["payload"].as_str().unwrap() == hex::encode(&payload), "the payload");
    assert_eq!(frame.get("truncated"), None);
    assert_eq!(events[2]["offset"], (16 << 20) + 14, "the close frame follows");
}

#[test]
fn a_fragmented_message_is_reported_frame_by_frame_with_the_ping_between_and_once_whole() {
    let program = Program::json(&["--messages"]);
    let mut client = Client::open(program.address());
    // the border is inside the second character
    let (first, second) = "aé".as_bytes().split_at(2);
    let ping = masked(Opcode::PING, 2);
    client.send_frame(&masked(Opcode::TEXT, 2).with_fin(false), first);
    client.send_frame(&ping, b"hm");
    assert_eq!(client.read_frame().0.opcode, Opcode::PONG, "a ping is answered before the message is whole");
    client.send_frame(&masked(Opcode::CONTINUATION, 0).with_fin(false), b"");
    client.send_frame(&masked(Opcode::CONTINUATION, 1), second);
    assert_eq!(client.read_frame(), (server_header(Opcode::TEXT, 3), "aé".into()));
    client.message(Opcode::BINARY, b"\x00\xFF");
    client.read_frame();
    client.close(CloseCode::NORMAL, "");
    let events = program.finish();
    let shown: Vec<String> = events
        .iter()
        .map(|event| {
            format!("{} {} {} {}", event["event"], event["from"], event["type"], event["fin"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        shown,
        [
            "open null null null",
            "frame client text false",
            "frame client ping true",
            "frame server pong true",
            "frame client continuation false",
            "frame client continuation true",
            "message client text null",
            "frame server text true",
            "message server text null",
            "frame client binary true",
            "message client binary null",
            "frame server binary true",
            "message server binary null",
            "frame client close true",
            "frame server close true",
            "close null null null",
        ]
    );
    assert_eq!(events[1]["text"], Value::Null, "half a character is no text");
    assert_eq!(events[4]["text"], "", "it goes on with a text");
    assert_eq!(events[12]["payload"], "00ff");
    let mut message = events[6].clone();
    take_time(&mut message, now() - 60.0);
    assert_eq!(
        message,
        json!({
            "event": "message", "conn": 1, "from": "client", "first": 1, "last": 5, "fragments": 3, "type": "text",
            "compressed": false, "wire_length": 3, "length": 3, "text": "aé",
        })
    );
    let keys: Vec<&String> = events[10].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "compressed",
            "conn",
            "event",
            "first",
            "fragments",
            "from",
            "last",
            "length",
            "payload",
            "time",
            "type",
            "wire_length"
        ]
    );
}

#[test]
fn what_is_longer_than_the_payload_limit_is_cut_and_says_so() {
    let program = Program::json(&["--messages", "--payload-limit", "4", "--reply", "none"]);
    let mut client = Client::open(program.address());
    client.message(Opcode::TEXT, "abcé".as_bytes());
    client.message(Opcode::TEXT, b"abcd");
    client.message(Opcode::BINARY, b"\x01\x02\x03\x04\x05");
    client.close(CloseCode(4000), "a long reason");
    let events = program.finish();
    let cut = |event: &Value| {
        let [payload, text, truncated] = ["payload", "text", "truncated"].map(|key| event.get(key).cloned());
        (payload, text, truncated)
    };
    let null = Some(Value::Null);
    assert_eq!(cut(&events[1]), (Some(json!("616263c3")), Some(json!("abc")), Some(json!(true))));
    assert_eq!(events[1]["length"], 5, "the length stays that of the frame");
    assert_eq!(cut(&events[2]), (None, Some(json!("abc")), Some(json!(true))), "the message");
    assert_eq!(cut(&events[3]), (Some(json!("61626364")), Some(json!("abcd")), None));
    assert_eq!(cut(&events[5]), (Some(json!("01020304")), null.clone(), Some(json!(true))));
    assert_eq!(cut(&events[7]), (Some(json!("0fa06120")), null, Some(json!(true))));
    assert_eq!(events[7]["close"], json!({"code": 4000, "reason": "a long reason"}));
}

#[test]
fn a_frame_that_never_ends_is_reported_as_incomplete_when_the_connection_does() {
    let program = Program::json(&[]);
    let mut client = Client::open(program.address());
    let header = masked(Opcode::TEXT, 10);
    let bytes = frame(&header, b"0123456789");
    client.send(&bytes[..bytes.len() - 4]);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    client.ended();
    let close = program.close_event(1);
    let expected = ("fin", "client", false, Value::Null, Value::Null);
    assert_eq!(
        (&close["how"], &close["by"], &close["clean"], &close["code"], &close["reason"]),
        (&json!(expected.0), &json!(expected.1), &json!(expected.2), &expected.3, &expected.4)
    );
    let events = program.finish();
    let frame = &events[1];
    assert_eq!(frame["complete"], false);
    assert_eq!(
        (&frame["length"], &frame["payload"], &frame["text"]),
        (&json!(10), &json!("303132333435"), &json!("012345"))
    );
    assert_eq!(frame["header"], hex::encode(&bytes[..header.len()]));
}

#[test]
fn a_frame_that_comes_in_pieces_is_reported_with_how_many_there_were() {
    let program = Program::json(&["--reply", "none"]);
    let mut client = Client::open(program.address());
    client.message(Opcode::PING, b"");
    // whatever came before is recorded by then
    program.event("the pong", |event| event["type"] == "pong");
    client.read_frame();
    let bytes = frame(&masked(Opcode::TEXT, 3), b"abc");
    // a piece has been read when the recording has grown by it
    let recording = program.unnamed_recording();
    let length = || std::fs::metadata(&recording).unwrap().len();
    for piece in [&bytes[..1], &bytes[1..5], &bytes[5..8], &bytes[8..]] {
        let before = length();
        client.send(piece);
        crate::support::eventually("the piece", || (length() > before).then_some(()));
    }
    client.close(CloseCode::NORMAL, "");
    let events = program.finish();
    assert_eq!((&events[3]["chunks"], &events[3]["offset"], &events[3]["text"]), (&json!(4), &json!(6), &json!("abc")));
    assert_eq!(events[4]["offset"], 6 + 9);
}

#[test]
fn a_connection_that_is_reset_is_reported_as_such() {
    let program = Program::json(&["--reply", "echo"]);
    let mut client = Client::open(program.address());
    client.message(Opcode::TEXT, b"never read");
    program.event("the echo", |event| event["from"] == "server");
    // unread bytes make the kernel answer with a reset
    drop(client);
    let close = program.close_event(1);
    assert_eq!(
        (&close["how"], &close["by"], &close["clean"], &close["code"]),
        (&json!("reset"), &json!("client"), &json!(false), &Value::Null)
    );
}
