//! RFC 6455 5 and 6: an OPEN connection.

use super::*;
use crate::endpoint::{NotSent, Origin, Reply, State};
use crate::wire::{CloseCode, Message, Opcode};

#[test]
fn messages_are_echoed_with_their_opcode_and_without_a_mask() {
    let mut play = Play::open(Config::default());
    play.hears(client(Opcode::TEXT, "Hello")).says(b"\x81\x05Hello");
    play.hears(client(Opcode::BINARY, [0xFF, 0])).says(b"\x82\x02\xff\x00");
    play.hears(client(Opcode::TEXT, "")).says(b"\x81\x00");
    for length in [125, 126, 65535, 65536, 100_000] {
        let payload = vec![b'x'; length];
        play.hears(client(Opcode::BINARY, &payload)).says(server(Opcode::BINARY, &payload));
    }
}

#[test]
fn a_fragmented_message_is_echoed_whole_and_a_ping_in_its_midst_is_answered_at_once() {
    let mut play = Play::open(Config::default());
    play.hears(part(Opcode::TEXT, "Hel", false)).says_nothing();
    play.hears(client(Opcode::PING, "p")).says(server(Opcode::PONG, "p"));
    play.hears(part(Opcode::CONTINUATION, "", false)).says_nothing();
    play.hears(client(Opcode::CONTINUATION, "lo")).says(server(Opcode::TEXT, "Hello"));
    // a character may be cut by a border between fragments (RFC 6455 8.1)
    play.hears(part(Opcode::TEXT, &"\u{20ac}".as_bytes()[..1], false));
    play.hears(client(Opcode::CONTINUATION, &"\u{20ac}".as_bytes()[1..])).says(server(Opcode::TEXT, "\u{20ac}"));
}

#[test]
fn every_ping_is_answered_with_its_own_payload_and_pongs_are_not_answered() {
    let mut play = Play::open(Config::default());
    let heard: Vec<u8> = (0..10).flat_map(|i| client(Opcode::PING, format!("payload-{i}"))).collect();
    let said: Vec<u8> = (0..10).flat_map(|i| server(Opcode::PONG, format!("payload-{i}"))).collect();
    play.hears(heard).says(said);
    play.hears(client(Opcode::PING, [0xFE; 125])).says(server(Opcode::PONG, [0xFE; 125]));
    play.hears(client(Opcode::PONG, "unsolicited")).says_nothing();
    assert_eq!(play.endpoint.state(), State::Open);
}

#[test]
fn a_peer_can_be_left_without_pongs() {
    let mut play = Play::open(Config { auto_pong: false, ..Config::default() });
    play.hears(client(Opcode::PING, "p")).says_nothing();
}

#[test]
fn messages_can_be_handed_over_or_forgotten() {
    let mut play = Play::open(Config { reply: Reply::HandOver, ..Config::default() });
    play.hears([part(Opcode::TEXT, "a", false), client(Opcode::CONTINUATION, "b")].concat()).says_nothing();
    let message = Message { opcode: Opcode::TEXT, payload: b"ab".to_vec(), fragments: 2 };
    assert_eq!(play.events(), [Event::Message(message.clone())]);
    play.endpoint.send_message(&message, Origin::Endpoint).unwrap();
    play.says(server(Opcode::TEXT, "ab"));
    assert_eq!(play.by_user, [0_usize; 0]);

    let mut play = Play::open(Config { reply: Reply::Nothing, ..Config::default() });
    play.hears(client(Opcode::BINARY, "a")).says_nothing();
    assert_eq!(play.events(), []);
    play.hears(client(Opcode::TEXT, [0xFF]));
    assert_eq!(last_close(&play.takes()).0, 1007, "it is checked all the same");
}

#[test]
fn the_user_sends_and_each_frame_is_noted_as_the_users() {
    let mut play = Play::open(Config::default());
    play.hears(client(Opcode::TEXT, "echo"));
    play.endpoint.send_text("text").unwrap();
    play.endpoint.send_binary(b"bin").unwrap();
    play.endpoint.send_ping(b"ping").unwrap();
    play.endpoint.send_pong(b"pong").unwrap();
    play.says(b"\x81\x04echo\x81\x04text\x82\x03bin\x89\x04ping\x8a\x04pong");
    assert_eq!(play.by_user, [6, 12, 17, 23], "the echo is not the user's");
    assert_eq!(play.endpoint.send_ping(&[0; 126]), Err(NotSent::ControlTooLong));
    play.hears(client(Opcode::PONG, "ping")).says_nothing();
}

#[test]
fn a_fragmented_message_of_the_users_is_queued_whole() {
    let mut play = Play::open(Config::default());
    play.endpoint.send_fragments("Hello", 3, true).unwrap();
    play.hears(client(Opcode::PING, "p"));
    play.says(b"\x01\x01H\x89\x11between fragments\x00\x02el\x80\x02lo\x8a\x01p");
    assert_eq!(play.by_user, [0, 3, 22, 26], "the pong is not the user's");
    play.endpoint.send_fragments("ab", 4, false).unwrap();
    play.says(b"\x01\x00\x00\x01a\x00\x00\x80\x01b");
    play.endpoint.send_fragments("ab", 0, true).unwrap();
    play.says(b"\x81\x02ab");
}

#[test]
fn nothing_is_sent_before_the_handshake_or_after_a_close() {
    let mut play = Play::connected(Config::default());
    assert_eq!(play.endpoint.send_text("early"), Err(NotSent::NotOpen));
    play.hears(REQUEST).takes();
    play.endpoint.close(CloseCode::NO_STATUS, "", play.now).unwrap();
    play.says(b"\x88\x00");
    assert_eq!(play.endpoint.send_text("late"), Err(NotSent::NotOpen));
    assert_eq!(play.endpoint.send_ping(b"late"), Err(NotSent::NotOpen));
    assert_eq!(play.endpoint.close(CloseCode::NO_STATUS, "", play.now), Err(NotSent::NotOpen));
    play.says_nothing();
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_is_sent_nothing_more() {
    let mut play = Play::open(Config { high_water: 1000, ..Config::default() });
    play.hears(client(Opcode::BINARY, [0; 900]));
    assert!(play.endpoint.wants_read());
    play.hears(client(Opcode::BINARY, [0; 900]));
    assert!(!play.endpoint.wants_read());
    assert_eq!(play.endpoint.send_text("more"), Err(NotSent::Full));
    let waiting = play.endpoint.outbox().len();
    play.endpoint.written(waiting - 10, play.now);
    assert!(play.endpoint.wants_read());
    play.endpoint.send_text("more").unwrap();
}

#[test]
fn a_flood_of_empty_pings_is_not_read_on_when_the_peer_takes_no_answers() {
    let mut play = Play::open(Config { high_water: 1 << 20, ..Config::default() });
    let flood = client(Opcode::PING, "").repeat(1000);
    let rounds = (1..1000).find(|_| !play.hears(&flood).endpoint.wants_read());
    // nothing but 2 bytes is kept of each
    assert_eq!(rounds, Some((1_usize << 20).div_ceil(2 * 1000)));
}
