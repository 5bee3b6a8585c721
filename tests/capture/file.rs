//! The bytes in the file.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;

use wsinspect::capture::{self, ConnectionId, Recording};
use wsinspect::lint::Limits;
use wsinspect::wire::{Opcode, Side};

use crate::support::{Feed, Script, masked, plain};

#[test]
fn payloads_are_read_back_whole_from_interleaved_connections_and_split_packets() {
    let big: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    let first = masked(Opcode::BINARY, &big);
    let second = plain(Opcode::BINARY, &big[..150_000]);
    let mut script = Script::new().opened(1).opened(2);
    let (mut a, mut b) = (first.chunks(70_000), second.chunks(9_999));
    loop {
        let (a, b) = (a.next(), b.next());
        if let Some(chunk) = a {
            script = script.chunk(1, Side::Client, chunk);
        }
        if let Some(chunk) = b {
            script = script.chunk(2, Side::Server, chunk);
        }
        if a.is_none() && b.is_none() {
            break;
        }
    }
    let recorded = script.record();
    let entry = |connection| {
        let index = recorded.capture.index();
        (1..=2).map(|n| index.frame(n).unwrap()).find(|entry| entry.connection() == ConnectionId(connection)).unwrap()
    };
    assert!(recorded.capture.payload(&entry(1), 0..u64::MAX).unwrap() == big);
    assert!(recorded.capture.payload(&entry(2), 0..u64::MAX).unwrap() == big[..150_000]);
    // any part of it, too
    for start in [0, 1, 64_993, 65_000, 130_001, 199_999] {
        let end = (start + 300).min(200_000);
        let part = recorded.capture.payload(&entry(1), start..end).unwrap();
        assert!(part == big[start as usize..end as usize], "from {start}");
    }
    assert!(recorded.capture.frame_bytes(&entry(1), 0..u64::MAX).unwrap() == first);
}

#[test]
fn a_recording_is_readable_by_its_owner_alone_and_replaces_nothing_unasked() {
    let recorded = Script::new().opened(1).record();
    let mode = std::fs::metadata(&recorded.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = Recording::create(Some(&recorded.path), false).unwrap_err().to_string();
    assert!(error.ends_with("exists already; choose another name, or replace it with --force"), "{error}");
    assert!(Recording::create(Some(&recorded.path), true).is_ok());
    let error = Recording::create(Some(&recorded.path.join("below")), false).unwrap_err().to_string();
    assert!(error.starts_with("cannot record to "), "{error}");
}

#[test]
fn a_kept_recording_has_a_name_and_goes_on_there_whether_it_was_linked_or_copied() {
    // the unnamed file lies on another file system than the folder if /dev/shm is one
    let elsewhere = std::path::Path::new("/dev/shm");
    let folders = [
        tempfile::tempdir().unwrap(),
        tempfile::tempdir_in(elsewhere).unwrap_or_else(|_| tempfile::tempdir().unwrap()),
    ];
    for folder in folders {
        let path = folder.path().join("kept.pcapng");
        let mut feed = Feed::unnamed();
        feed.feed(Script::new().opened(1).chunk(1, Side::Client, &masked(Opcode::TEXT, b"before")), 1);
        feed.recording.keep(&path).unwrap();
        assert_eq!(feed.recording.name().as_deref(), Some(path.as_path()));
        feed.feed(Script::new().chunk(1, Side::Client, &masked(Opcode::TEXT, b"and after")), 2);
        let error = feed.recording.keep(&folder.path().join("other.pcapng")).unwrap_err().to_string();
        assert!(error.contains("is kept already") && error.contains("kept.pcapng"), "{error}");
        feed.recording.remove_unless_kept();
        let recorded = feed.done();
        assert_eq!(recorded.payload(1), b"before");
        assert_eq!(recorded.payload(2), b"and after");
        let file = std::fs::read(&path).unwrap();
        assert_eq!(file.len() as u64, recorded.capture.index().totals().file_length);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(recorded.capture.reader().path(), path);
    }
}

#[test]
fn keeping_replaces_no_file_and_a_failure_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken.pcapng");
    std::fs::write(&taken, "mine").unwrap();
    let mut feed = Feed::unnamed();
    for (path, says) in
        [(&taken, "exists already"), (&folder.path().join("no/folder.pcapng"), "there is no such folder")]
    {
        let error = feed.recording.keep(path).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(feed.recording.name(), None);
    feed.feed(Script::new().opened(1).chunk(1, Side::Client, &masked(Opcode::TEXT, b"on it goes")), 1);
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    let unnamed = feed.recording.reader().path();
    assert!(unnamed.exists());
    feed.recording.remove_unless_kept();
    assert!(!unnamed.exists());
    assert_eq!(feed.done().payload(1), b"on it goes");
}

#[test]
fn marks_are_kept_as_comments_and_are_no_part_of_any_conversation() {
    let mut feed = Feed::unnamed();
    let half = masked(Opcode::TEXT, &[b'x'; 300]);
    feed.feed(Script::new().opened(1).chunk(1, Side::Client, &masked(Opcode::TEXT, b"one")), 1);
    feed.feed(Script::new().chunk(1, Side::Client, &half[..100]), 1);
    feed.mark(1, Some("look here"));
    feed.mark(1, None);
    feed.mark(1, Some(""));
    feed.feed(Script::new().chunk(1, Side::Client, &half[100..]), 2);
    feed.feed(Script::new().closed(1, None), 2);
    feed.mark(2, Some("after the end"));
    let file = feed.file();
    let recorded = feed.done();
    assert_eq!(recorded.payload(2), [b'x'; 300], "a mark does not cut a frame in two");
    let index = recorded.capture.index();
    assert_eq!((index.mark(1), index.mark(2), index.mark(3)), (Some(""), Some("after the end"), None));
    let text = String::from_utf8_lossy(&file);
    let said = text.match_indices("wsinspect: ").map(|(at, _)| text[at + 11..].split('\0').next().unwrap());
    let marks: Vec<_> = said.filter(|said| said.contains("mark")).map(|said| &said[..14.min(said.len())]).collect();
    assert_eq!(marks, ["mark frame=1 t", "unmark frame=1", "mark frame=1", "mark frame=2 t"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("marked.pcapng");
    std::fs::write(&path, file).unwrap();
    let opened = capture::open(&path, Limits::default(), "a test").unwrap_or_else(|error| panic!("{error}"));
    opened.reading.run(false, &AtomicBool::new(false));
    let index = opened.capture.index();
    assert_eq!((index.mark(1), index.mark(2), index.mark(3)), (Some(""), Some("after the end"), None), "read back");
}
