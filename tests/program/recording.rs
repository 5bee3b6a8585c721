//! The recording: every byte as it crossed the wire, in a file that Wireshark dissects by itself.

use std::collections::HashMap;
use std::path::Path;

use rustix::process::Signal;
use wsinspect::wire::{CloseCode, Header, Opcode, Parsed, frame};

use crate::support::{Client, PATIENCE, Program, eventually, have, masked, request, skip};

/// The blocks of a pcapng file: type and body. The file ends with a whole one.
#[track_caller]
pub(crate) fn blocks(file: &[u8]) -> Vec<(u32, &[u8])> {
    try_blocks(file).unwrap_or_else(|error| panic!("{error}"))
}

/// The same, or what is wrong with it.
pub(crate) fn try_blocks(file: &[u8]) -> Result<Vec<(u32, &[u8])>, String> {
    let number = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let torn = || format!("a torn block at {at} of {}", file.len());
        let kind = number(at).ok_or_else(torn)?;
        let length = number(at + 4).ok_or_else(torn)? as usize;
        let last = length.checked_sub(4).and_then(|last| number(at + last)).ok_or_else(torn)?;
        if !length.is_multiple_of(4) || length < 12 || last as usize != length {
            return Err(format!("the block at {at} says {length} and {last}"));
        }
        blocks.push((kind, &file[at + 8..at + length - 4]));
        at += length;
    }
    Ok(blocks)
}

/// What each port sent, put together from the packets' own sequence numbers.
#[track_caller]
fn streams(file: &[u8]) -> HashMap<u16, Vec<u8>> {
    let mut streams: HashMap<u16, (Option<u32>, Vec<u8>)> = HashMap::new();
    for (kind, body) in blocks(file) {
        if kind != 6 {
            continue;
        }
        let length = u32::from_le_bytes(body[12..16].try_into().unwrap()) as usize;
        let packet = &body[20..20 + length];
        let (tcp, end) = match packet[0] >> 4 {
            4 => (usize::from(packet[0] & 15) * 4, usize::from(u16::from_be_bytes([packet[2], packet[3]]))),
            6 => (40, 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]))),
            version => panic!("IP version {version}"),
        };
        assert_eq!(end, packet.len());
        let tcp = &packet[tcp..];
        let port = u16::from_be_bytes([tcp[0], tcp[1]]);
        let sequence = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
        let (payload, flags) = (&tcp[usize::from(tcp[12] >> 4) * 4..], tcp[13]);
        let (next, stream) = streams.entry(port).or_default();
        assert_eq!(*next.get_or_insert(sequence), sequence, "nothing is missing, nothing twice");
        let counted = payload.len() as u32 + u32::from(flags & 1 != 0) + u32::from(flags & 2 != 0);
        *next = Some(sequence.wrapping_add(counted));
        stream.extend_from_slice(payload);
    }
    streams.into_iter().map(|(port, (_, stream))| (port, stream)).collect()
}

