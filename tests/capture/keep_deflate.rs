//! Compressed messages in a recording that is kept within a size: what is left can be read, or says why not.

use std::sync::atomic::AtomicBool;

use wsinspect::capture::{self, Capture, ConnectionId, MessageReader, NotInflated};
use wsinspect::formats::export::{self, Kind, Progress, Selection};
use wsinspect::lint::Limits;
use wsinspect::wire::{Deflater, Opcode, Side};

use crate::deflate::{compressed, deflated, deflating};
use crate::support::{Feed, Script, plain};

const LIMIT: u64 = 256 << 10;
const SERVER: Side = Side::Server;

/// Bytes that can't be compressed, but by a reference to the message before, of which they are a part.
fn saying(n: u64) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = move |n: u64| {
        state ^= state << 13 ^ n;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let mut own = |n: u64| (0..600).map(|i| noise(n.wrapping_mul(1_000_003) + i)).collect::<Vec<u8>>();
    [n.to_be_bytes().to_vec(), own(n), own(n.saturating_sub(1))].concat()
}

struct Server(Deflater);

impl Server {
    fn new() -> Self {
        Self(Deflater::new(true, 15).unwrap())
    }

    /// Frames of message `n`.
    fn say(&mut self, n: u64, fragments: u16) -> Vec<Vec<u8>> {
        compressed(SERVER, Opcode::BINARY, &deflated(&mut self.0, &saying(n)), fragments)
    }
}

/// Frame `n` begins the message of the same number, if that is there.
fn outcome(capture: &Capture, reader: &mut MessageReader, n: u64) -> Option<Result<(), NotInflated>> {
    let (inflated, bytes) = reader.beginning(capture, n, usize::MAX)?;
    if inflated.outcome.is_ok() {
        assert!(bytes == saying(n), "message {n} is another one");
    }
    Some(inflated.outcome)
}

#[test]
fn what_is_left_of_a_compressing_connection_can_be_read_in_any_order() {
    let mut feed = Feed::within(LIMIT);
    let mut server = Server::new();
    feed.play(deflating(Script::new(), 1, "permessage-deflate"));
    let capture = feed.capture().clone();
    let mut in_order = MessageReader::default();
    let mut last = 0;
    for until in (100..=1200).step_by(100) {
        let script = (last + 1..=until).fold(Script::new(), |script, n| script.chunk(1, SERVER, &server.say(n, 1)[0]));
        last = until;
        feed.feed(script, until);
        let gone = capture.index().gone();
        assert_eq!(outcome(&capture, &mut in_order, last), Some(Ok(())), "the newest message is there live");
        for n in (gone + 1..=last).rev().step_by(7).chain([gone + 1]) {
            assert_eq!(outcome(&capture, &mut MessageReader::default(), n), Some(Ok(())), "{n} of {gone} and on");
        }
    }
    assert!(capture.index().gone() > 500, "{}", capture.index().gone());
    feed.done();
}

#[test]
fn a_file_that_has_lost_its_beginning_does_not_invent_what_messages_refer_to() {
    let mut feed = Feed::within(LIMIT);
    let mut server = Server::new();
    feed.play(deflating(Script::new(), 1, "permessage-deflate"));
    let script = (1..=1000).fold(Script::new(), |script, n| script.chunk(1, SERVER, &server.say(n, 1)[0]));
    feed.feed(script, 1000);
    let gone = feed.capture().index().gone();
    let opened = capture::open(&feed.capture().reader().path(), Limits::default(), "a test").unwrap();
    opened.reading.run(false, &AtomicBool::new(false));
    let mut reader = MessageReader::default();
    for n in gone + 1..=1000 {
        assert_eq!(outcome(&opened.capture, &mut reader, n), Some(Err(NotInflated::Gone)), "{n}");
    }
    assert_eq!(opened.capture.index().finding_after(0), None, "nor does it find fault with them");
    feed.done();
}

#[test]
fn chosen_frames_are_exported_with_the_word_that_what_they_refer_to_is_gone() {
    let mut feed = Feed::within(LIMIT);
    let mut server = Server::new();
    feed.play(deflating(Script::new(), 1, "permessage-deflate"));
    let script = (1..=999).fold(Script::new(), |script, n| script.chunk(1, SERVER, &server.say(n, 1)[0]));
    feed.feed(script, 999);
    // of a connection that is there from its beginning nothing is gone
    let mut other = Server::new();
    let script = deflating(Script::new(), 2, "permessage-deflate").chunk(2, SERVER, &other.say(1000, 1)[0]);
    feed.feed(script, 1000);
    let mut out = Vec::new();
    let chosen = Selection::Frames(vec![999, 1000]);
    export::write(feed.capture(), Kind::Pcapng, &chosen, &Progress::default(), &mut out).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.pcapng");
    std::fs::write(&path, &out).unwrap();
    let opened = capture::open(&path, Limits::default(), "a test").unwrap();
    opened.reading.run(false, &AtomicBool::new(false));
    let last = opened.capture.index().totals().frames;
    let mut reader = MessageReader::default();
    let mut outcome = |n| reader.beginning(&opened.capture, n, usize::MAX).map(|(inflated, _)| inflated.outcome);
    assert_eq!((outcome(last - 1), outcome(last)), (Some(Err(NotInflated::Gone)), Some(Ok(()))));
    assert_eq!(opened.capture.index().finding_after(0), None, "nor is fault found with them");
    feed.done();
}

#[test]
fn a_message_that_is_cut_by_the_border_hides_no_more_than_itself() {
    let mut feed = Feed::within(LIMIT);
    let mut server = Server::new();
    let mut script = deflating(deflating(Script::new(), 1, "permessage-deflate"), 2, "permessage-deflate");
    let parts = server.say(0, 2);
    script = script.chunk(1, SERVER, &parts[0]);
    for n in 2..=1001_u64 {
        script = script.chunk(2, SERVER, &plain(Opcode::BINARY, &n.to_be_bytes().repeat(125)));
    }
    feed.feed(script, 1001);
    let capture = feed.capture().clone();
    assert!(capture.index().gone() > 500);
    let script = Script::new().chunk(1, SERVER, &parts[1]).chunk(1, SERVER, &server.say(1003, 1)[0]);
    feed.feed(script, 1003);
    let entry = capture.index().frame(1002).unwrap();
    assert_eq!((entry.connection(), entry.header().opcode), (ConnectionId(1), Opcode::CONTINUATION));
    assert_eq!(outcome(&capture, &mut MessageReader::default(), 1003), Some(Ok(())));
    feed.done();
}

#[test]
fn a_frame_at_hand_at_the_border_is_read_with_what_came_before_it() {
    let mut feed = Feed::within(LIMIT);
    let mut server = Server::new();
    let mut script = deflating(deflating(Script::new(), 1, "permessage-deflate"), 2, "permessage-deflate");
    script = script.chunk(1, SERVER, &server.say(1, 1)[0]);
    let half = server.say(1002, 1).remove(0);
    script = script.chunk(1, SERVER, &half[..700]);
    for n in 2..=1001_u64 {
        script = script.chunk(2, SERVER, &plain(Opcode::BINARY, &n.to_be_bytes().repeat(125)));
    }
    feed.feed(script, 1001);
    let capture = feed.capture().clone();
    assert!(capture.index().gone() > 500);
    feed.feed(Script::new().chunk(1, SERVER, &half[700..]), 1002);
    assert_eq!(outcome(&capture, &mut MessageReader::default(), 1002), Some(Ok(())));
    feed.done();
}
