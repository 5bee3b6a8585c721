//! RFC 6455 5.5.2: a ping as keepalive.

use super::*;
use crate::endpoint::{How, State};
use crate::wire::{CloseCode, Opcode, Side};

fn pinging() -> Config {
    Config { ping_interval: Some(20 * SECOND), ..Config::default() }
}

fn ping(n: usize) -> Vec<u8> {
    server(Opcode::PING, format!("keepalive {n}"))
}

fn pong(n: usize) -> Vec<u8> {
    client(Opcode::PONG, format!("keepalive {n}"))
}

#[test]
fn a_ping_goes_out_at_every_interval_while_its_pong_comes_back() {
    let mut play = Play::open(pinging());
    play.waits(19 * SECOND).says_nothing().waits(SECOND).says(ping(1));
    for n in 2..10 {
        play.hears(pong(n - 1)).waits(20 * SECOND).says(ping(n));
    }
}

#[test]
fn a_peer_without_a_pong_at_the_next_interval_is_dead() {
    let mut play = Play::open(pinging());
    play.waits(20 * SECOND).says(ping(1));
    // neither a message nor a pong that answers nothing is the pong
    play.hears(client(Opcode::TEXT, "a")).says(server(Opcode::TEXT, "a")).hears(client(Opcode::PONG, "b"));
    play.waits(20 * SECOND).says(server(Opcode::CLOSE, close_body(1011, "keepalive ping timeout")));
    let Some(Event::Closed(end)) = play.event() else { panic!() };
    assert_eq!((end.by, end.how.clone(), end.code()), (Side::Server, How::Timeout, CloseCode::INTERNAL_ERROR));
    assert!(play.endpoint.wants_shutdown());
    play.waits(5 * SECOND).is_over();
}

#[test]
fn a_dead_peer_that_cannot_even_be_written_to_is_dropped_all_the_same() {
    let mut play = Play::open(pinging());
    play.waits(40 * SECOND);
    assert_eq!(play.endpoint.state(), State::Closing);
    play.waits(5 * SECOND).is_over();
}

#[test]
fn a_pong_to_the_latest_ping_answers_all_of_them() {
    let mut play = Play::open(pinging());
    play.waits(20 * SECOND).says(ping(1));
    play.endpoint.send_ping(b"mine").unwrap();
    play.says(server(Opcode::PING, "mine")).hears(client(Opcode::PONG, "mine")).waits(20 * SECOND).says(ping(2));
}

#[test]
fn a_peer_in_the_midst_of_a_long_frame_is_slow_and_not_dead() {
    let mut play = Play::open(pinging());
    let long = client(Opcode::BINARY, vec![0; 1000]);
    play.waits(20 * SECOND).says(ping(1));
    for piece in long.chunks(100) {
        play.hears(piece).waits(10 * SECOND);
        assert_eq!(play.endpoint.state(), State::Open);
    }
    play.hears(pong(1)).waits(20 * SECOND);
    assert_eq!(play.endpoint.state(), State::Open);
}

#[test]
fn a_peer_that_takes_what_waits_for_it_is_slow_and_not_dead() {
    let mut play = Play::open(pinging());
    play.hears(client(Opcode::BINARY, vec![0; 1000])).waits(20 * SECOND);
    for _ in 0..10 {
        play.endpoint.written(100, play.now);
        play.waits(19 * SECOND);
    }
    assert_eq!(play.endpoint.state(), State::Open);
    play.waits(40 * SECOND);
    assert_eq!(play.endpoint.state(), State::Closed);
}

#[test]
fn no_interval_and_an_interval_of_nothing_mean_no_pings() {
    for ping_interval in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
        let mut play = Play::open(Config { ping_interval, ..Config::default() });
        assert_eq!(play.endpoint.next_timeout(), None);
        play.waits(1_000_000 * SECOND).says_nothing();
    }
}
