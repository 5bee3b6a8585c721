//! A recording without a name is kept within `--keep`, and what is gone is counted everywhere.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wsinspect::wire::Opcode;

use crate::loss::whole_blocks;
use crate::recording::try_blocks;
use crate::screen::address;
use crate::support::{Client, Lines, PATIENCE, Program, Terminal, eventually, have, masked, run, skip};

const KEEP: u64 = 16 << 20;
/// What is not in whole regions.
const SLACK: u64 = 256 << 10;

fn room(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().blocks() * 512
}

/// Sends `count` frames of 60 000 bytes.
fn send(client: &mut Client, count: usize) {
    let payload = vec![b'.'; 60_000];
    for _ in 0..count {
        client.send_frame(&masked(Opcode::BINARY, payload.len()), &payload);
    }
}

/// What `open` prints of a recording.
#[track_caller]
fn opened(file: &Path) -> Vec<Value> {
    let output = run(&["open", file.to_str().unwrap(), "--headless", "--format", "json", "--payload-limit", "8"]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers of the frames in these events, and how many were gone before or among them; there is no other gap.
#[track_caller]
fn numbers(events: &[Value]) -> (Vec<u64>, u64) {
    let (mut next, mut gone, mut frames) = (1, 0, Vec::new());
    for event in events {
        match event["event"].as_str().unwrap() {
            "gone" => {
                assert_eq!(event["first"], next);
                gone += event["frames"].as_u64().unwrap();
                next = event["last"].as_u64().unwrap() + 1;
            }
            "frame" => {
                assert_eq!(event["n"], next);
                frames.push(next);
                next += 1;
            }
            _ => {}
        }
    }
    (frames, gone)
}

/// The last write may be half done when the program is killed: that is said, and what was written of it goes.
#[track_caller]
fn cut_what_is_torn(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let whole = whole_blocks(&bytes).len();
    if whole < bytes.len() {
        let output = run(&["open", file.to_str().unwrap(), "--headless", "--format", "json"]);
        let says = format!("wsinspect: the file is cut short: the block at byte {whole} is not whole\n");
        assert_eq!((output.code, output.stderr), (Some(0), says));
        std::fs::File::options().write(true).open(file).unwrap().set_len(whole as u64).unwrap();
    }
}

/// tshark reads all of the file and finds nothing wrong with it.
#[track_caller]
fn assert_sound(file: &Path) {
    if !have("tshark", "--version") {
        return skip("tshark reads what is left of a recording", "tshark");
    }
    let complaints = "_ws.malformed || tcp.analysis.flags || _ws.expert.severity >= 6291456";
    let output = crate::support::tshark().arg("-r").arg(file).args(["-Y", complaints]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.is_empty(), "{}{error}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn several_times_the_size_is_kept_within_it_and_opens_after_a_kill_from_the_first_frame_left() {
    let mut program = Program::json(&["--keep", "16MiB", "--reply", "none", "--payload-limit", "0"]);
    let file = program.unnamed_recording();
    let mut quiet = Client::open(program.address());
    let mut client = Client::open(program.address());
    quiet.message(Opcode::PING, b"early");
    quiet.read_frame();
    for part in 1..=10 {
        send(&mut client, 100);
        program.event("all of the part", |event| event["n"] == 2 + part * 100);
        assert!(room(&file) <= KEEP + SLACK, "{} bytes on the disk", room(&file));
    }
    // between two of the writes by which a region goes, the two lengths of a block differ
    eventually("a file of whole blocks", || try_blocks(&std::fs::read(&file).unwrap()).ok().map(drop));
    // more is on its way when it is killed
    send(&mut client, 40);
    program.signal(Signal::KILL);
    program.wait(PATIENCE);
    let shown: Vec<Value> = {
        let lines = program.stdout().all();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let (shown, gone_before_printed) = numbers(&shown);
    assert_eq!(gone_before_printed, 0, "the printer kept up");
    cut_what_is_torn(&file);
    let events = opened(&file);
    let (left, gone) = numbers(&events);
    assert!(gone > 600 && left.len() > 200, "{gone} gone, {} left", left.len());
    assert!(left.last() >= shown.last(), "every frame that was shown last is there");
    let opens: Vec<_> = events.iter().filter(|event| event["event"] == "open").collect();
    assert_eq!(opens.len(), 2, "also the connection that has said nothing for long");
    assert!(opens.iter().all(|open| open["request"]["line"] == "GET /chat HTTP/1.1"), "{opens:?}");
    assert_sound(&file);

    // the next run tells of it, and another one does not take it for its own
    let home = program.home().to_str().unwrap();
    let next = Program::start("0", &[], &[("XDG_STATE_HOME", home)], true);
    let says = format!("the recording of a run that was killed is there: wsinspect open {}", file.display());
    next.stderr().wait("the sentence", |lines| lines.iter().find(|line| line.contains(&says)).cloned());
    next.finish();
    assert!(file.exists());
}

#[test]
fn what_crashes_leave_does_not_pile_up() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("wsinspect");
    std::fs::create_dir(&folder).unwrap();
    let leave = |n: u64| -> PathBuf {
        let path = folder.join(format!("unnamed-1-{n}.pcapng"));
        std::fs::write(&path, vec![1; 6 << 20]).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + n);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        path
    };
    let left: Vec<PathBuf> = (0..4).map(leave).collect();
    let other = folder.join("notes.txt");
    std::fs::write(&other, "mine").unwrap();
    let running = std::fs::File::open(&left[0]).unwrap();
    running.try_lock().unwrap();
    let program = Program::start("0", &["--keep", "16MiB"], &[("XDG_STATE_HOME", home.path().to_str().unwrap())], true);
    let says = format!("(1 older beside it): wsinspect open {}; the oldest were removed: 1", left[3].display());
    program.stderr().wait("the sentence", |lines| lines.iter().find(|line| line.ends_with(&says)).cloned());
    program.finish();
    let there: Vec<bool> = left.iter().map(|path| path.exists()).collect();
    assert_eq!(there, [true, false, true, true], "one is in use, and the oldest of the others went");
    assert!(other.exists());
}

#[test]
fn the_screen_says_how_many_older_frames_are_gone_and_so_does_what_is_kept() {
    let state = tempfile::tempdir().unwrap();
    let arguments = ["serve", "127.0.0.1:0", "--keep", "16MiB", "--reply", "none"];
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let home = [("XDG_STATE_HOME", state.path().to_str().unwrap())];
    let mut terminal = Terminal::start_with(program, (140, 40), &arguments, &home);
    terminal.wait_for("serve 127.0.0.1:");
    let mut client = Client::open(address(&terminal));
    send(&mut client, 600);
    terminal.wait_for("600 frames");
    terminal.wait_for("older frames gone");
    let screen = terminal.settled().contents();
    let gone = number_before(&screen, " older frames gone");
    assert_eq!(number_before(&screen, " older gone"), gone, "the line at the top says the same:\n{screen}");
    // the first row is the oldest that is there
    terminal.keys("g");
    terminal.wait_for(&format!("frame {}", gone + 1));
    terminal.keys("2");
    terminal.wait_for("row 1 of 1");
    terminal.keys("3");
    terminal.wait_for("dGhlIHNhbXBsZSBub25jZQ==");
    let kept = state.path().join("kept.pcapng");
    terminal.keys("w");
    terminal.wait_for("Enter");
    terminal.keys(&format!("\u{15}{}\r", kept.display()));
    terminal.wait_for(&format!("without the {gone} older frames that are gone"));
    let file = eventually("the kept file", || kept.exists().then(|| kept.clone()));
    // nothing of it goes any more
    send(&mut client, 400);
    terminal.keys("1");
    terminal.wait_for("1 000 frames");
    terminal.wait_for(&format!("{gone} older frames gone"));
    let pid = Pid::from_raw(terminal.process().cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    terminal.wait_for_end_unread();
    let (left, said) = numbers(&opened(&file));
    assert_eq!((said, left.len() as u64), (gone, 1000 - gone));
}

/// The number in front of these words.
#[track_caller]
fn number_before(screen: &str, words: &str) -> u64 {
    let (before, _) = screen.split_once(words).unwrap_or_else(|| panic!("no {words:?} in:\n{screen}"));
    let digits = before.chars().rev().take_while(char::is_ascii_digit).collect::<String>();
    digits.chars().rev().collect::<String>().parse().unwrap()
}

#[test]
fn a_reader_that_is_behind_is_told_what_went_before_it_was_printed() {
    let mut program = Program::start(
        "0",
        &["--format", "json", "--payload-limit", "60000", "--keep", "16MiB", "--reply", "none"],
        &[],
        false,
    );
    let mut client = Client::open(program.address());
    send(&mut client, 1000);
    let file = program.unnamed_recording();
    // the traffic did not wait for the reader
    eventually("all of the traffic", || (std::fs::metadata(&file).unwrap().len() > 60_000_000).then_some(()));
    let lines = Lines::follow(program.take_stdout());
    let events = lines.wait("the last frame", |lines| {
        let last = lines.last()?;
        last.contains("\"n\":1000,").then(|| lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect())
    });
    let events: Vec<Value> = events;
    let (frames, gone) = numbers(&events);
    assert!(gone > 0, "it was behind");
    assert_eq!(frames.len() as u64 + gone, 1000);
    client.close_unread();
}
