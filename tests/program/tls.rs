//! TLS: which certificates are refused and how that is said, what is kept of it, and what comes to a port that takes both.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use wsinspect::capture::{Clock, ConnectionId, Event, EventKind, PacketWriter, SocketEnd, Vantage};
use wsinspect::wire::Side;

use crate::support::{
    Authority, Certified, Client, Duplex, KEY, Program, client_config, eventually, exchange, have, request, run,
    server_config, skip,
};

/// A TLS server that answers nothing, for as long as the test runs.
fn server(certified: &Certified) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = server_config(certified);
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let Ok(mut stream) = Duplex::accept(tcp.unwrap(), config.clone()) else { continue };
            let mut request = [0; 1024];
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {}\r\n\r\n",
                    wsinspect::wire::handshake::accept_key(KEY)
                );
                stream.write_all(answer.as_bytes()).unwrap();
                stream.end();
            }
        }
    });
    port
}

#[test]
fn a_certificate_that_is_wrong_is_refused_in_a_sentence_and_accepted_with_k_which_is_told() {
    let (authority, other, namesake) = (Authority::new(), Authority::named("Another"), Authority::new());
    let day = |days: i64| {
        (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%d").to_string()
    };
    let (yesterday, tomorrow) = (day(-3), day(3));
    for (certified, says) in [
        (
            authority.certify(&["localhost"], 30, -3),
            format!("expired on {yesterday} (UTC): the server needs a new one"),
        ),
        (authority.certify(&["localhost"], -3, 30), format!("is not valid before {tomorrow} (UTC): look at the clock")),
        (
            authority.certify(&["a.example", "b.example"], 1, 30),
            "is for a.example and b.example, not for localhost: connect by a name".to_owned(),
        ),
        (authority.certify(&[], 1, 30), "names no host at all (subject CN=nobody)".to_owned()),
        (authority.self_signed(&["localhost"]), "is self-signed, nobody else vouches for it".to_owned()),
        (
            other.certify(&["localhost"], 1, 30),
            "was issued by CN=Another, O=Tests, whom this system does not trust".to_owned(),
        ),
        (
            namesake.certify(&["localhost"], 1, 30),
            "says that CN=Authority of a test, O=Tests issued it, but the one of that name that is trusted here did not sign it"
                .to_owned(),
        ),
    ] {
        let upstream = format!("wss://localhost:{}", server(&certified));
        let ca = authority.file();
        let relay = Program::relay("0", &[&upstream, "--ca", ca.to_str().unwrap(), "--format", "json"]);
        let response = exchange(relay.address(), request("").as_bytes());
        let sentence = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 502, "{sentence}");
        assert!(sentence.starts_with("The certificate of localhost ") && sentence.contains(&says), "{sentence}");
        assert!(sentence.ends_with("; -k accepts any certificate.\n"), "{sentence}");
        let refused = relay.event("the refusal", |event| event["event"] == "refused");
        assert_eq!(refused["reason"], sentence.trim_end(), "the same is shown");

        let relay = Program::relay("0", &[&upstream, "-k", "--format", "json"]);
        Client::open(relay.address());
        let tls = &relay.event("the opening", |event| event["event"] == "open")["tls"]["server"];
        let unverified = tls["unverified"].as_str().unwrap_or_else(|| panic!("{says}: {tls}"));
        // without that authority every one of them is of an unknown issuer, too; which is told of is the library's choice
        assert!(unverified.starts_with("the certificate of localhost "), "{unverified}");
        let said = relay.stderr().wait("what -k does", |lines| lines.first().cloned());
        assert!(said.ends_with(", whose certificate is not verified"), "{said}");
    }
}

