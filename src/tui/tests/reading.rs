//! A file that is still being read.

use std::sync::atomic::AtomicBool;

use super::*;

/// A recording with 4 MB behind its only frame.
fn large_file(folder: &TempDir) -> std::path::PathBuf {
    let mut traffic = Traffic::new();
    traffic.open(1);
    traffic.text(1, Side::Client, "at the beginning");
    let (capture, _folder) = traffic.done();
    let mut bytes = std::fs::read(capture.reader().path()).unwrap();
    // blocks of a kind that nobody knows
    for _ in 0..4 {
        let length = (1_u32 << 20).to_le_bytes();
        bytes.extend(0x0BAD_u32.to_le_bytes());
        bytes.extend(length);
        bytes.resize(bytes.len() + (1 << 20) - 12, 0);
        bytes.extend(length);
    }
    let path = folder.path().join("large.pcapng");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn how_far_it_is_stands_at_the_top_as_long_as_there_is_room_and_esc_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let opened = capture::open(&large_file(&folder), Limits::default(), "a test").unwrap();
    let mut tester = Tester::new(opened.capture.clone(), 120, 36);
    tester.model.reading = Some(opened.progress.clone());
    // the first piece is read to know what it is
    assert!(tester.shows("  reading: 24%, 1.0 MB of 4.2 MB, Esc stops"), "{}", tester.screen());
    tester.input(Input::Resize(80, 24));
    tester.model.resize(Size { width: 80, height: 24 });
    assert!(tester.shows("24%, Esc stops"), "{}", tester.screen());
    tester.code(KeyCode::Esc);
    let sentences = opened.reading.run(false, &AtomicBool::new(false));
    assert_eq!(sentences.len(), 1);
    assert!(sentences[0].starts_with("reading was stopped at byte "), "{sentences:?}");
    assert!(sentences[0].ends_with("; the rest of the file is not shown"), "{sentences:?}");
    assert!(!tester.shows("Esc stops"));
    tester.model.resize(Size { width: 160, height: 36 });
    assert!(tester.shows("reading was stopped at byte "), "{}", tester.screen());
    assert!(tester.shows("1 frame "), "{}", tester.screen());
}

#[test]
fn esc_means_back_once_all_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let opened = capture::open(&large_file(&folder), Limits::default(), "a test").unwrap();
    let mut tester = Tester::new(opened.capture.clone(), 120, 36);
    tester.model.reading = Some(opened.progress.clone());
    assert_eq!(opened.reading.run(false, &AtomicBool::new(false)), Vec::<String>::new());
    tester.keys("2");
    assert!(!tester.shows("Esc stops"));
    tester.code(KeyCode::Esc);
    assert!(tester.shows("at the beginning"));
}
