//! A recording, opened again, holds what was recorded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wsinspect::capture::{self, Capture, Cause, Follower, Index, Note, Origin, SocketEnd, Vantage};
use wsinspect::formats::jsonl::{JsonLines, Options};
use wsinspect::lint::Limits;
use wsinspect::wire::{Opcode, Side};

use crate::support::{RESPONSE, Script, masked, plain, until};

/// A capture as JSON Lines.
fn lines(capture: &Capture) -> String {
    let mut out = Vec::new();
    let mut json = JsonLines::new(Options { payload_limit: u64::MAX, messages: true });
    for item in Follower::default().next(capture, usize::MAX) {
        json.write(&mut out, capture, &item).unwrap();
    }
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn reopen(path: &Path) -> (Arc<Capture>, Vec<String>) {
    let opened = capture::open(path, Limits::default(), "a test").unwrap_or_else(|error| panic!("{error}"));
    assert!(opened.recording.is_none(), "a recording of ours is read where it is");
    (opened.capture, opened.reading.run(false, &AtomicBool::new(false)))
}

/// A little of everything.
fn script() -> Script {
    let big: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    let big = masked(Opcode::BINARY, &big);
    let note = |offset, origin| vec![Note { offset, origin }];
    Script::new()
        .opened(1)
        .seen_from(2, Vantage::End(Side::Server))
        .seen_from(3, Vantage::Late)
        .chunk(1, Side::Client, &big[..150_000])
        .noted_chunk(2, Side::Server, &plain(Opcode::PING, b"of the user"), note(0, Origin::User))
        .chunk(1, Side::Client, &big[150_000..])
        .noted_chunk(1, Side::Server, &plain(Opcode::TEXT, b"an echo"), note(0, Origin::Endpoint))
        .chunk(2, Side::Client, &plain(Opcode::new(3), b"broken"))
        .noted_chunk(2, Side::Server, &[0x82, 126, 0xFF, 0xFF], note(0, Origin::Endpoint))
        .noted_chunk(2, Side::Server, &vec![7; 65_535], Vec::new())
        .chunk(1, Side::Client, &masked(Opcode::TEXT, b"half")[..7])
        .chunk(3, Side::Client, b"tail")
        .chunk(3, Side::Client, &masked(Opcode::TEXT, b"late"))
        .chunk(3, Side::Client, &masked(Opcode::PONG, b"later"))
        .gap(1, Side::Client, 70_000)
        .chunk(1, Side::Client, &masked(Opcode::TEXT, b"again"))
        .chunk(1, Side::Client, &masked(Opcode::TEXT, b"and again"))
        .ended(1, Side::Client, SocketEnd::Fin)
        .ended(1, Side::Server, SocketEnd::Fin)
        .closed(1, None)
        .closed(2, Some(Cause::PingUnanswered))
        .ended(3, Side::Client, SocketEnd::Reset)
        .closed(3, None)
        .connected(4)
        .closed(4, Some(Cause::HandshakeTooSlow))
        .connected(5)
        .gap(5, Side::Client, 10)
        .chunk(5, Side::Server, RESPONSE)
        .closed(5, Some(Cause::SocketFailed))
}

#[test]
fn a_recording_opens_to_the_same_lines_that_were_there_live() {
    let recorded = script().record();
    let live = lines(&recorded.capture);
    assert_eq!(live.lines().filter(|line| line.contains("\"frame\"")).count(), 10, "{live:.2000}");
    let (capture, sentences) = reopen(&recorded.path);
    let again = lines(&capture);
    for (live, again) in live.lines().zip(again.lines()) {
        assert!(live == again, "{live:.400}\n{again:.400}");
    }
    assert_eq!((live.len(), sentences.len()), (again.len(), 0));
    assert_eq!(capture.index().totals(), recorded.capture.index().totals());
    assert_eq!(capture.index().statistics(), recorded.capture.index().statistics());
}

/// More than is shown at once, in packets of all lengths.
#[test]
fn a_long_recording_opens_to_the_same_frames_that_were_there_live() {
    let mut script = Script::new().opened(1).opened(2);
    for n in 0..20_000_u32 {
        let payload = vec![b'a'; if n % 1000 == 7 { 150_000 } else { n as usize % 200 }];
        let (id, opcode) = (n % 2 + 1, if n % 500 == 3 { Opcode::PING } else { Opcode::TEXT });
        let payload = if opcode == Opcode::PING { &payload[..payload.len().min(125)] } else { &payload[..] };
        script = script.chunk(id, Side::Client, &masked(opcode, payload));
        if n % 3 == 0 {
            // one after the other, and one in two reads
            let two = [plain(opcode, payload), plain(Opcode::BINARY, b"two")].concat();
            let (one, other) = two.split_at(if n % 2 == 0 { two.len() - 2 } else { two.len() - 5 });
            script = script.chunk(id, Side::Server, one).chunk(id, Side::Server, other);
        }
    }
    let recorded = script.closed(1, None).record();
    let (capture, sentences) = reopen(&recorded.path);
    assert_eq!(sentences, [""; 0]);
    let (again, live) = (capture.index(), recorded.capture.index());
    assert_eq!(again.totals(), live.totals());
    assert_eq!(again.statistics(), live.statistics());
    assert!(live.totals().frames > 30_000, "{}", live.totals().frames);
    for n in 1..=live.totals().frames {
        let entry = |index: &Index| format!("{:?} {:?}", index.frame(n), index.answers(n));
        assert_eq!(entry(&again), entry(&live), "{n}");
    }
    let milestones = |index: &Index| format!("{:?}", index.milestones(0));
    assert_eq!(milestones(&again), milestones(&live));
}

#[test]
fn a_recording_cut_anywhere_opens_up_to_there() {
    let recorded = script().record();
    let whole = std::fs::read(&recorded.path).unwrap();
    let live = lines(&recorded.capture);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcapng");
    for cut in (1..20).map(|n| whole.len() / 20 * n + n) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (capture, sentences) = reopen(&path);
        let again = lines(&capture);
        let common = again.lines().zip(live.lines()).take_while(|(a, b)| a == b).count();
        assert_eq!(common, again.lines().count(), "cut at {cut}");
        assert!(sentences.len() <= 1 && sentences.iter().all(|line| line.contains("cut short")), "{sentences:?}");
    }
}