#[test]
fn a_server_that_speaks_no_tls_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // up to the end: a reset would be another failure
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let relay = Program::relay("0", &[&format!("wss://127.0.0.1:{port}"), "-k", "--format", "json"]);
    let response = exchange(relay.address(), request("").as_bytes());
    let body = String::from_utf8(response.body).unwrap();
    assert_eq!((response.status, &*body), (502, "127.0.0.1 does not speak TLS there: what came is something else.\n"));
}

/// A server with a certificate in files, and the authority that made it.
fn serve(arguments: &[&str]) -> (Program, Authority) {
    let authority = Authority::new();
    let certified = authority.certify(&["localhost"], 1, 30);
    let (certificate, key) = (certified.certificate_file.to_str().unwrap(), certified.key_file.to_str().unwrap());
    let tls = ["--tls", "--cert", certificate, "--key", key];
    (Program::json(&[&tls[..], arguments].concat()), authority)
}

fn connect(program: &Program, authority: &Authority) -> Duplex {
    Duplex::connect(program.address(), client_config(&authority.file()), "localhost").unwrap()
}

/// Asks for a WebSocket, and reads the answer's head.
fn open(stream: &mut Duplex) {
    stream.write_all(request("").as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
}

#[test]
fn one_port_takes_both_and_what_was_agreed_on_is_shown_and_recorded() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.pcapng");
    let (program, authority) = serve(&["--record", file.to_str().unwrap()]);
    Client::open(program.address()).echoes("plain");
    let plain = program.event("the plain one", |event| event["event"] == "open");
    assert_eq!(plain.get("tls"), None);
    let mut stream = connect(&program, &authority);
    assert_eq!(stream.alpn().as_deref(), Some(&b"http/1.1"[..]), "and not h2, which was offered first");
    open(&mut stream);
    let opened = program.event("the one by TLS", |event| event["event"] == "open" && event["conn"] == 2);
    let tls = &opened["tls"]["client"];
    assert_eq!(opened["tls"]["server"], Value::Null, "there is one leg");
    for (name, value) in [("version", "TLSv1.3"), ("alpn", "http/1.1"), ("sni", "localhost")] {
        assert_eq!(tls[name], value, "{tls}");
    }
    assert!(tls["cipher"].as_str().unwrap().starts_with("TLS_"), "{tls}");
    let certificate = &tls["chain"][0];
    assert_eq!(certificate["subject"], "CN=localhost");
    assert_eq!(certificate["names"], json!(["localhost"]));
    assert_eq!(certificate["fingerprint"].as_str().unwrap().len(), 64);
    program.finish();
    let again = run(&["open", file.to_str().unwrap(), "--format", "json"]);
    let again: Vec<Value> = again.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let again = again.iter().find(|event| event["event"] == "open" && event["conn"] == 2).unwrap();
    assert_eq!(again["tls"], opened["tls"]);
}

#[test]
fn a_handshake_that_comes_to_nothing_is_a_line_with_its_reason() {
    let (program, authority) = serve(&[]);
    let untrusting = Authority::named("Another");
    let error = Duplex::connect(program.address(), client_config(&untrusting.file()), "localhost").map(|_| ());
    assert!(error.unwrap_err().to_string().contains("UnknownIssuer"));
    // a record that holds no handshake
    Client::bare(program.address()).send(b"\x16\x03\x01\x00\x05hello");
    // one that ends in the middle
    Client::bare(program.address()).send(b"\x16\x03\x01\x02\x00\x01");
    let mut h2 = (*client_config(&authority.file())).clone();
    h2.alpn_protocols = vec![b"h2".to_vec()];
    assert!(Duplex::connect(program.address(), Arc::new(h2), "localhost").is_err());
    for (conn, says) in [
        (1, &["The client does not trust the certificate that it was shown (alert unknown_ca); if the local"][..]),
        (2, &["The client does not speak TLS there: what came is something else."]),
        // a reset, where what was sent had not been read
        (3, &["The client ended the connection during the TLS handshake.", "The client tore the connection down"]),
        (4, &["The client offers by ALPN other protocols than HTTP/1.1 alone."]),
    ] {
        let refused = program.event("a refusal", |event| event["event"] == "refused" && event["conn"] == conn);
        let reason = refused["reason"].as_str().unwrap();
        assert!(says.iter().any(|says| reason.starts_with(says)), "{conn}: {reason}");
    }
}

