//! How long it takes to open a capture: `cargo run --release --example open_speed -- FILE`
//!
//! Prints the seconds, and those that tshark takes for the same file where it is there.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use wsinspect::capture;
use wsinspect::lint::Limits;

fn main() {
    let Some(file) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("a FILE is expected: a recording, or another capture");
        return;
    };
    let began = Instant::now();
    let opened = match capture::open(&file, Limits::default(), "open_speed") {
        Ok(opened) => opened,
        Err(error) => return eprintln!("{error}"),
    };
    let sentences = opened.reading.run(false, &AtomicBool::new(false));
    let seconds = began.elapsed().as_secs_f64();
    let totals = opened.capture.index().totals();
    if let Some(recording) = opened.recording {
        recording.remove_unless_kept();
    }
    println!("wsinspect: {} frames in {seconds:.2} s", totals.frames);
    for sentence in sentences {
        println!("{sentence}");
    }
    let began = Instant::now();
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&file).args(["-Y", "websocket"]).stdout(Stdio::null()).stderr(Stdio::null());
    if tshark.status().is_ok_and(|status| status.success()) {
        println!("tshark: {:.2} s", began.elapsed().as_secs_f64());
    }
}
