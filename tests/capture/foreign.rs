//! Captures that other programs took.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wsinspect::capture::{self, Capture, ConnectionState, How, Recording};
use wsinspect::lint::Limits;
use wsinspect::wire::Opcode;

use crate::support::{REQUEST, RESPONSE, masked, plain};
use crate::wire_file::{ACK, Conversation, FIN, Link, RST, SYN};

/// A file that was opened to its end.
struct Opened {
    capture: Arc<Capture>,
    sentences: Vec<String>,
    recording: Option<Recording>,
    _folder: tempfile::TempDir,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(recording) = &self.recording {
            recording.remove_unless_kept();
        }
    }
}

#[track_caller]
fn open(bytes: &[u8]) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("capture");
    std::fs::write(&path, bytes).unwrap();
    let opened = capture::open(&path, Limits::default(), "a test").unwrap_or_else(|error| panic!("{error}"));
    let sentences = opened.reading.run(false, &AtomicBool::new(false));
    Opened { capture: opened.capture, sentences, recording: opened.recording, _folder: folder }
}

impl Opened {
    /// What each frame holds, with a mark where it is not whole.
    fn texts(&self) -> Vec<String> {
        let last = self.capture.index().totals().frames;
        let entries: Vec<_> = (1..=last).map(|n| self.capture.index().frame(n).unwrap()).collect();
        let mark = |complete| if complete { "" } else { " (cut)" };
        let payload = |entry| self.capture.payload(entry, 0..u64::MAX).unwrap();
        let text = |entry| String::from_utf8_lossy(&payload(entry)).into_owned();
        entries.iter().map(|entry| text(entry) + mark(entry.is_complete())).collect()
    }

    fn verdict(&self) -> How {
        self.capture.index().connections()[0].verdict().unwrap().how
    }

    fn missing(&self) -> u64 {
        self.capture.index().totals().missing
    }

    fn state(&self) -> ConnectionState {
        self.capture.index().connections()[0].state
    }
}

/// A connection with its opening handshake.
fn opened(link: Link, six: bool) -> Conversation {
    let mut conversation = Conversation::new(link, six).connect();
    conversation.data(0, REQUEST);
    conversation.data(1, RESPONSE);
    conversation
}

fn text(text: &str) -> Vec<u8> {
    masked(Opcode::TEXT, text.as_bytes())
}

fn ended(mut conversation: Conversation) -> Conversation {
    for from in [0, 1] {
        let sequence = conversation.next[from];
        conversation.packet(from, sequence, FIN | ACK, b"");
    }
    conversation
}

#[test]
fn every_link_type_and_both_formats_give_the_same_frames_at_the_packets_own_times() {
    for (link, six) in Link::ALL.into_iter().flat_map(|link| [(link, false), (link, true)]) {
        let mut conversation = opened(link, six);
        conversation.data(0, &text("Hello"));
        conversation.data(1, &plain(Opcode::TEXT, b""));
        let conversation = ended(conversation);
        let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        compressed.write_all(&conversation.pcap()).unwrap();
        for file in [conversation.pcap(), conversation.pcapng(), compressed.finish().unwrap()] {
            let opened = open(&file);
            assert_eq!(opened.texts(), ["Hello", ""], "{link:?} {six}");
            assert_eq!((opened.verdict(), opened.missing()), (How::Fin, 0));
            assert_eq!(opened.sentences, [""; 0]);
            let index = opened.capture.index();
            assert_eq!(index.frame(1).unwrap().time().0, 1_700_000_000_006_000_000);
            assert_eq!(index.connections()[0].client.port(), 50_000);
            assert_eq!(index.totals().findings, 0);
        }
    }
}

