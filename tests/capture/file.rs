//! The bytes in the file.

use std::os::unix::fs::PermissionsExt;

use wsinspect::capture::{ConnectionId, Recording};
use wsinspect::wire::{Opcode, Side};

use crate::support::{Script, masked, plain};

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
        (1..=2).map(|n| *index.frame(n).unwrap()).find(|entry| entry.connection() == ConnectionId(connection)).unwrap()
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