/// A line for each packet that `filter` takes, with the values of `fields`.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = crate::support::tshark();
    command.arg("-r").arg(file).args(["-Y", filter, "-T", "fields"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// tshark has nothing to complain of.
#[track_caller]
fn assert_sound(file: &Path) {
    let complaints = "_ws.malformed || tcp.analysis.flags || _ws.expert.severity >= 6291456";
    let found = tshark(file, complaints, &["frame.number", "_ws.expert.message"]);
    assert!(found.is_empty(), "{found:?}");
}

/// One frame that tshark found: sender's port, FIN, opcode, MASK, length.
type Dissected = (u16, bool, u8, bool, u64);

fn dissected(file: &Path, stream: usize) -> Vec<Dissected> {
    let fields = [
        "tcp.srcport",
        "websocket.fin",
        "websocket.opcode",
        "websocket.mask",
        "websocket.payload_length",
        "websocket.payload_length_ext_16",
        "websocket.payload_length_ext_64",
    ];
    let mut frames = Vec::new();
    for line in tshark(file, &format!("websocket && tcp.stream == {stream}"), &fields) {
        let values: Vec<Vec<&str>> = line.iter().map(|values| values.split(',').collect()).collect();
        let (mut long, mut longer) = (values[5].iter(), values[6].iter());
        for n in 0..values[2].len() {
            let length = match values[4][n].parse().unwrap() {
                126 => long.next().unwrap().parse().unwrap(),
                127 => longer.next().unwrap().parse().unwrap(),
                length => length,
            };
            let flag = |values: &[&str]| ["1", "True"].contains(&values[n]);
            let port = values[0][0].parse().unwrap();
            frames.push((port, flag(&values[1]), values[2][n].parse().unwrap(), flag(&values[3]), length));
        }
    }
    frames
}

#[test]
fn the_recording_holds_every_byte_of_every_connection_as_it_crossed_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let program = Program::json(&["--record", file.to_str().unwrap(), "--payload-limit", "10"]);
    let mut sent: Vec<Vec<u8>> = vec![Vec::new(); 2];
    let mut got = vec![Vec::new(); 2];
    let mut clients: Vec<Client> = (0..2).map(|_| Client::bare(program.address())).collect();
    for (client, sent) in clients.iter_mut().zip(&mut sent) {
        *sent = request("").into_bytes();
        client.send(sent);
        client.read_opened();
    }
    for length in [0, 1, 126, 65536, 200_000] {
        for ((client, sent), got) in clients.iter_mut().zip(&mut sent).zip(&mut got) {
            let payload: Vec<u8> = (0..length as u32).map(|i| (i * 7 + i / 251) as u8).collect();
            sent.extend(client.send_frame(&masked(Opcode::BINARY, length), &payload));
            let (header, echoed) = client.read_frame();
            got.extend(frame(&header, &echoed));
        }
    }
    // broken rules are bytes, too
    for ((client, sent), got) in clients.iter_mut().zip(&mut sent).zip(&mut got) {
        let unmasked = frame(&Header::new(Opcode::new(3), None, 2), b"no");
        client.send(&unmasked);
        sent.extend(&unmasked);
        got.extend(client.read_to_end());
    }
    let ports: Vec<u16> = clients.iter().map(|client| client.address().port()).collect();
    let server = program.port();
    drop(clients);
    program.finish();
    let bytes = std::fs::read(&file).unwrap();
    let streams = streams_by_peer(&bytes, server);
    for n in 0..2 {
        assert!(streams[&(ports[n], false)] == sent[n], "what client {n} sent");
        let answered = &streams[&(ports[n], true)];
        let head = answered.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!(answered[head..] == got[n], "what client {n} got");
    }
}

/// What each client sent (`false`) and got (`true`), by the client's port.
#[track_caller]
pub(crate) fn streams_by_peer(file: &[u8], server: u16) -> HashMap<(u16, bool), Vec<u8>> {
    let mut by_client: HashMap<u16, Vec<u8>> = HashMap::new();
    let mut all = HashMap::new();
    // a file of its own for each connection: start blocks, then the packets of one client
    let start: usize = 0;
    let mut at = start;
    let mut heads = Vec::new();
    for (kind, body) in blocks(file) {
        let whole = &file[at..at + body.len() + 12];
        at += whole.len();
        if kind != 6 {
            heads.extend_from_slice(whole);
            continue;
        }
        let tcp = 20 + if body[20] >> 4 == 4 { 20 } else { 40 };
        let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let client = if port(tcp) == server { port(tcp + 2) } else { port(tcp) };
        by_client.entry(client).or_insert_with(|| heads.clone()).extend_from_slice(whole);
    }
    for (client, file) in by_client {
        for (port, stream) in streams(&file) {
            all.insert((client, port == server), stream);
        }
    }
    all
}

#[test]
fn wireshark_dissects_the_recording_by_itself_over_ipv4_and_ipv6() {
    if !have("tshark", "--version") {
        return skip("wireshark dissects the recording", "tshark");
    }
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat.pcapng");
        let arguments = ["--format", "json", "--payload-limit", "10", "--record", file.to_str().unwrap()];
        let program = Program::start(listen, &arguments, &[], true);
        let mut clients = [Client::open(program.address()), Client::open(program.address())];
        let ports = clients.each_ref().map(|client| client.address().port());
        let lengths = [0, 125, 126, 65535, 65536, 200_000];
        for length in lengths {
            for client in &mut clients {
                client.message(Opcode::BINARY, &vec![0x5A; length]);
                client.read_frame();
            }
        }
        for client in &mut clients {
            client.send_frame(&masked(Opcode::TEXT, 2).with_fin(false), b"ab");
            client.message(Opcode::PING, b"hm");
            client.send_frame(&masked(Opcode::CONTINUATION, 1), b"c");
            client.read_frame();
            client.read_frame();
        }
        for client in clients {
            client.close(CloseCode::NORMAL, "bye");
        }
        let server = program.port();
        program.finish();
        assert_sound(&file);
        // which connection's came first is a matter of time
        let mut http = tshark(&file, "http", &["tcp.stream", "http.request.uri", "http.response.code"]);
        http.sort_by_key(|line| line[0].clone());
        assert_eq!(http, [["0", "/chat", ""], ["0", "", "101"], ["1", "/chat", ""], ["1", "", "101"]], "{listen}");
        for (stream, port) in ports.into_iter().enumerate() {
            let mut expected: Vec<Dissected> = Vec::new();
            for length in lengths {
                expected.push((port, true, 2, true, length as u64));
                expected.push((server, true, 2, false, length as u64));
            }
            let up = [(false, 1, 2), (true, 9, 2), (true, 0, 1), (true, 8, 5)];
            let down = [(true, 10, 2), (true, 1, 3), (true, 8, 2)];
            expected.extend(up.map(|(fin, opcode, length)| (port, fin, opcode, true, length)));
            expected.extend(down.map(|(fin, opcode, length)| (server, fin, opcode, false, length)));
            let found = dissected(&file, stream);
            // which of the last came before the other's is a matter of time
            let of = |frames: &[Dissected], sender| {
                frames.iter().filter(|frame| frame.0 == sender).copied().collect::<Vec<_>>()
            };
            assert_eq!(of(&found, port), of(&expected, port), "{listen}");
            assert_eq!(of(&found, server), of(&expected, server), "{listen}");
        }
        let close = tshark(
            &file,
            "websocket.payload.close",
            &["websocket.payload.close.status_code", "websocket.payload.close.reason"],
        );
        assert_eq!(close.len(), 4, "{close:?}");
        assert!(close.iter().all(|close| close[0] == "1000"), "{close:?}");
        let fins = tshark(&file, "tcp.flags.fin == 1", &["tcp.stream"]);
        assert_eq!(fins.len(), 4, "both sides of both connections end");
    }
}