#[test]
fn packets_against_frames_are_told_as_reads_against_frames_are() {
    let mut conversation = opened(Link::Raw, false);
    let long = text("in three packets");
    conversation.data(0, &[text("one"), text("two"), long[..8].to_vec()].concat());
    conversation.data(0, &long[8..9]);
    conversation.data(0, &long[9..]);
    let opened = open(&ended(conversation).pcapng());
    let told = |n: u64| {
        let entry = opened.capture.index().frame(n).unwrap();
        let reads = opened.capture.reads(&entry, 100).unwrap();
        let ends: Vec<u64> = reads.list.iter().map(|read| read.bytes.end).collect();
        (opened.capture.index().place_in_read(n).unwrap(), ends)
    };
    let length = long.len() as u64;
    assert_eq!([told(1), told(2), told(3)], [(1, vec![9]), (2, vec![9]), (3, vec![8, 9, length])]);
}

#[test]
fn what_is_sent_twice_out_of_order_or_overlapping_is_put_together_once() {
    let mut conversation = opened(Link::Ethernet, false);
    let stream = [text("one"), text("two and more"), text("three")].concat();
    let start = conversation.next[0];
    let at = |offset: usize| start.wrapping_add(offset as u32);
    let mut part = |from: usize, to: usize| conversation.packet(0, at(from), ACK, &stream[from..to]);
    part(0, 4);
    part(0, 4);
    part(12, 20);
    part(2, 9);
    part(15, stream.len());
    part(7, 13);
    part(0, stream.len());
    conversation.next[0] = at(stream.len());
    conversation.data(1, &plain(Opcode::TEXT, b"answer"));
    // a keep-alive, one byte of the past
    let before = conversation.next[0].wrapping_sub(1);
    conversation.packet(0, before, ACK, b"\0");
    let opened = open(&ended(conversation).pcap());
    assert_eq!(opened.texts(), ["one", "two and more", "three", "answer"]);
    assert_eq!((opened.missing(), opened.verdict()), (0, How::Fin));
}

#[test]
fn a_payload_is_followed_over_a_hole_and_shown_as_far_as_it_is_there() {
    let mut conversation = opened(Link::Raw, false);
    let long = plain(Opcode::TEXT, &[b'x'; 1000]);
    conversation.data(1, &long[..300]);
    conversation.next[1] = conversation.next[1].wrapping_add(200);
    conversation.data(1, &long[500..]);
    conversation.data(1, &plain(Opcode::TEXT, b"after"));
    let opened = open(&ended(conversation).pcap());
    assert_eq!(opened.texts(), ["x".repeat(296), "after".to_owned()]);
    assert_eq!(opened.missing(), 200);
    assert_eq!(opened.capture.index().totals().findings, 0);
}

#[test]
fn after_a_hole_that_swallows_borders_frames_are_found_again_and_nothing_is_invented() {
    let mut conversation = opened(Link::Raw, false);
    conversation.data(0, &text("before"));
    conversation.data(0, &text("cut in the middle")[..9]);
    conversation.next[0] = conversation.next[0].wrapping_add(1234);
    conversation.data(0, b"the tail of another frame");
    for n in 0..3 {
        let mut frame = masked(Opcode::CONTINUATION, format!("after{}", "!".repeat(n)).as_bytes());
        // only the last one ends the message
        frame[0] &= if n < 2 { 0x7F } else { 0xFF };
        conversation.data(0, &frame);
    }
    conversation.data(0, &text("whole again"));
    let opened = open(&ended(conversation).pcap());
    let expected = ["before", "cut (cut)", "after", "after!", "after!!", "whole again"];
    assert_eq!(opened.texts(), expected);
    assert_eq!(opened.missing(), 1234);
    // that a message began before is not for us to deny
    assert_eq!(opened.capture.index().totals().findings, 0);
}

