//! RFC 6455 5.5.1 and 7: how a connection ends.

use super::*;
use crate::endpoint::{CloseFrame, End, How, State};
use crate::wire::{CloseCode, Opcode, Side};

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: Some(CloseCode(code)), reason: reason.to_owned() }
}

#[track_caller]
fn ended(play: &mut Play) -> End {
    let events = play.events();
    let [Event::Closed(end)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(play.endpoint.end(), Some(end));
    end.clone()
}

#[test]
fn a_close_is_answered_with_the_same_code_and_the_server_hangs_up_first() {
    for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
        let mut play = Play::open(Config::default());
        play.hears(client(Opcode::CLOSE, close_body(code, "bye")));
        assert_eq!(play.endpoint.state(), State::Closing);
        assert!(!play.endpoint.wants_shutdown(), "the Close goes out first");
        play.says(server(Opcode::CLOSE, close_body(code, "")));
        let end = ended(&mut play);
        assert_eq!((end.by, end.is_clean(), end.code()), (Side::Client, true, CloseCode(code)));
        assert_eq!((end.received, end.sent), (Some(close_frame(code, "bye")), Some(close_frame(code, ""))));
        play.hangs_up();
        assert_eq!(play.endpoint.state(), State::Closed);
    }
}

#[test]
fn an_empty_close_is_answered_with_an_empty_close() {
    let mut play = Play::open(Config::default());
    play.hears(client(Opcode::CLOSE, "")).says(b"\x88\x00");
    assert_eq!(ended(&mut play).code(), CloseCode::NO_STATUS);
    play.hangs_up();
}

#[test]
fn a_peer_that_never_hangs_up_is_dropped() {
    let mut play = Play::open(Config::default());
    play.hears(client(Opcode::CLOSE, "")).says(b"\x88\x00").waits(4 * SECOND);
    assert!(play.endpoint.wants_shutdown() && !play.endpoint.is_finished());
    play.waits(SECOND).is_over();
}

#[test]
fn whatever_follows_a_close_is_ignored() {
    let mut play = Play::open(Config::default());
    let after = [client(Opcode::PING, "p"), client(Opcode::TEXT, "t"), b"\xff\xff\xff".to_vec()].concat();
    play.hears([client(Opcode::CLOSE, ""), after.clone()].concat()).says(b"\x88\x00");
    play.hears(after).says_nothing().hangs_up();
    assert!(ended(&mut play).is_clean());
}

#[test]
fn echoes_that_wait_go_out_before_the_close() {
    let mut play = Play::open(Config::default());
    play.hears([client(Opcode::TEXT, "a"), client(Opcode::PING, "b"), client(Opcode::CLOSE, "")].concat())
        .says(b"\x81\x01a\x8a\x01b\x88\x00")
        .hangs_up();
}

#[test]
fn a_close_in_the_midst_of_a_fragmented_message_closes_all_the_same() {
    let mut play = Play::open(Config::default());
    play.hears([part(Opcode::TEXT, "a", false), client(Opcode::CLOSE, "")].concat()).says(b"\x88\x00").hangs_up();
}

#[test]
fn our_close_waits_for_the_peers() {
    let mut play = Play::open(Config::default());
    play.endpoint.close(CloseCode(4000), "enough", play.now).unwrap();
    play.says(server(Opcode::CLOSE, close_body(4000, "enough")));
    assert_eq!(play.by_user, [0]);
    assert_eq!(play.endpoint.state(), State::Closing);
    assert!(!play.endpoint.wants_shutdown());
    // the peer may have been in the midst of something; after a Close nothing more is sent
    play.hears([client(Opcode::TEXT, "a"), client(Opcode::PING, "b")].concat()).says_nothing();
    play.waits(4 * SECOND).hears(client(Opcode::CLOSE, close_body(4000, ""))).says_nothing();
    let end = ended(&mut play);
    assert_eq!((end.by, end.how.clone(), end.code()), (Side::Server, How::Handshake, CloseCode(4000)));
    assert_eq!((end.sent, end.received), (Some(close_frame(4000, "enough")), Some(close_frame(4000, ""))));
    play.hangs_up();
}

