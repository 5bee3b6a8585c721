//! Frames that the user composes, on the wire: as they are, whatever they break.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wsinspect::capture::{self, Capture, Clock, ConnectionId, Recording};
use wsinspect::compose::{Composed, ComposedFrame, Preset};
use wsinspect::control::{Command, Control, Outgoing};
use wsinspect::lint::{Group, Limits, Rule};
use wsinspect::net::{self, Dialler, RelayOptions, Rewriting};
use wsinspect::wire::{CloseCode, Header, LengthForm, MaskingKey, Opcode, Side, frame};

use crate::injection::{Relay, read, read_frame};
use crate::screen::{address_after, panel, quit};
use crate::support::{Client, Program, Terminal, eventually};

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

fn composed(frames: Vec<ComposedFrame>, writes: usize, delay: Duration) -> Outgoing {
    Outgoing::Composed(Composed::new(frames, writes, delay).unwrap())
}

fn fresh() -> MaskingKey {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0x0a0b_0c0d);
    MaskingKey(NEXT.fetch_add(0x0101_0107, Ordering::Relaxed).to_be_bytes())
}

/// The rules that the frames of connection `conn` break, as far as `events` tell.
fn broken(events: &[Value], conn: u64) -> Vec<String> {
    let frames = events.iter().filter(|event| event["event"] == "frame" && event["conn"] == conn);
    let findings = frames.flat_map(|frame| frame["findings"].as_array().unwrap().clone());
    findings.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_preset_sent_to_serve_draws_the_finding_that_it_names_and_the_close_code_of_the_catalogue() {
    let server = Program::json(&[]);
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::create(Some(&folder.path().join("relay.pcapng")), false).unwrap();
    let capture = Arc::new(Capture::new(recording.reader()));
    let seen = capture.clone();
    let (recorder, thread) = capture::start(recording.writer("a test").unwrap(), capture, Limits::default()).unwrap();
    let (control, commands) = Control::new();
    let options = RelayOptions {
        tls: None,
        upstream_tls: None,
        upstream: server.address().to_string().parse().unwrap(),
        rewriting: Rewriting { host: true, origin: false },
        dialler: Dialler::default(),
        clock: Clock::start(),
        max_connections: 100,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (relay, address) = runtime.block_on(async {
        let listener = net::listen("127.0.0.1", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        (net::relay(listener, options, recorder, commands), address)
    });

    let presets = Preset::all(Side::Client, true);
    let mut expected = Vec::new();
    for (conn, preset) in (1..).zip(&presets) {
        let rule = if let Preset::Breaks(rule) = preset { Some(*rule) } else { None };
        let deflate = rule.is_some_and(|rule| rule.group() == Group::Compression);
        let mut client = Client::open_with(address, if deflate { DEFLATE } else { "" });
        let frames = preset.frames(Side::Client, fresh);
        let count = frames.len();
        let send = composed(frames, 1, Duration::ZERO);
        let closes = matches!(rule, Some(Rule::FrameAfterClose)) || preset.name().starts_with("a close");
        control.send(Command { connection: ConnectionId(conn), to: Side::Server, send });
        let name = preset.name();
        match rule.and_then(Rule::close_code) {
            Some(code) => assert_eq!(client.read_close().0, Some(code), "{name}"),
            None if closes => {
                let expected = name.ends_with("1000").then_some(CloseCode::NORMAL);
                assert_eq!(client.read_close().0, expected, "{name}");
            }
            None => {
                // what the user sends goes its own way: the ping is to come behind it
                eventually("the frames of the user", || {
                    let index = seen.index();
                    let frames = index.frames(1..u64::MAX);
                    let of_user =
                        frames.iter().filter(|(_, frame)| frame.is_injected() && frame.connection().0 == conn);
                    (of_user.count() == count).then_some(())
                });
                client.message(Opcode::PING, b"still open?");
                while client.read_frame().1 != b"still open?" {}
            }
        }
        client.close_unread();
        server.close_event(conn.into());
        expected.push(rule.map(|rule| rule.id().to_owned()));
    }
    let events = server.finish();
    for ((conn, preset), rule) in (1..).zip(&presets).zip(expected) {
        assert_eq!(broken(&events, conn), Vec::from_iter(rule), "{}", preset.name());
    }
    runtime.block_on(relay.stop());
    thread.join();
}

#[test]
fn a_frame_in_several_writes_arrives_whole_and_what_comes_meanwhile_waits() {
    let mut relay = Relay::open();
    let delay = Duration::from_millis(40);
    let payload = b"slowly, in six writes".to_vec();
    let lie = Header { length_form: LengthForm::Bits64, ..Header::new(Opcode::TEXT, Some(fresh()), 21) };
    let slow = ComposedFrame { header: lie, payload: payload.clone() };
    let expected = frame(&lie, &payload);
    relay.send(Side::Server, composed(vec![slow], 6, delay));
    let first = read(&mut relay.upstream, 1);
    // the frame is on its way: neither the client's bytes nor a ping of ours go in between
    let next = frame(&Header::new(Opcode::TEXT, Some(MaskingKey(*b"next")), 4), b"next");
    relay.client.write_all(&next).unwrap();
    relay.send(Side::Server, Outgoing::Ping(b"later".to_vec()));
    // the other direction does not wait
    relay.upstream.write_all(b"\x81\x02hi").unwrap();
    assert_eq!(read(&mut relay.client, 4), b"\x81\x02hi");
    let rest = read(&mut relay.upstream, expected.len() - 1);
    assert_eq!([first, rest].concat(), expected);
    let mut after = [read_frame(&mut relay.upstream).1, read_frame(&mut relay.upstream).1];
    after.sort();
    assert_eq!(after, [b"later".to_vec(), b"next".to_vec()]);
    let (frames, _) = relay.finish();
    let slow = frames.iter().find(|frame| frame["length"] == 21).unwrap();
    assert_eq!((&slow["origin"], &slow["edit"]), (&"user".into(), &"injected".into()));
    assert_eq!(slow["findings"][0]["rule"], "length-not-minimal");
    assert_eq!(slow["chunks"], 6, "{slow}");
}

#[test]
fn an_end_of_the_program_waits_for_no_delay() {
    let mut relay = Relay::open();
    let ping = ComposedFrame::new(Opcode::PING, Some(fresh()), b"in two writes");
    let expected = frame(&ping.header, &ping.payload);
    relay.send(Side::Server, composed(vec![ping], 2, Composed::MAX_DELAY));
    let mut got = read(&mut relay.upstream, expected.len() / 2);
    let (mut upstream, client) = (relay.upstream.try_clone().unwrap(), relay.client.try_clone().unwrap());
    let stopping = std::thread::spawn(move || relay.stop());
    got.extend(read(&mut upstream, expected.len() - got.len()));
    assert_eq!(got, expected);
    assert_eq!(read_frame(&mut upstream).0.opcode, Opcode::CLOSE);
    drop((upstream, client));
    stopping.join().unwrap();
}

#[test]
fn composed_by_keys_a_broken_frame_goes_from_serve_to_the_client() {
    let (mut terminal, address) = panel((80, 24), &[]);
    let mut client = Client::open(address);
    client.echoes("ready");
    terminal.wait_for("\"ready\"");
    terminal.keys("b");
    terminal.wait_for("compose, to the client of connection 1");
    terminal.wait_for("By itself it breaks no rule.");
    terminal.keys("f");
    terminal.wait_for("break fragmented-control");
    terminal.wait_for("! fragmented-control");
    terminal.keys("\r");
    assert_eq!(client.read_frame().0, Header::new(Opcode::PING, None, 0).with_fin(false));
    // the same again, from the list, once it is there
    terminal.wait_for("frame sent to connection 1");
    terminal.wait_for("row 3 of 3");
    terminal.keys("Gr");
    terminal.wait_for("frame 3 sent again to connection 1");
    assert_eq!(client.read_frame().0, Header::new(Opcode::PING, None, 0).with_fin(false));
    terminal.keys("e");
    terminal.wait_for("as it was");
    terminal.keys("\t1\r");
    assert_eq!(client.read_frame().0, Header::new(Opcode::PING, None, 0));
    quit(&mut terminal);
}

#[test]
fn a_close_composed_in_serve_begins_the_closing_handshake() {
    let (mut terminal, address) = panel((120, 36), &[]);
    let mut client = Client::open(address);
    client.echoes("ready");
    terminal.wait_for("\"ready\"");
    terminal.keys("b");
    terminal.wait_for("compose, to");
    terminal.keys("a");
    while !terminal.screen().contents().contains("a close, 1000") {
        terminal.keys("a");
        terminal.settled();
    }
    // one byte of it now, the rest later
    terminal.keys(&"\t".repeat(13));
    terminal.keys("4\t20\r");
    assert_eq!(client.read_close(), (Some(CloseCode::NORMAL), String::new()));
    client.message(Opcode::CLOSE, b"\x03\xe8");
    client.ended();
    terminal.wait_for("0 open");
    assert!(!terminal.screen().contents().contains("frame-after-close"), "our close is not answered by a second one");
    quit(&mut terminal);
}

#[test]
fn composed_by_keys_in_a_relay_a_handful_of_presets_fails_the_connection_as_the_screen_foretold() {
    let server = Program::serve(&[]);
    let upstream = server.address().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let mut terminal = Terminal::start(program, (120, 36), &["relay", "127.0.0.1:0", &upstream]);
    terminal.wait_for("relay 127.0.0.1:");
    let address = address_after(&terminal, "relay ");
    for (n, (keys, rule, code)) in (1..).zip([
        ("u", "unmasked-client-frame", 1002),
        ("f", "fragmented-control", 1002),
        ("i", "invalid-utf8", 1007),
        ("d", "data-inside-message", 1002),
    ]) {
        let mut client = Client::open(address);
        terminal.wait_for(&format!("conn {n}  to: server >"));
        terminal.keys("b");
        terminal.wait_for(&format!("compose, to the server of connection {n}"));
        terminal.keys(keys);
        terminal.wait_for(&format!("! {rule}"));
        terminal.wait_for(&format!("fails with {code}"));
        terminal.keys("\r");
        let (answer, reason) = client.read_close();
        assert_eq!(answer, Some(CloseCode(code)));
        assert!(reason.starts_with(rule), "{reason}");
        client.ended();
        terminal.wait_for("0 open");
    }
    quit(&mut terminal);
}

#[test]
fn a_composed_frame_of_the_largest_size_passes() {
    let mut relay = Relay::open();
    let big = ComposedFrame::new(Opcode::BINARY, Some(fresh()), &vec![7; Composed::MAX_PAYLOAD]);
    let expected = frame(&big.header, &big.payload);
    relay.send(Side::Server, composed(vec![big], Composed::MAX_WRITES, Duration::ZERO));
    assert!(read(&mut relay.upstream, expected.len()) == expected);
    let (frames, _) = relay.finish();
    assert_eq!(frames[0]["length"], Composed::MAX_PAYLOAD);
}