#[test]
fn a_connection_that_had_begun_before_is_read_from_where_frames_chain() {
    let mut conversation = Conversation::new(Link::Cooked, true);
    conversation.data(1, b"a tail");
    conversation.data(0, &text("the first one is cut")[10..]);
    for n in 0..3 {
        conversation.data(0, &text(&format!("question{}", "?".repeat(n))));
        conversation.data(1, &plain(Opcode::PONG, b""));
    }
    let opened = open(&ended(conversation).pcap());
    let mut texts = opened.texts();
    texts.sort();
    assert_eq!(texts, ["", "", "", "question", "question?", "question??"]);
    assert_eq!(opened.state(), ConnectionState::Closed);
    let index = opened.capture.index();
    assert_eq!(index.connections()[0].client.port(), 50_000, "who masks is the client");
    assert_eq!(index.totals().findings, 0);
}

#[test]
fn a_connection_of_which_nothing_can_be_read_is_listed_with_the_reason() {
    let mut conversation = Conversation::new(Link::Ethernet, false);
    for _ in 0..5 {
        conversation.data(0, b"no frame at all");
    }
    let opened = open(&conversation.pcap());
    let index = opened.capture.index();
    assert_eq!(index.connections()[0].state, ConnectionState::Refused);
    assert!(index.connections()[0].refusal().contains("begun before the capture"));
}

#[test]
fn resets_new_connections_on_old_ports_and_other_traffic_are_told_apart() {
    let mut conversation = opened(Link::Ethernet, false);
    conversation.data(0, &text("first"));
    let sequence = conversation.next[1];
    conversation.packet(1, sequence, RST | ACK, b"");
    conversation.next = [5000, 6000];
    let again = conversation.connect();
    let mut conversation = again;
    conversation.data(0, REQUEST);
    conversation.data(1, RESPONSE);
    conversation.data(0, &text("second"));
    let opened = open(&conversation.pcap());
    assert_eq!(opened.texts(), ["first", "second"]);
    assert_eq!(opened.verdict(), How::Reset);
    assert_eq!(opened.capture.index().connections().len(), 2);

    let mut other = Conversation::new(Link::Ethernet, false).connect();
    other.data(0, b"\x16\x03\x01\x02\x00\x01");
    other.packet(0, 1, SYN, b"");
    let opened = open(&other.pcap());
    assert!(opened.capture.index().connections().is_empty());
    assert_eq!(opened.sentences, ["TCP connections that are encrypted, and left out: 1"]);
}

#[test]
fn what_is_no_capture_is_refused_and_what_is_cut_short_is_read_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "some text that is no capture").unwrap();
    let Err(error) = capture::open(&path, Limits::default(), "a test") else { panic!("opened") };
    assert!(error.to_string().ends_with("expected a pcapng or pcap capture or a HAR, found something else"), "{error}");
    let Err(error) = capture::open(&folder.path().join("none"), Limits::default(), "") else { panic!("opened") };
    assert!(error.to_string().contains("No such file"), "{error}");

    let mut conversation = opened(Link::Ethernet, false);
    conversation.data(0, &text("whole"));
    conversation.data(0, &text("torn"));
    for file in [conversation.pcap(), conversation.pcapng()] {
        let opened = open(&file[..file.len() - 7]);
        assert_eq!(opened.texts(), ["whole"]);
        assert!(opened.sentences[0].starts_with("the file is cut short: the block at byte "), "{:?}", opened.sentences);
    }
}

#[test]
fn no_damage_makes_it_fall_over() {
    let mut conversation = opened(Link::Vlan, true);
    conversation.data(0, &text("Hello"));
    conversation.data(1, &plain(Opcode::BINARY, &[0; 300]));
    let conversation = ended(conversation);
    let mut random = 1_u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below
    };
    for file in [conversation.pcap(), conversation.pcapng()] {
        for _ in 0..400 {
            let mut file = file.clone();
            for _ in 0..3 {
                // the first bytes tell that it is a capture
                let at = 12 + next(file.len() - 12);
                file[at] = next(256) as u8;
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("capture");
            std::fs::write(&path, file).unwrap();
            let Ok(opened) = capture::open(&path, Limits::default(), "a test") else { continue };
            opened.reading.run(false, &AtomicBool::new(false));
            if let Some(recording) = opened.recording {
                recording.remove_unless_kept();
            }
        }
    }
}
