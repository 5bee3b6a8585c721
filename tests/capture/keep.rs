//! A recording without a name is kept within a size: what is left is what was there, and it opens.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use wsinspect::capture::{self, Capture, ConnectionId, Follower, Gone, Item, Note, Origin};
use wsinspect::formats::export::{self, Kind, Progress, Selection};
use wsinspect::formats::jsonl::{JsonLines, Options};
use wsinspect::lint::Limits;
use wsinspect::wire::{Header, MaskingKey, Opcode, Side, frame};

use crate::support::{Feed, REQUEST, RESPONSE, Script, plain};

const LIMIT: u64 = 256 << 10;

/// What a capture holds, as JSON Lines.
fn lines(capture: &Capture) -> Vec<String> {
    let mut out = Vec::new();
    let mut json = JsonLines::new(Options { payload_limit: u64::MAX, messages: true });
    for item in Follower::default().next(capture, usize::MAX) {
        json.write(&mut out, capture, &item).unwrap();
    }
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[track_caller]
fn reopen(path: &Path) -> Arc<Capture> {
    let opened = capture::open(path, Limits::default(), "a test").unwrap_or_else(|error| panic!("{error}"));
    assert!(opened.recording.is_none(), "a recording of ours is read where it is");
    let sentences = opened.reading.run(false, &AtomicBool::new(false));
    assert_eq!(sentences, [] as [String; 0]);
    opened.capture
}

/// Every block of the file is whole, and says its length twice.
#[track_caller]
fn assert_whole(file: &[u8]) {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 0;
    while at < file.len() {
        let length = number(at + 4);
        assert!(length >= 12 && at + length <= file.len(), "the block at {at}");
        assert_eq!(number(at + length - 4), length, "both lengths of the block at {at}");
        at += length;
    }
}

/// The file holds what is there live, and no more of the disk than it may.
#[track_caller]
fn assert_opens_to_what_is_there(feed: &Feed) {
    let path = feed.recording.reader().path();
    feed.settle();
    let (file, live, again) = (feed.file(), lines(feed.capture()), lines(&reopen(&path)));
    assert_whole(&file);
    for (live, again) in live.iter().zip(&again) {
        let end = |line: &str| line.chars().skip(line.len().saturating_sub(300)).collect::<String>();
        assert!(
            live == again,
            "live, {} bytes\n{live:.300} .. {}\nagain, {} bytes\n{again:.300} .. {}",
            live.len(),
            end(live),
            again.len(),
            end(again)
        );
    }
    assert_eq!(live.len(), again.len());
    let room = std::fs::metadata(&path).unwrap().blocks() * 512;
    assert!(room <= LIMIT + (64 << 10), "{room} bytes on the disk");
}

/// One thing that happens on a connection.
#[derive(Clone, Debug)]
enum Happening {
    Opens,
    /// A side sends a frame of so many bytes, in so many reads, as a part of a longer message or not.
    Sends {
        from: Side,
        length: usize,
        reads: usize,
        fin: bool,
    },
    Closes,
}

fn happening() -> impl Strategy<Value = (u32, Happening)> {
    let side = prop_oneof![Just(Side::Client), Just(Side::Server)];
    let sends = (side, 0..12_000_usize, 1..5_usize, prop::bool::weighted(0.8))
        .prop_map(|(from, length, reads, fin)| Happening::Sends { from, length, reads, fin });
    (0..4_u32, prop_oneof![1 => Just(Happening::Opens), 20 => sends, 1 => Just(Happening::Closes)])
}

/// Makes events of what happens on up to four connections at once, whose frames are cut in pieces that come interleaved.
#[derive(Default)]
struct Play {
    opened: u32,
    open: [Option<u32>; 4],
    fragmented: std::collections::HashSet<(u32, Side)>,
    /// Pieces that are still to come.
    waiting: Vec<(u32, Side, Vec<u8>, Vec<Note>)>,
    frames: u64,
}

impl Play {
    fn happen(&mut self, mut script: Script, slot: u32, happening: &Happening) -> Script {
        match (happening, self.open[slot as usize]) {
            (Happening::Opens, None) => {
                self.opened += 1;
                self.open[slot as usize] = Some(self.opened);
                let by_tls = self.opened.is_multiple_of(2);
                script = if by_tls { script.opened_by_tls(self.opened) } else { script.opened(self.opened) };
            }
            (Happening::Sends { from, length, reads, fin }, Some(id)) => {
                self.frames += 1;
                let (n, from) = (self.frames, *from);
                let key = (from == Side::Client).then(|| MaskingKey((n as u32 ^ 0x5A5A_5A5A).to_be_bytes()));
                let begun = !self.fragmented.insert((id, from));
                if *fin {
                    self.fragmented.remove(&(id, from));
                }
                let opcode = if begun { Opcode::CONTINUATION } else { Opcode::BINARY };
                let header = Header::new(opcode, key, *length as u64).with_fin(*fin);
                let payload: Vec<u8> = (0..*length).map(|i| (i as u64 * 7 + n) as u8).collect();
                let bytes = frame(&header, &payload);
                let origin = if n.is_multiple_of(3) { Origin::User } else { Origin::Peer };
                for (i, piece) in bytes.chunks(bytes.len().div_ceil(*reads)).enumerate() {
                    let notes =
                        if i == 0 && origin == Origin::User { vec![Note { offset: 0, origin }] } else { Vec::new() };
                    self.waiting.push((id, from, piece.to_vec(), notes));
                }
            }
            (Happening::Closes, Some(id)) => {
                script = self.come(script, Some(id), usize::MAX);
                self.open[slot as usize] = None;
                script = script.ended(id, Side::Client, capture::SocketEnd::Fin);
                script = script.ended(id, Side::Server, capture::SocketEnd::Fin).closed(id, None);
            }
            _ => {}
        }
        self.come(script, None, 2)
    }

    /// Lets up to `most` waiting pieces come, those of connection `only` or of any.
    fn come(&mut self, mut script: Script, only: Option<u32>, most: usize) -> Script {
        for _ in 0..most {
            let Some(place) = self.waiting.iter().position(|one| only.is_none_or(|id| one.0 == id)) else { break };
            let (id, from, bytes, notes) = self.waiting.remove(place);
            script = script.noted_chunk(id, from, &bytes, notes);
        }
        script
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_file_opens_to_what_is_left_of_it(
        first in prop::collection::vec(happening(), 60..90),
        then in prop::collection::vec(happening(), 60..120),
    ) {
        let mut feed = Feed::within(LIMIT);
        let mut play = Play::default();
        let mut script = Script::new();
        for slot in 0..3 {
            script = play.happen(script, slot, &Happening::Opens);
        }
        feed.play(script);
        for part in first.chunks(30).chain(then.chunks(25)) {
            let script = part.iter().fold(Script::new(), |script, (slot, what)| play.happen(script, *slot, what));
            feed.play(script);
            assert_opens_to_what_is_there(&feed);
        }
        feed.done();
    }
}

/// A server's frame whose payload says its number.
fn numbered(n: u64, length: usize) -> Vec<u8> {
    let mut payload = n.to_be_bytes().to_vec();
    payload.resize(length, b'.');
    plain(Opcode::BINARY, &payload)
}

fn chatter(mut script: Script, frames: std::ops::RangeInclusive<u64>) -> Script {
    for n in frames {
        script = script.chunk(1, Side::Server, &numbered(n, 1000));
    }
    script
}

#[test]
fn the_oldest_frames_go_first_and_the_others_keep_their_numbers_bytes_and_marks() {
    let mut feed = Feed::within(LIMIT);
    feed.feed(chatter(Script::new().opened(1), 1..=100), 100);
    assert_eq!(feed.capture().index().totals().gone, 0, "there is room");
    feed.mark(3, Some("old"));
    feed.feed(chatter(Script::new(), 101..=990), 990);
    feed.mark(985, Some("young"));
    feed.feed(chatter(Script::new(), 991..=1000), 1000);
    let capture = feed.capture().clone();
    let gone = capture.index().totals().gone;
    assert!((750..980).contains(&gone), "{gone} frames are gone");
    let check = |capture: &Capture| {
        for n in 1..=1000 {
            let entry = capture.index().frame(n);
            assert_eq!(entry.is_some(), n > gone, "frame {n}");
            if let Some(entry) = entry {
                assert_eq!(capture.payload(&entry, 0..8).unwrap(), n.to_be_bytes());
            }
        }
        let index = capture.index();
        assert_eq!((index.mark(3), index.mark(985)), (None, Some("young")));
        assert_eq!(index.totals().frames, 1000);
        drop(index);
        let head = |side| capture.head(ConnectionId(1), side).unwrap().unwrap();
        assert!(head(Side::Client) == REQUEST && head(Side::Server) == RESPONSE, "the opening handshake stays");
        let items = Follower::default().next(capture, 3);
        let [Item::Gone(frames), Item::Opened(_), Item::Frame(n, ..)] = &items[..] else { panic!("{items:?}") };
        assert_eq!((frames, *n), (&(1..=gone), gone + 1));
    };
    check(&capture);
    check(&reopen(&capture.reader().path()));
    feed.done();
}

#[test]
fn a_frame_that_is_gone_is_said_to_be_and_never_shown_as_something_else() {
    let mut feed = Feed::within(LIMIT);
    feed.feed(chatter(Script::new().opened(1), 1..=10), 10);
    let old = feed.capture().index().frame(5).unwrap();
    let mut late = Follower::default();
    assert!(matches!(&late.next(feed.capture(), 3)[..], [Item::Opened(_), Item::Frame(1, ..), Item::Frame(2, ..)]));
    feed.feed(chatter(Script::new(), 11..=2000), 2000);
    let error = feed.capture().payload(&old, 0..8).unwrap_err();
    assert!(Gone::is(&error), "{error}");
    let gone = feed.capture().index().gone();
    let next = late.next(feed.capture(), 2);
    let [Item::Gone(frames), Item::Frame(n, ..)] = &next[..] else { panic!("{next:?}") };
    assert_eq!((frames, *n), (&(3..=gone), gone + 1), "a reader that is behind is told what it has missed");
    feed.done();
}

#[test]
fn a_frame_that_begins_before_the_border_and_ends_after_it_stays_whole() {
    let mut feed = Feed::within(LIMIT);
    let long = numbered(0, 10_000);
    feed.play(Script::new().opened(1).opened(2).chunk(2, Side::Server, &long[..6_000]));
    feed.feed(chatter(Script::new(), 1..=1000), 1000);
    assert!(feed.capture().index().gone() > 500);
    feed.feed(Script::new().chunk(2, Side::Server, &long[6_000..]), 1001);
    feed.feed(chatter(Script::new(), 1002..=1050), 1050);
    for capture in [feed.capture().clone(), reopen(&feed.capture().reader().path())] {
        let entry = capture.index().frame(1001).unwrap();
        assert!(capture.frame_bytes(&entry, 0..u64::MAX).unwrap() == long);
        assert_eq!((entry.connection(), entry.chunks()), (ConnectionId(2), 2));
    }
    feed.done();
}

#[test]
fn a_frame_too_long_to_be_written_anew_keeps_its_header_and_what_fits() {
    let mut feed = Feed::within(LIMIT);
    let long = numbered(0, 200_000);
    feed.play(Script::new().opened(1).opened(2).chunk(2, Side::Server, &long[..100_000]));
    feed.feed(chatter(Script::new(), 1..=1000), 1000);
    feed.feed(Script::new().chunk(2, Side::Server, &long[100_000..]), 1001);
    for capture in [feed.capture().clone(), reopen(&feed.capture().reader().path())] {
        let entry = capture.index().frame(1001).unwrap();
        let bytes = capture.frame_bytes(&entry, 0..u64::MAX).unwrap();
        assert_eq!((entry.header().length, entry.is_complete()), (200_000, true));
        assert!(bytes.len() >= 64 && bytes.len() < 100_000 && long.starts_with(&bytes), "{}", bytes.len());
    }
    feed.done();
}

#[test]
fn connections_that_are_over_go_with_their_frames_and_open_ones_stay() {
    let mut feed = Feed::within(LIMIT);
    feed.play(Script::new().opened(1).opened(2).chunk(2, Side::Client, b"").closed(2, None));
    feed.feed(chatter(Script::new(), 1..=1000), 1000);
    feed.play(Script::new().opened(3));
    for capture in [feed.capture().clone(), reopen(&feed.capture().reader().path())] {
        let index = capture.index();
        let ids: Vec<u32> = index.connections().iter().map(|connection| connection.id.0).collect();
        assert_eq!((ids, index.connections_gone(), index.totals().connections), (vec![1, 3], 1, 3));
        assert_eq!(index.connection(ConnectionId(1)).unwrap().frames, [0, 1000]);
    }
    feed.done();
}

#[test]
fn as_many_open_connections_as_fit_into_a_quarter_of_it_keep_their_opening_handshakes() {
    let mut feed = Feed::within(LIMIT);
    let opened = (1..=60).fold(Script::new(), Script::opened);
    feed.play(opened);
    feed.feed(chatter(Script::new(), 1..=1000), 1000);
    assert!(feed.capture().index().gone() > 500);
    assert_opens_to_what_is_there(&feed);
    for capture in [feed.capture().clone(), reopen(&feed.capture().reader().path())] {
        for id in (1..=60).map(ConnectionId) {
            let head = |side| capture.head(id, side).unwrap().expect("a head");
            assert!(head(Side::Client) == REQUEST && head(Side::Server) == RESPONSE, "{id:?}");
        }
    }
    feed.done();
}

#[test]
fn memory_is_kept_within_a_quarter_however_small_the_frames_are() {
    let mut feed = Feed::within(1 << 20);
    let small: Vec<u8> = (0..2000).flat_map(|_| plain(Opcode::PONG, b"")).collect();
    let script = (0..50).fold(Script::new().opened(1), |script, _| script.chunk(1, Side::Server, &small));
    feed.feed(script, 100_000);
    let totals = feed.capture().index().totals();
    let left = totals.frames - totals.gone;
    assert!(left * 48 <= 512 << 10, "{left} frames are left");
    assert!(left > 100 && totals.file_length < 1 << 20, "{totals:?}");
    feed.done();
}

#[test]
fn a_recording_that_was_kept_loses_nothing_more() {
    let mut feed = Feed::within(LIMIT);
    feed.feed(chatter(Script::new().opened(1), 1..=1000), 1000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pcapng");
    feed.recording.keep(&path).unwrap();
    let gone = feed.capture().index().gone();
    feed.feed(chatter(Script::new(), 1001..=2000), 2000);
    assert_eq!(feed.capture().index().gone(), gone);
    assert_eq!(lines(feed.capture()), lines(&reopen(&path)));
    feed.done();
}

#[test]
fn an_export_holds_on_to_what_it_is_to_write_or_says_why_there_is_none() {
    let mut feed = Feed::within(LIMIT);
    feed.feed(chatter(Script::new().opened(1), 1..=1000), 1000);
    let capture = feed.capture().clone();
    let gone = capture.index().gone();
    for kind in [Kind::Pcapng, Kind::JsonLines, Kind::Har, Kind::Text] {
        let mut out = Vec::new();
        let frames = export::write(&capture, kind, &Selection::All, &Progress::default(), &mut out).unwrap();
        assert_eq!(frames, 1000 - gone, "{kind:?}");
        if kind == Kind::Pcapng {
            assert!((out.len() as u64) < LIMIT + (64 << 10), "without the holes: {}", out.len());
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("export.pcapng");
            std::fs::write(&path, &out).unwrap();
            assert_eq!(lines(&reopen(&path)), lines(&capture));
        } else {
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains("gone") || text.contains("does not hold any more"), "{text:.300}");
        }
    }
    let hold = capture.hold();
    feed.feed(chatter(Script::new(), 1001..=1100), 1100);
    assert_eq!(capture.index().gone(), gone, "held");
    feed.feed(chatter(Script::new(), 1101..=2000), 2000);
    assert!(capture.index().gone() > gone, "up to twice the size");
    drop(hold);
    feed.done();
}

#[test]
fn nothing_goes_that_is_still_to_be_copied_to_a_stream() {
    let mut feed = Feed::within(LIMIT);
    feed.capture().set_copied(0);
    feed.feed(chatter(Script::new().opened(1), 1..=1000), 1000);
    assert_eq!(feed.capture().index().gone(), 0);
    feed.capture().set_copied(u64::MAX);
    feed.feed(chatter(Script::new(), 1001..=1020), 1020);
    assert!(feed.capture().index().gone() > 700);
    feed.done();
}