#[test]
fn one_that_says_nothing_and_one_that_stops_in_its_hello_are_not_waited_for_for_ever() {
    let (program, _) = serve(&[]);
    let silent = Client::bare(program.address());
    let mut halfway = Client::bare(program.address());
    halfway.send(b"\x16\x03\x01\x02\x00\x01");
    // each of the two waits takes ten seconds
    for mut client in [halfway, silent] {
        client.stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        client.read_to_end();
    }
    let reason = |conn| {
        let refused = program.event("a refusal", |event| event["event"] == "refused" && event["conn"] == conn);
        refused["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(2), "The client did not finish the TLS handshake within 10 seconds.");
    assert_eq!(reason(1), "The request did not come in time.");
}

#[test]
fn an_end_without_close_notify_is_told_of_and_passed_on_as_it_is() {
    let (server, authority) = serve(&[]);
    let ca = authority.file();
    let certified = authority.certify(&["localhost"], 1, 30);
    let (certificate, key) = (certified.certificate_file.to_str().unwrap(), certified.key_file.to_str().unwrap());
    let upstream = format!("wss://localhost:{}", server.port());
    let relay = Program::relay(
        "0",
        &[&upstream, "--tls", "--cert", certificate, "--key", key, "--ca", ca.to_str().unwrap(), "--format", "json"],
    );
    let mut stream = connect(&relay, &authority);
    open(&mut stream);
    stream.end_tcp();
    let says =
        "The client ended the TCP connection (FIN) in the middle of TLS, without close_notify, without a close frame";
    for program in [&relay, &server] {
        let close = program.close_event(1);
        assert!(close["verdict"].as_str().unwrap().starts_with(says), "{close}");
        assert_eq!((&close["how"], &close["by"]), (&json!("fin"), &json!("client")));
    }
    // where TLS ends in order, nothing is said of it
    let mut stream = connect(&relay, &authority);
    open(&mut stream);
    stream.end();
    for program in [&relay, &server] {
        let verdict = program.close_event(2)["verdict"].as_str().unwrap().to_owned();
        assert!(verdict.starts_with("The client ended the TCP connection (FIN) without a close frame"), "{verdict}");
    }
}

#[test]
fn tls_that_fails_later_is_told_of() {
    let (program, authority) = serve(&[]);
    let mut stream = connect(&program, &authority);
    open(&mut stream);
    // a record that nobody can decrypt
    stream.send_raw(&[0x17, 3, 3, 0, 32].iter().copied().chain([7; 32]).collect::<Vec<_>>());
    let verdict = program.close_event(1)["verdict"].as_str().unwrap().to_owned();
    assert!(
        verdict.starts_with("TLS with the client failed: cannot decrypt peer's message without a close"),
        "{verdict}"
    );
}

#[test]
fn whoever_has_no_room_is_told_so_by_tls_too() {
    let (program, authority) = serve(&["--max-connections", "1"]);
    let first = Client::open(program.address());
    // it has a second to ask, which is little on a busy machine
    eventually("a refusal that can be read", || {
        let mut stream = connect(&program, &authority);
        stream.write_all(request("").as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
        Some(())
    });
    drop(first);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_local_authority_is_made_once_for_its_owner_alone_and_its_certificates_are_short_lived() {
    let data = TempDir::new().unwrap();
    let environment = [("XDG_DATA_HOME", data.path().to_str().unwrap())];
    // two at once: both have the same one in the end
    let programs = [(); 2].map(|()| {
        let environment = environment.map(|(name, value)| (name, value.to_owned()));
        std::thread::spawn(move || {
            let environment = [(environment[0].0, environment[0].1.as_str())];
            Program::start("0", &["--tls", "--format", "json"], &environment, true)
        })
    });
    let programs = programs.map(|starting| starting.join().unwrap());
    let folder = data.path().join("wsinspect/ca");
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("ca-key.pem")), 0o600);
    assert_eq!(std::fs::read_dir(data.path().join("wsinspect")).unwrap().count(), 1, "nothing half made is left");
    let ca = CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap();
    assert!(!ca.is_empty());
    for program in &programs {
        for name in ["localhost", "127.0.0.1", "chat.example"] {
            let config = client_config(&folder.join("ca.pem"));
            let mut stream = Duplex::connect(program.address(), config, name).expect("both are trusted by the one");
            open(&mut stream);
        }
        let of = |conn| program.event("an opening", |event| event["event"] == "open" && event["conn"] == conn);
        for (conn, sni, names) in [
            (1, json!("localhost"), json!(["localhost", "127.0.0.1", "::1"])),
            (2, Value::Null, json!(["localhost", "127.0.0.1", "::1"])),
            (3, json!("chat.example"), json!(["chat.example"])),
        ] {
            let tls = of(conn)["tls"]["client"].clone();
            let certificate = &tls["chain"][0];
            assert_eq!((&tls["sni"], &certificate["names"]), (&sni, &names));
            assert_eq!(certificate["issuer"], "CN=wsinspect local CA, O=wsinspect");
            let time = |name: &str| certificate[name].as_i64().unwrap();
            let (now, days) = (jiff::Timestamp::now().as_second(), (time("not_after") - time("not_before")) / 86_400);
            assert!(time("not_before") <= now && now < time("not_after") && days <= 397, "{certificate}");
        }
    }
}

#[test]
fn tls_that_can_t_be_set_up_is_one_line_that_says_why() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    let (one, other) = (authority.certify(&["localhost"], 1, 30), authority.certify(&["localhost"], 1, 30));
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (certificate, key) = (path(&one.certificate_file), path(&one.key_file));
    for (certificate, key, says) in [
        (&certificate, &path(&other.key_file), "is not the one of the certificate in"),
        (&path(&empty), &key, "there is none in it; expected PEM"),
        (&certificate, &path(&empty), "there is none in it; expected PEM"),
        (&certificate, &path(&folder.path().join("none.pem")), "No such file"),
    ] {
        let output = run(&["serve", "0", "--tls", "--cert", certificate, "--key", key]);
        assert_eq!((output.code, output.stderr.lines().count()), (Some(1), 1), "{}", output.stderr);
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
    let output = run(&["relay", "0", "wss://localhost:1", "--ca", &path(&empty)]);
    assert!(output.stderr.contains("cannot read certificates from"), "{}", output.stderr);
}

/// Passes bytes on, and makes a capture of them, as one beside the connection would.
fn tap(to: u16) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tapping = std::thread::spawn(move || {
        let (client, peer) = listener.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let mut file = Vec::new();
        let writer = PacketWriter::start(&mut file, "a tap");
        let clock = Clock::start();
        let tap = Mutex::new((writer, file));
        let event = |kind| {
            let (writer, file) = &mut *tap.lock().unwrap();
            let event = Event { connection: ConnectionId(1), time: clock.now(), kind };
            writer.push(&event, 0, file, &mut Vec::new());
        };
        event(EventKind::Opened { client: peer, server: address, vantage: Vantage::Beside });
        std::thread::scope(|scope| {
            for (from, mut source, mut sink) in [(Side::Client, &client, &server), (Side::Server, &server, &client)] {
                let event = &event;
                scope.spawn(move || {
                    let mut bytes = [0; 16 * 1024];
                    while let Ok(read @ 1..) = source.read(&mut bytes) {
                        let chunk = bytes[..read].to_vec().into();
                        event(EventKind::Chunk { from, bytes: chunk, notes: Vec::new() });
                        if sink.write_all(&bytes[..read]).is_err() {
                            break;
                        }
                    }
                    event(EventKind::Ended { from, how: SocketEnd::Fin });
                    // the other side may be gone
                    let _ = sink.shutdown(std::net::Shutdown::Write);
                });
            }
        });
        event(EventKind::Closed { cause: None });
        tap.into_inner().unwrap().1
    });
    (address.port(), tapping)
}

#[test]
fn secrets_go_to_the_key_log_and_on_request_into_the_recording_where_tshark_finds_them() {
    let folder = TempDir::new().unwrap();
    let (log, file) = (folder.path().join("keys"), folder.path().join("a.pcapng"));
    let environment = [
        ("XDG_DATA_HOME", folder.path().to_str().unwrap()),
        ("SSLKEYLOGFILE", "/nowhere/at/all"),
        ("WSINSPECT_SSLKEYLOGFILE", log.to_str().unwrap()),
    ];
    std::fs::write(&log, "# what was there\n").unwrap();
    let arguments = ["--tls", "--record-secrets", "--deflate", "off", "--record", file.to_str().unwrap()];
    let program = Program::start("0", &[&arguments[..], &["--format", "json"]].concat(), &environment, true);
    let (port, tapping) = tap(program.port());
    let config = client_config(&folder.path().join("wsinspect/ca/ca.pem"));
    let mut stream = Duplex::connect(([127, 0, 0, 1], port).into(), config, "localhost").unwrap();
    open(&mut stream);
    // a text, and a close
    stream.write_all(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\0\0\0\0").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    stream.end();
    let wire = tapping.join().unwrap();
    program.close_event(1);
    program.finish();

    let keys = std::fs::read_to_string(&log).unwrap();
    assert!(keys.starts_with("# what was there\n"), "it is appended to");
    assert!(keys.contains("\nCLIENT_TRAFFIC_SECRET_0 ") && keys.contains("\nSERVER_TRAFFIC_SECRET_0 "), "{keys}");
    let recording = std::fs::read(&file).unwrap();
    let line = keys.lines().nth(1).unwrap();
    assert!(memchr::memmem::find(&recording, line.as_bytes()).is_some(), "the same is in the recording");
    let again = run(&["open", file.to_str().unwrap(), "--format", "json"]);
    assert_eq!(
        again.stdout.lines().filter(|line| line.starts_with(r#"{"event":"frame""#)).count(),
        4,
        "{}",
        again.stdout
    );

    if !have("tshark", "--version") {
        return skip("tshark decrypts with the secrets", "tshark");
    }
    let merged = folder.path().join("merged.pcapng");
    std::fs::write(&merged, [recording, wire].concat()).unwrap();
    let output = crate::support::tshark()
        .arg("-r")
        .arg(&merged)
        .args(["-d", &format!("tcp.port=={port},tls"), "-d", &format!("tls.port=={port},http")])
        .args(["-Y", "tls && websocket", "-T", "fields", "-e", "websocket.payload.text"])
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(seen.lines().any(|line| line.contains("Hello")), "{seen:?} {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_new_key_log_is_for_its_owner_alone_and_one_that_can_t_be_written_is_an_error() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("keys");
    let data = ("XDG_DATA_HOME", folder.path().to_str().unwrap());
    drop(Program::start("0", &["--tls"], &[data, ("SSLKEYLOGFILE", log.to_str().unwrap())], true));
    assert_eq!(mode(&log), 0o600);
    let nowhere = [data, ("SSLKEYLOGFILE", "/nowhere/at/all")];
    let output = crate::support::run_with(&["serve", "0", "--tls"], b"", &nowhere);
    assert!(
        output.stderr.contains("cannot write the key log /nowhere/at/all that SSLKEYLOGFILE names"),
        "{}",
        output.stderr
    );
}