#[test]
fn our_close_is_not_waited_for_longer_than_five_seconds() {
    let mut play = Play::open(Config::default());
    play.endpoint.close(CloseCode::NORMAL, "", play.now).unwrap();
    play.takes();
    play.hears(client(Opcode::TEXT, "talks on")).waits(5 * SECOND);
    let end = ended(&mut play);
    assert_eq!((end.by, end.how.clone(), end.is_clean()), (Side::Server, How::Timeout, false));
    play.is_over();
}

#[test]
fn when_both_close_at_the_same_time_both_closes_count() {
    let mut play = Play::open(Config::default());
    play.endpoint.close(CloseCode::NORMAL, "", play.now).unwrap();
    play.hears(client(Opcode::CLOSE, close_body(1001, "")));
    play.says(server(Opcode::CLOSE, close_body(1000, "")));
    let end = ended(&mut play);
    assert!(end.is_clean());
    assert_eq!((end.code(), end.received), (CloseCode::NORMAL, Some(close_frame(1001, ""))));
    play.hangs_up();
}

#[test]
fn an_end_without_a_close_is_1006_and_what_waits_is_still_written() {
    for unfinished in [&b""[..], b"\x81", b"\x81\x85abcdHe"] {
        let mut play = Play::open(Config::default());
        play.hears(client(Opcode::TEXT, "a")).hears(unfinished).hears_the_end();
        assert!(!play.endpoint.is_finished());
        let end = ended(&mut play);
        assert_eq!((end.by, end.how.clone(), end.code()), (Side::Client, How::Fin, CloseCode::ABNORMAL));
        play.says(b"\x81\x01a").is_over();
    }
}

#[test]
fn an_end_instead_of_the_awaited_close_is_not_clean() {
    let mut play = Play::open(Config::default());
    play.endpoint.close(CloseCode::NORMAL, "", play.now).unwrap();
    play.takes();
    play.hears_the_end().is_over();
    let end = ended(&mut play);
    assert_eq!((end.by, end.how.clone(), end.is_clean()), (Side::Client, How::Fin, false));
}

#[test]
fn a_reset_ends_it_at_once() {
    let mut play = Play::open(Config::default());
    play.hears(client(Opcode::TEXT, "a"));
    play.endpoint.receive_reset(play.now);
    assert_eq!(ended(&mut play).how, How::Reset);
    play.is_over();
    let mut play = Play::open(Config::default());
    play.hears(client(Opcode::CLOSE, ""));
    play.endpoint.receive_reset(play.now);
    assert_eq!(ended(&mut play).how, How::Handshake, "the fate was settled before");
    play.is_over();
}

#[test]
fn when_the_program_ends_an_open_connection_gets_1001_and_a_second() {
    let going_away = server(Opcode::CLOSE, close_body(1001, "the server is shutting down"));
    let mut polite = Play::open(Config::default());
    polite.endpoint.shutdown(polite.now);
    polite.says(&going_away).hears(client(Opcode::CLOSE, close_body(1001, ""))).says_nothing();
    assert!(ended(&mut polite).is_clean());
    polite.hangs_up();

    let mut silent = Play::open(Config::default());
    silent.endpoint.shutdown(silent.now);
    silent.waits(SECOND / 2).says(&going_away).waits(SECOND / 2).is_over();
    assert_eq!(ended(&mut silent).how, How::Timeout);
}

#[test]
fn the_end_of_the_program_shortens_the_patience_with_whoever_is_closing() {
    let mut closing = Play::open(Config::default());
    closing.hears(client(Opcode::CLOSE, "")).says(b"\x88\x00");
    closing.endpoint.shutdown(closing.now);
    closing.waits(SECOND).is_over();

    // answering with a Close does not buy more of it
    let mut late = Play::open(Config::default());
    late.endpoint.shutdown(late.now);
    late.takes();
    late.waits(SECOND * 9 / 10).hears(client(Opcode::CLOSE, "")).waits(SECOND / 10).is_over();
}

#[test]
fn a_slow_reader_gets_what_waits_as_long_as_it_keeps_reading() {
    let mut play = Play::open(Config::default());
    play.hears(client(Opcode::BINARY, [0; 1000])).hears(client(Opcode::CLOSE, ""));
    for _ in 0..100 {
        play.waits(4 * SECOND);
        play.endpoint.written(10, play.now);
        assert!(!play.endpoint.is_finished());
    }
    play.waits(5 * SECOND).is_over();
}
