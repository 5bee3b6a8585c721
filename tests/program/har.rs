//! HARs: those of other programs opened, and ours handed to Chrome's own importer.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use wsinspect::wire::{CloseCode, Opcode};

use crate::support::{Client, Program, Terminal, have, masked, run, run_with, skip};

const CHROME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/capture/har/chrome.har");

#[test]
fn a_har_prints_the_same_lines_from_a_file_a_pipe_and_compressed() {
    let output = run(&["open", CHROME]);
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
    let lines: Vec<_> = output.stdout.lines().collect();
    assert!(lines[0].ends_with("open somebody asks for /chat?room=1"), "{}", lines[0]);
    assert!(lines[2].ends_with("◀──  text         ?   ???     12  ?         \"price 12 €\""), "{}", lines[2]);
    let har = std::fs::read(CHROME).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&har).unwrap();
    for bytes in [&har, &gzip.finish().unwrap()] {
        let piped = run_with(&["open", "-"], bytes, &[]);
        assert_eq!((piped.code, piped.stdout), (Some(0), output.stdout.clone()));
    }
    let cut = run_with(&["open", "-", "--fail-on", "advice"], &har[..har.len() / 2], &[]);
    assert_eq!(cut.code, Some(0));
    assert!(cut.stderr.starts_with("wsinspect: the HAR is cut short at line "), "{}", cut.stderr);
}

#[test]
fn on_the_screen_what_a_har_does_not_say_is_a_question_mark() {
    let program = Path::new(env!("CARGO_BIN_EXE_wsinspect"));
    let mut terminal = Terminal::start(program, (200, 50), &["open", CHROME]);
    terminal.wait_for("\"price 12 €\"");
    terminal.wait_for("in frames that are unknown");
    terminal.wait_for("Unknown: a HAR does not say.");
    terminal.wait_for("payload; its frames are unknown");
    let screen = terminal.screen().contents();
    let row = screen.lines().find(|line| line.contains("price 12")).unwrap();
    assert!(row.contains("?   ???") && !row.contains('·'), "{row}");
    terminal.keys("2");
    terminal.wait_for("The connection failed; the HAR says: Received unexpected continuation frame.");
    terminal.wait_for("? ──▶ ?");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}

#[test]
fn chromes_own_importer_takes_what_is_exported() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let Some(chromium) = names.into_iter().find(|name| have(name, "--version")) else {
        return skip("Chrome's own importer takes what is exported", "Chromium");
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let program = Program::json(&["--record", &path("chat.pcapng"), "--tolerant"]);
    let mut client = Client::open(program.address());
    client.echoes("hello \"€\" \u{1f600}");
    client.send_frame(&masked(Opcode::BINARY, 2).with_fin(false), &[0, 255]);
    client.message(Opcode::PING, b"hm");
    client.read_frame();
    client.send_frame(&masked(Opcode::CONTINUATION, 1), &[7]);
    client.read_frame();
    client.close(CloseCode::NORMAL, "bye");
    program.close_event(1);
    program.finish();
    assert_eq!(run(&["open", &path("chat.pcapng"), "--export", &path("chat.har")]).code, Some(0));
    let har: Value = serde_json::from_slice(&std::fs::read(path("chat.har")).unwrap()).unwrap();

    let imported = imported(chromium, &path("profile"), &har);
    let written = &har["log"]["entries"][0];
    assert_eq!(imported.as_array().map(Vec::len), Some(1), "{imported}");
    let request = &imported[0];
    assert_eq!(request["url"], written["request"]["url"]);
    assert_eq!((&request["status"], &request["type"]), (&json!(101), &json!("websocket")));
    assert_eq!(request["headers"], written["response"]["headers"].as_array().unwrap().len());
    let messages = written["_webSocketMessages"].as_array().unwrap();
    assert_eq!(messages.len(), 8);
    let written: Vec<_> =
        messages.iter().map(|one| json!([one["type"], one["time"], one["opcode"], one["data"]])).collect();
    assert_eq!(request["frames"], json!(written));
}

/// What the importer of Chromium's developer tools makes of a HAR.
fn imported(chromium: &str, profile: &str, har: &Value) -> Value {
    let arguments = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --remote-debugging-pipe";
    // Chromium takes commands on file 3 and answers on file 4
    let script = format!(
        "exec {chromium} {arguments} --user-data-dir='{profile}' about:blank 3<&0 4>&1 >/dev/null 2>&1 </dev/null"
    );
    let mut child =
        Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut devtools = DevTools { input: child.stdin.take().unwrap(), output: child.stdout.take().unwrap(), last: 0 };
    let tools = "devtools://devtools/bundled/devtools_app.html";
    let target = devtools.call("Target.createTarget", &json!({"url": tools}), None)["targetId"].clone();
    let attached = devtools.call("Target.attachToTarget", &json!({"targetId": target, "flatten": true}), None);
    let session = attached["sessionId"].as_str().unwrap();
    let har = serde_json::to_string(&har.to_string()).unwrap();
    let expression = format!(
        "import('devtools://devtools/bundled/models/har/har.js').then(har => {{
            const root = new har.HARFormat.HARRoot(JSON.parse({har}));
            return har.Importer.Importer.requestsFromHARLog(root.log).map(request => ({{
                url: request.url(), status: request.statusCode, type: request.resourceType().name(),
                headers: request.responseHeaders.length,
                frames: request.frames().map(frame => [frame.type, frame.time, frame.opCode, frame.text]),
            }}));
        }})"
    );
    let evaluate = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
    let result = devtools.call("Runtime.evaluate", &evaluate, Some(session));
    devtools.call("Browser.close", &json!({}), None);
    child.wait().unwrap();
    assert!(result["exceptionDetails"].is_null(), "{result}");
    result["result"]["value"].clone()
}

/// Chromium's developer protocol: JSON, each message ended by a zero.
struct DevTools {
    input: std::process::ChildStdin,
    output: std::process::ChildStdout,
    last: u64,
}

impl DevTools {
    fn call(&mut self, method: &str, params: &Value, session: Option<&str>) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        write!(self.input, "{command}\0").unwrap();
        loop {
            let mut message = Vec::new();
            loop {
                let mut byte = [0];
                self.output.read_exact(&mut byte).unwrap();
                if byte == [0] {
                    break;
                }
                message.push(byte[0]);
            }
            let message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }
}
