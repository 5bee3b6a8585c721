//! The keys that are about files, in a real terminal: marking, keeping, exporting.

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;
use wsinspect::wire::Opcode;

use crate::recording::blocks;
use crate::screen::{panel, quit};
use crate::support::{Client, Terminal, have, skip};

const WIDE: (u16, u16) = (120, 36);

/// Fills in the first field of the form that `key` opens.
fn fill_in(terminal: &mut Terminal, key: &str, title: &str, text: &str) {
    terminal.keys(key);
    terminal.wait_for(title);
    terminal.keys(text);
    terminal.wait_for(text);
}

#[test]
fn x_exports_what_there_is_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.har");
    let file = path.to_str().unwrap();
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("for the archive");
    terminal.wait_for("2 frames");
    fill_in(&mut terminal, "x", "┌ export", file);
    terminal.keys("\r");
    terminal.wait_for("2 frames exported to");
    let har: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(har["log"]["entries"][0]["_webSocketMessages"][1]["data"], "for the archive");
    std::fs::write(&path, "mine").unwrap();
    fill_in(&mut terminal, "x", "┌ export", file);
    terminal.keys("\r");
    terminal.wait_for("exists already; choose another name");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    quit(&mut terminal);
}

#[test]
fn x_exports_what_the_list_shows_or_the_payload_of_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, payload) = (folder.path().join("new.jsonl"), folder.path().join("message"));
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("hidden");
    terminal.wait_for("2 frames");
    terminal.keys("z");
    terminal.wait_for("2 earlier frames hidden");
    client.message(Opcode::BINARY, &[0, 1, 2]);
    client.read_frame();
    terminal.wait_for("4 frames");
    fill_in(&mut terminal, "x", "┌ export", lines.to_str().unwrap());
    terminal.keys("\t ");
    terminal.wait_for("what the list shows: 2 frames");
    terminal.keys("\r");
    terminal.wait_for("2 frames exported");
    let text = std::fs::read_to_string(&lines).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = events.iter().filter_map(|event| event["n"].as_u64()).collect();
    assert_eq!(numbers, [3, 4]);
    fill_in(&mut terminal, "x", "┌ export", payload.to_str().unwrap());
    terminal.keys("\t  ");
    terminal.wait_for("the payload of the message of frame 4");
    terminal.keys("\r");
    terminal.wait_for("the payload is in");
    assert_eq!(std::fs::read(&payload).unwrap(), [0, 1, 2]);
    quit(&mut terminal);
}

#[test]
fn x_exports_what_the_filter_lets_through() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("pings.jsonl");
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("no ping");
    client.message(Opcode::PING, b"one");
    client.read_frame();
    terminal.wait_for("4 frames");
    terminal.keys("/opcode == ping\r");
    terminal.wait_until("pings alone", |screen| !screen.contents().contains("no ping"));
    fill_in(&mut terminal, "x", "┌ export", lines.to_str().unwrap());
    terminal.keys("\t ");
    terminal.wait_for("what the list shows: 1 frame");
    terminal.keys("\r");
    terminal.wait_for("1 frame exported");
    let text = std::fs::read_to_string(&lines).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = events.iter().filter_map(|event| event["n"].as_u64()).collect();
    assert_eq!(numbers, [3]);
    quit(&mut terminal);
}

#[test]
fn w_keeps_the_recording_under_a_name_and_goes_on_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pcapng");
    let (mut terminal, address) = panel(WIDE, &[]);
    let mut client = Client::open(address);
    client.echoes("before");
    terminal.wait_for("2 frames");
    fill_in(&mut terminal, "w", "┌ keep the recording", path.to_str().unwrap());
    terminal.keys("\r");
    terminal.wait_for("● rec kept.pcapng");
    client.echoes("and after");
    terminal.wait_for("4 frames");
    terminal.keys("w");
    terminal.wait_for("the recording is kept already, as kept.pcapng");
    quit(&mut terminal);
    let file = std::fs::read(&path).unwrap();
    blocks(&file);
    let text = String::from_utf8_lossy(&file);
    assert!(text.contains("before") && text.contains("and after"));
}

#[test]
fn a_mark_made_while_the_disk_is_full_is_written_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.pcapng");
    let (mut terminal, address) = panel(WIDE, &["--record", path.to_str().unwrap()]);
    let mut client = Client::open(address);
    client.echoes("x");
    terminal.wait_for("2 frames");
    let process = rustix::process::Pid::from_raw(terminal.process().cast_signed()).unwrap();
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(process), Resource::Fsize, limit).expect("a limit may always be set");
    };
    limit(Some(std::fs::metadata(&path).unwrap().len()));
    fill_in(&mut terminal, "m", "┌ mark frame 2", "hard to keep");
    terminal.keys("\r");
    terminal.wait_for("◆ hard to keep");
    client.echoes("y");
    terminal.wait_for("missing");
    let has_mark = || String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("frame=2 text=hard to keep");
    assert!(!has_mark());
    limit(None);
    quit(&mut terminal);
    assert!(has_mark());
}

#[test]
fn m_marks_a_frame_in_the_list_and_in_the_recording_and_takes_the_mark_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("marked.pcapng");
    let (mut terminal, address) = panel(WIDE, &["--record", path.to_str().unwrap()]);
    let mut client = Client::open(address);
    client.echoes("x");
    terminal.wait_for("● rec marked.pcapng");
    terminal.wait_for("2 frames");
    fill_in(&mut terminal, "m", "┌ mark frame 2", "odd one");
    terminal.keys("\r");
    terminal.wait_for("◆ odd one");
    terminal.keys("m");
    terminal.wait_until("the mark gone", |screen| !screen.contents().contains("◆"));
    terminal.keys("k");
    terminal.wait_for("row 1 of 2");
    fill_in(&mut terminal, "m", "┌ mark frame 1", "this one");
    terminal.keys("\r");
    terminal.wait_for("◆ this one");
    quit(&mut terminal);
    if !have("tshark", "--version") {
        return skip("marks in Wireshark", "tshark");
    }
    let tshark = |filter: &str| {
        let mut command = crate::support::tshark();
        command.arg("-r").arg(&path).args(["-Y", filter, "-T", "fields", "-e", "frame.comment"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let said = tshark("frame.comment contains \"mark frame\"");
    let expected =
        ["wsinspect: mark frame=2 text=odd one", "wsinspect: unmark frame=2", "wsinspect: mark frame=1 text=this one"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(tshark("_ws.malformed || tcp.analysis.flags || _ws.expert.severity >= 6291456"), "");
}