#[test]
fn damage_in_the_middle_is_named_with_its_place() {
    let recorded = script().record();
    let mut bytes = std::fs::read(&recorded.path).unwrap();
    // the length of the third block, the first packet
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let first = word(4);
    let third = first + word(first + 4);
    bytes[third + 4..third + 8].copy_from_slice(&[0xFF; 4]);
    std::fs::write(&recorded.path, bytes).unwrap();
    let (capture, sentences) = reopen(&recorded.path);
    assert!(sentences[0].starts_with(&format!("the file is damaged at byte {third}: ")), "{sentences:?}");
    assert_eq!(capture.index().damage(), Some(sentences[0].as_str()));
    assert_eq!(capture.index().totals().frames, 0);
}

#[test]
fn blocks_that_other_programs_add_are_passed_over() {
    let recorded = script().record();
    let whole = std::fs::read(&recorded.path).unwrap();
    // an interface statistics block after every block but the first
    let statistics = [5_u32, 24, 0, 0, 0, 24].map(u32::to_le_bytes).concat();
    let (mut bytes, mut at) = (Vec::new(), 0);
    while at < whole.len() {
        let length = u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap()) as usize;
        bytes.extend_from_slice(&whole[at..at + length]);
        bytes.extend_from_slice(&statistics[..if at == 0 { 0 } else { 24 }]);
        at += length;
    }
    std::fs::write(&recorded.path, bytes).unwrap();
    let (capture, sentences) = reopen(&recorded.path);
    assert_eq!(sentences, [""; 0]);
    assert!(lines(&capture) == lines(&reopen(&script().record().path).0));
}

#[test]
fn a_recording_that_is_still_being_written_is_followed() {
    let recorded = script().record();
    let whole = std::fs::read(&recorded.path).unwrap();
    let path = recorded.path.with_file_name("growing.pcapng");
    std::fs::write(&path, &whole[..5000]).unwrap();
    let opened = capture::open(&path, Limits::default(), "a test").unwrap_or_else(|error| panic!("{error}"));
    let stop = Arc::new(AtomicBool::new(false));
    let (reading, stopped) = (opened.reading, stop.clone());
    let thread = std::thread::spawn(move || reading.run(true, &stopped));
    std::fs::write(&path, &whole).unwrap();
    until(|| opened.capture.index().totals().frames >= 10);
    stop.store(true, std::sync::atomic::Ordering::Release);
    assert_eq!(thread.join().unwrap(), [""; 0]);
    assert!(lines(&opened.capture) == lines(&recorded.capture));
}
