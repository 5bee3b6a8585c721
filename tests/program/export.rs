//! `wsinspect open FILE --export OUT`.

use serde_json::Value;
use wsinspect::wire::{CloseCode, Opcode};

use crate::support::{Client, Program, run};

#[test]
fn a_recording_is_exported_by_suffix_or_by_name_and_replaces_nothing_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let recording = path("chat.pcapng");
    let program = Program::json(&["--record", &recording, "--messages"]);
    let mut client = Client::open(program.address());
    client.echoes("for the archive");
    client.message(Opcode::BINARY, &[0, 255]);
    client.read_frame();
    client.close(CloseCode::NORMAL, "");
    program.close_event(1);
    let printed = program.finish();

    let output = run(&["open", &recording, "--export", &path("chat.har")]);
    assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{}", output.stderr);
    assert!(output.stderr.contains("6 frames exported to"), "{}", output.stderr);
    let har: Value = serde_json::from_slice(&std::fs::read(path("chat.har")).unwrap()).unwrap();
    assert_eq!(har["log"]["entries"][0]["_webSocketMessages"].as_array().unwrap().len(), 6);

    // what was printed while it was recorded is what is exported from the recording
    let output = run(&["open", &recording, "--export", "-", "--as", "jsonl"]);
    let events: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let frames = |events: &[Value]| events.iter().filter(|event| event["event"] != "open").cloned().collect::<Vec<_>>();
    assert_eq!(frames(&events), frames(&printed));

    let again = path("again.pcapng");
    assert_eq!(run(&["open", &recording, "--export", &again]).code, Some(0));
    assert!(std::fs::read(&again).unwrap() == std::fs::read(&recording).unwrap());
    let output = run(&["open", &recording, "--export", &again]);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("again.pcapng exists already"), "{}", output.stderr);
    assert_eq!(run(&["open", &recording, "--export", &again, "--force"]).code, Some(0));

    let output = run(&["open", &recording, "-Y", "opcode == text", "--export", "-", "--as", "jsonl"]);
    let kinds: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = kinds.iter().map(|event: &Value| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "frame", "message", "frame", "message", "close"], "a filter chooses what is exported");

    let output = run(&["open", &recording, "--export", &path("chat.xml")]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("--as does: pcapng, har, jsonl, text, payload"), "{}", output.stderr);
    let output = run(&["open", &recording, "--export", "-", "--as", "payload"]);
    assert!(output.stderr.contains("a payload is that of one message"), "{}", output.stderr);
}
