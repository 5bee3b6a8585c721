//! In which reads of the socket a frame arrived is told by the file, live and when it is opened again.

use std::sync::atomic::AtomicBool;

use wsinspect::capture::{self, Capture, Reads};
use wsinspect::lint::Limits;
use wsinspect::wire::{Opcode, Side};

use crate::support::{Script, masked, plain};

/// A place in a read; reads as first byte, end and milliseconds; whether there are more.
type Told = (u64, Vec<(u64, u64, u64)>, bool);

/// Of each frame: its place in its first read, and for each read the bytes that it brought and when it was, in
/// milliseconds after the first one.
fn told(capture: &Capture, most: usize) -> Vec<Told> {
    let last = capture.index().totals().frames;
    let each = (1..=last).map(|n| {
        let entry = capture.index().frame(n).unwrap();
        let Reads { list, more } = capture.reads(&entry, most).unwrap();
        if !more {
            assert_eq!(list.len(), usize::from(entry.chunks()), "frame {n}");
            assert_eq!(list.last().unwrap().time, entry.time(), "frame {n}");
        }
        let first = list[0].time.0;
        let reads = list.iter().map(|one| (one.bytes.start, one.bytes.end, (one.time.0 - first) / 1_000_000));
        (capture.index().place_in_read(n).unwrap(), reads.collect(), more)
    });
    each.collect()
}

#[test]
fn reads_and_frames_are_told_apart_live_and_when_opened_again() {
    let [one, two, three] =
        [masked(Opcode::TEXT, b"one"), masked(Opcode::TEXT, b"two!"), masked(Opcode::TEXT, b"three")];
    // more than fits a packet, hence several of them, and one read all the same
    let big = masked(Opcode::BINARY, &vec![7; 150_000]);
    let together = [&one[..], &two, &three[..4]].concat();
    let recorded = Script::new()
        .opened(1)
        .opened(2)
        .chunk(1, Side::Client, &together)
        .chunk(2, Side::Client, &one)
        .chunk(1, Side::Server, &plain(Opcode::PING, b"between"))
        .chunk(1, Side::Client, &three[4..])
        .chunk(1, Side::Client, &big[..140_000])
        .chunk(2, Side::Client, &big)
        .chunk(1, Side::Client, &big[140_000..])
        .record();
    let (three, all) = (three.len() as u64, big.len() as u64);
    let expected = [
        (1, vec![(0, one.len() as u64, 0)]),
        (2, vec![(0, two.len() as u64, 0)]),
        (1, vec![(0, one.len() as u64, 0)]),
        (1, vec![(0, 9, 0)]),
        (3, vec![(0, 4, 0), (4, three, 3)]),
        (1, vec![(0, all, 0)]),
        (1, vec![(0, 140_000, 0), (140_000, all, 2)]),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(place, reads)| (place, reads, false)).collect();
    assert_eq!(told(&recorded.capture, 100), expected);
    let opened = capture::open(&recorded.path, Limits::default(), "a test").unwrap();
    assert!(opened.reading.run(false, &AtomicBool::new(false)).is_empty());
    assert_eq!(told(&opened.capture, 100), expected);
}

#[test]
fn a_frame_that_dribbles_in_tells_of_as_many_reads_as_are_asked_for() {
    let frame = masked(Opcode::BINARY, &[7; 5000]);
    let script = frame.chunks(1).fold(Script::new().opened(1), |script, byte| script.chunk(1, Side::Client, byte));
    let recorded = script.record();
    let (place, reads, more) = told(&recorded.capture, 1000).remove(0);
    assert_eq!((place, reads.len(), more), (1, 1000, true));
    assert_eq!(reads[999], (999, 1000, 999));
}

#[test]
fn a_frame_that_is_still_coming_in_is_known_by_what_has_come() {
    let frame = masked(Opcode::TEXT, b"not all of this has come");
    let parts = |end: usize| {
        let script = Script::new().opened(1).chunk(1, Side::Client, &masked(Opcode::PING, b"")).opened(2);
        let script = script.chunk(2, Side::Server, &plain(Opcode::TEXT, b"whole"));
        script.chunk(1, Side::Client, &frame[..1]).chunk(1, Side::Client, &frame[1..end]).record()
    };
    let recorded = parts(10);
    let index = recorded.capture.index();
    let (connection, from, growing) = index.growing().next().expect("one is coming in");
    assert_eq!((connection.id.0, from, growing.came), (1, Side::Client, 10));
    let entry = growing.entry.expect("its header is there");
    assert_eq!((entry.header().length, entry.chunks(), entry.is_complete()), (24, 2, false));
    drop(index);
    assert_eq!(recorded.capture.payload(&entry, 0..100).unwrap(), b"not ");
    assert_eq!(recorded.capture.reads(&entry, 9).unwrap().list.len(), 2);

    let recorded = parts(2);
    let index = recorded.capture.index();
    assert!(index.growing().next().is_some_and(|(_, _, growing)| growing.entry.is_none() && growing.came == 2));
    drop(index);

    let recorded = parts(frame.len());
    assert_eq!(recorded.capture.index().growing().count(), 0, "it is a frame like any other");
    let recorded = Script::new().opened(1).chunk(1, Side::Client, &frame[..9]).closed(1, None).record();
    assert_eq!(recorded.capture.index().growing().count(), 0, "it never comes");
}
