//! What goes wrong around a recording: a disk that is full, a program that is killed.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::Value;
use wsinspect::wire::{Opcode, frame};

use crate::recording::{blocks, streams_by_peer};
use crate::support::{Client, PATIENCE, Program, eventually, masked};

/// From now on no file of the program may grow beyond `bytes`; for it, that is a disk that is full.
fn limit_files(program: &Program, bytes: Option<u64>) {
    let maximum = prlimit(Some(program.process()), Resource::Fsize, Rlimit { current: bytes, maximum: None });
    maximum.expect("a limit may always be set");
}

/// The comments of the packets, in order.
fn comments(file: &[u8]) -> Vec<String> {
    let packets = blocks(file).into_iter().filter(|(kind, _)| *kind == 6);
    packets.flat_map(|(_, body)| options(body)).collect()
}

fn options(packet: &[u8]) -> Vec<String> {
    let length = u32::from_le_bytes(packet[12..16].try_into().unwrap()) as usize;
    let mut rest = &packet[20 + length.next_multiple_of(4)..];
    let mut comments = Vec::new();
    while let [code, _, low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        if *code == 1 {
            comments.push(String::from_utf8(tail[..length].to_vec()).unwrap());
        }
        rest = &tail[length.next_multiple_of(4)..];
    }
    comments
}

#[test]
fn on_a_full_disk_the_traffic_goes_on_and_the_recording_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.pcapng");
    let program = Program::json(&["--record", path.to_str().unwrap()]);
    let mut client = Client::open(program.address());
    client.echoes("while there is room");
    program.event("the echo", |event| event["n"] == 2);
    let before = std::fs::read(&path).unwrap();
    limit_files(&program, Some(before.len() as u64 + 100));
    for n in 0..20 {
        client.echoes(&format!("nothing of this is kept: {n}, {}", "x".repeat(200)));
    }
    let shown = program.event("the last of them", |event| event["n"] == 42);
    assert_eq!(shown["length"], 200 + "nothing of this is kept: 19, ".len());
    assert!(std::fs::read(&path).unwrap() == before, "the file is whole up to there");
    limit_files(&program, None);
    client.echoes("there is room again");
    program.event("the echo", |event| event["n"] == 44);
    let port = client.address().port();
    drop(client);
    program.close_event(1);
    let server = program.port();
    let mut program = program;
    program.signal(Signal::TERM);
    assert_eq!(program.wait(PATIENCE).code(), Some(0));
    // 20 messages each way, the last ten of which have a number of two digits; each has a header of four bytes
    let lost = 20 * 200 + 20 * "nothing of this is kept: 0, ".len() as u64 + 10 + 20 * 4;
    let (up, down) = (lost + 20 * 4, lost);
    let said = program.stderr().all().join("\n");
    assert!(said.contains(&format!("{} bytes that crossed the wire could not be recorded", up + down)), "{said}");
    let file = std::fs::read(&path).unwrap();
    let comments = comments(&file);
    assert_eq!(comments[1..3], [format!("wsinspect: {up} bytes missing"), format!("wsinspect: {down} bytes missing")]);
    // the sequence numbers have a hole of that size
    let packets: Vec<_> = blocks(&file).into_iter().filter(|(kind, _)| *kind == 6).map(|(_, body)| body).collect();
    let sequence = |body: &[u8]| u32::from_be_bytes(body[44..48].try_into().unwrap());
    let from = |body: &[u8]| u16::from_be_bytes([body[40], body[41]]);
    for (sender, missing) in [(port, up), (server, down)] {
        let sent: Vec<_> = packets.iter().filter(|body| from(body) == sender).collect();
        let payload =
            |body: &[u8]| u32::from_le_bytes(body[12..16].try_into().unwrap()) - 20 - u32::from(body[52] >> 4) * 4;
        let hole = sent
            .windows(2)
            .map(|pair| sequence(pair[1]) - sequence(pair[0]) - payload(pair[0]))
            .find(|hole| *hole > 100)
            .map(u64::from);
        assert_eq!(hole, Some(missing));
    }
}

/// What is left of a file whose writer was killed: its whole blocks.
pub(crate) fn whole_blocks(file: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(length) = file.get(at + 4..at + 8) {
        let end = at + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        if end > file.len() {
            break;
        }
        at = end;
    }
    &file[..at]
}