#[test]
fn a_refused_handshake_and_the_page_are_in_the_recording_too() {
    if !have("tshark", "--version") {
        return skip("a refused handshake is in the recording", "tshark");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let program = Program::json(&["--record", file.to_str().unwrap()]);
    crate::support::exchange(program.address(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::support::exchange(program.address(), request("").replace("13", "12").as_bytes());
    program.finish();
    assert_sound(&file);
    let codes = tshark(&file, "http.response", &["http.response.code"]);
    assert_eq!(codes, [["200"], ["426"]]);
}

#[test]
fn the_recording_is_whole_while_it_is_written_and_after_the_program_was_killed() {
    let mut program = Program::json(&[]);
    let file = program.unnamed_recording();
    let mut client = Client::open(program.address());
    for n in 1..=3 {
        client.message(Opcode::TEXT, &vec![b'a' + n; 40_000]);
        client.read_frame();
        // what was shown is in the file
        let shown = |event: &serde_json::Value| event["n"] == 2 * u64::from(n);
        program.event("the echo", shown);
        let streams = streams(&std::fs::read(&file).unwrap());
        let server = &streams[&program.port()];
        let head = server.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(server.len() - head, usize::from(n) * 40_004);
    }
    program.signal(Signal::KILL);
    program.wait(PATIENCE);
    let bytes = std::fs::read(&file).unwrap();
    let sent = &streams(&bytes)[&client.address().port()];
    let head = sent.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let Parsed::Complete(header) = Header::parse(&sent[head..]) else { panic!("no frame") };
    assert_eq!(header.length, 40_000);
    if have("tshark", "--version") {
        assert_sound(&file);
        assert_eq!(dissected(&file, 0).len(), 6);
    } else {
        skip("tshark reads what a killed program leaves", "tshark");
    }
}

#[test]
fn under_load_the_recording_is_whole_whenever_nothing_is_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.pcapng");
    let program = Program::json(&["--record", file.to_str().unwrap(), "--payload-limit", "0"]);
    let address = program.address();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::open(address);
                (0..100).for_each(|n| client.echoes(&"x".repeat(n * 37)));
                client.close(CloseCode::NORMAL, "");
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let length = || std::fs::metadata(&file).unwrap().len();
    for conn in 1..=8 {
        program.close_event(conn);
    }
    eventually("the end of the writing", || (length() > 0).then_some(()));
    blocks(&std::fs::read(&file).unwrap());
    let events = program.finish();
    assert_eq!(events.iter().filter(|event| event["event"] == "frame").count(), 8 * (200 + 2));
}