#[test]
fn whenever_the_program_is_killed_under_load_the_recording_holds_every_frame_that_was_shown() {
    let mut shown = 0;
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("killed.pcapng");
        let mut program = Program::json(&["--record", path.to_str().unwrap(), "--payload-limit", "0"]);
        let clients: Vec<_> = (0..4).map(|_| Client::open(program.address()).stream).collect();
        let threads: Vec<_> = clients
            .iter()
            .flat_map(|stream| {
                let (mut up, mut down) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
                let sends = std::thread::spawn(move || {
                    // until the program is gone
                    for length in (0..).map(|n: usize| n * 131 % 9000) {
                        let bytes = frame(&masked(Opcode::BINARY, length), &vec![0; length]);
                        if up.write_all(&bytes).is_err() {
                            break;
                        }
                    }
                });
                let reads = std::thread::spawn(move || {
                    let mut buffer = vec![0; 64 * 1024];
                    while down.read(&mut buffer).is_ok_and(|n| n > 0) {}
                });
                [sends, reads]
            })
            .collect();
        // under load, at any moment: what is waited for is nothing in particular
        program.event("the first frames", |event| event["n"] == 10);
        let nanoseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
        std::thread::sleep(Duration::from_micros(u64::from(nanoseconds / 1000 % 150_000)));
        program.signal(Signal::KILL);
        program.wait(PATIENCE);
        for thread in threads {
            thread.join().unwrap();
        }
        let server = program.port();
        shown += assert_holds(&path, &program.stdout().all(), server, round);
    }
    assert!(shown > 100, "only {shown} frames were shown in all");
}

/// Every frame that `lines` tell of is in the file; returned is how many those are.
#[track_caller]
fn assert_holds(path: &Path, lines: &[String], server: u16, round: u32) -> usize {
    let file = std::fs::read(path).unwrap();
    let whole = whole_blocks(&file);
    let streams: HashMap<(u16, bool), usize> = streams_by_peer(whole, server)
        .into_iter()
        .map(|(key, stream)| {
            let head = stream.windows(4).position(|window| window == b"\r\n\r\n").map_or(stream.len(), |at| at + 4);
            (key, stream.len() - head)
        })
        .collect();
    let mut ports: HashMap<u64, u16> = HashMap::new();
    let mut frames = 0;
    // the last line may have been torn
    for event in lines.iter().map_while(|line| serde_json::from_str::<Value>(line).ok()) {
        let conn = event["conn"].as_u64().unwrap();
        if event["event"] == "open" {
            ports.insert(conn, event["client"].as_str().unwrap().rsplit_once(':').unwrap().1.parse().unwrap());
        }
        if event["event"] != "frame" {
            continue;
        }
        frames += 1;
        let header = event["header"].as_str().unwrap().len() as u64 / 2;
        let end = event["offset"].as_u64().unwrap() + header + event["length"].as_u64().unwrap();
        let held = streams[&(ports[&conn], event["from"] == "server")] as u64;
        assert!(held >= end, "round {round}: the file has {held} bytes of {end}: {event}");
    }
    frames
}

#[test]
fn the_screen_says_in_red_how_much_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.pcapng");
    let (mut terminal, address) = crate::screen::panel((120, 36), &["--record", path.to_str().unwrap()]);
    let mut client = Client::open(address);
    client.echoes("kept");
    terminal.wait_for("\"kept\"");
    let length = eventually("the file", || std::fs::metadata(&path).ok()).len();
    let process = rustix::process::Pid::from_raw(terminal.process().cast_signed());
    prlimit(process, Resource::Fsize, Rlimit { current: Some(length), maximum: None }).unwrap();
    client.echoes(&"lost".repeat(1000));
    terminal.wait_for("8012 B missing");
    let screen = terminal.screen();
    let row = (0..screen.size().1.get()).find(|&x| {
        (0..7).all(|i| screen.cell(0, x + i).is_some_and(|cell| cell.contents() == &"missing"[i as usize..=i as usize]))
    });
    let color = screen.cell(0, row.unwrap()).unwrap().fgcolor();
    assert!(matches!(color, vt100::Color::Idx(1 | 9)), "{color:?}");
}
