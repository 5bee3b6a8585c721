//! Every command of the README does what it says there.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use wsinspect::tui;

use crate::proxy::read_head;
use crate::support::{Authority, Client, Program, exchange, request, run, run_with};

const README: &str = include_str!("../../README.md");

/// What is run elsewhere: by whoever runs the tests, and by all of them.
const CARGO: [&str; 2] = ["cargo run --release -- serve 9002", "cargo test"];

/// The commands of the shell examples, without their comments.
fn commands() -> Vec<&'static str> {
    let blocks = README.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines);
    lines.map(|line| line.split("  #").next().unwrap().trim()).filter(|line| !line.is_empty()).collect()
}

/// Whether a command shows traffic, live or recorded: others tests are about those.
fn shows_traffic(command: &str) -> bool {
    CARGO.contains(&command)
        || ["wsinspect serve ", "wsinspect relay ", "wsinspect connect ", "wsinspect proxy ", "wsinspect open "]
            .iter()
            .any(|one| command.starts_with(one))
}

/// The words of a command after `wsinspect`; quotes hold words together.
fn words(command: &'static str) -> Vec<&'static str> {
    let mut words = Vec::new();
    for (i, part) in command.split('"').enumerate() {
        if i % 2 == 0 { words.extend(part.split_whitespace()) } else { words.push(part) }
    }
    assert_eq!(words.remove(0), "wsinspect", "{command}");
    words
}

#[test]
fn every_serve_command_serves_and_ends_in_order() {
    let mut served = 0;
    let authority = Authority::new();
    let certified = authority.self_signed(&["localhost"]);
    for command in commands().into_iter().filter(|command| command.starts_with("wsinspect serve ")) {
        let words = words(command);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat.pcapng");
        let host = words[1].rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
        let arguments: Vec<&str> = words[2..]
            .iter()
            // the support gives it anyway
            .filter(|&&word| word != "--headless")
            .map(|&word| match word {
                "chat.pcapng" => file.to_str().unwrap(),
                "server.pem" => certified.certificate_file.to_str().unwrap(),
                "server-key.pem" => certified.key_file.to_str().unwrap(),
                word => word,
            })
            .collect();
        let mut program = Program::start(&format!("{host}:0"), &arguments, &[], true);
        let mut address = program.address();
        address.set_ip([127, 0, 0, 1].into());
        let mut client = Client::open(address);
        if !command.contains("--reply none") {
            client.echoes("from the README");
        }
        client.close(wsinspect::wire::CloseCode::NORMAL, "");
        program.signal(Signal::TERM);
        assert_eq!(program.wait(Duration::from_secs(10)).code(), Some(0), "{command}");
        assert_eq!(file.exists(), command.contains("--record"), "{command}");
        served += 1;
    }
    assert!(served > 10);
}

#[test]
fn every_relay_command_relays_and_ends_in_order() {
    let server = Program::serve(&[]);
    let upstream = server.address().to_string();
    let authority = Authority::new();
    let certified = authority.self_signed(&["localhost"]);
    let (certificate, key) = (certified.certificate_file.to_str().unwrap(), certified.key_file.to_str().unwrap());
    let secure = Program::serve(&["--tls", "--cert", certificate, "--key", key]);
    let secure_upstream = format!("localhost:{}", secure.port());
    let another = Program::proxy("0", &[], &[]);
    let another = another.address().to_string();
    let mut relayed = 0;
    for command in commands().into_iter().filter(|command| command.starts_with("wsinspect relay ")) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat.pcapng");
        let listen = words(command)[1].replace("9002", "0");
        let arguments: Vec<String> = words(command)[2..]
            .iter()
            .filter(|&&word| word != "--headless")
            .map(|word| word.replace("localhost:9003", &upstream).replace("chat.pcapng", file.to_str().unwrap()))
            .map(|word| word.replace("localhost:3128", &another))
            .map(|word| word.replace("localhost:9443", &secure_upstream).replace("server.pem", certificate))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut program = Program::relay(&listen, &arguments);
        let mut address = program.address();
        address.set_ip([127, 0, 0, 1].into());
        if command.ends_with("wss://localhost:9443") {
            // nobody vouches for the server of this test
            let answer = exchange(address, request("").as_bytes());
            assert!(String::from_utf8(answer.body).unwrap().contains("is self-signed"), "{command}");
        } else {
            let mut client = Client::open(address);
            client.echoes("from the README");
            client.close(wsinspect::wire::CloseCode::NORMAL, "");
        }
        program.signal(Signal::TERM);
        assert_eq!(program.wait(Duration::from_secs(10)).code(), Some(0), "{command}");
        assert_eq!(file.exists(), command.contains("--record"), "{command}");
        relayed += 1;
    }
    assert!(relayed > 3);
}

#[test]
fn every_proxy_command_proxies_and_ends_in_order() {
    let server = Program::serve(&[]);
    let another = Program::proxy("0", &[], &[]);
    let another = another.address().to_string();
    let mut proxied = 0;
    for command in commands().into_iter().filter(|command| command.starts_with("wsinspect proxy ")) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat.pcapng");
        let arguments: Vec<String> = words(command)[2..]
            .iter()
            .map(|word| word.replace("localhost:3128", &another).replace("chat.pcapng", file.to_str().unwrap()))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut program = Program::proxy("0", &arguments, &[]);
        let mut client = Client::bare(program.address());
        client.send(format!("CONNECT {} HTTP/1.1\r\n\r\n", server.address()).as_bytes());
        assert!(read_head(&mut client.stream).starts_with("HTTP/1.1 200 "), "{command}");
        client.send(request("").as_bytes());
        client.read_opened();
        client.echoes("from the README");
        client.close(wsinspect::wire::CloseCode::NORMAL, "");
        program.signal(Signal::TERM);
        assert_eq!(program.wait(Duration::from_secs(10)).code(), Some(0), "{command}");
        assert_eq!(file.exists(), command.contains("--record"), "{command}");
        proxied += 1;
    }
    assert!(proxied > 3);
}

#[test]
fn every_connect_command_connects_and_prints_what_comes_back() {
    let (echo, silent) = (Program::serve(&[]), Program::serve(&["--reply", "none"]));
    let mut connected = 0;
    for command in commands().into_iter().filter(|command| command.starts_with("wsinspect connect ")) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat.pcapng");
        // two that echo never come to an end
        let is_echoed = !command.contains("--reply echo");
        let address = format!("ws://{}", if is_echoed { &echo } else { &silent }.address());
        let place =
            |word: &str| word.replace("ws://localhost:9002", &address).replace("chat.pcapng", file.to_str().unwrap());
        let arguments: Vec<String> = words(command).into_iter().map(place).collect();
        let input: &[u8] = if command.contains("--one-message") { b"from the README" } else { b"from the README\n" };
        let output = run_with(&arguments, input, &[]);
        assert_eq!(output.code, Some(0), "{command}: {}", output.stderr);
        assert_eq!(output.stdout.contains("from the README"), is_echoed, "{command}: {}", output.stdout);
        assert_eq!(file.exists(), command.contains("--record"), "{command}");
        connected += 1;
    }
    assert!(connected > 8);
}

#[test]
fn every_open_command_opens_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.pcapng");
    let program = Program::json(&["--record", file.to_str().unwrap()]);
    let mut client = Client::open(program.address());
    client.echoes("from the README");
    // a frame without a mask breaks a rule
    client.send(&[0x81, 0]);
    client.read_to_end();
    program.finish();
    let mut opened = 0;
    for command in commands().into_iter().filter(|command| command.starts_with("wsinspect open ")) {
        let exported = folder.path().join("chat.har");
        let words = words(command).into_iter().map(|word| match word {
            "chat.pcapng" => file.to_str().unwrap(),
            "chat.har" => exported.to_str().unwrap(),
            word => word,
        });
        let mut output = run(&words.collect::<Vec<_>>());
        if command.contains("--export chat.har") {
            output.stdout = std::fs::read_to_string(&exported).unwrap();
        }
        let expected = if command.contains("--fail-on") { 3 } else { 0 };
        assert_eq!(output.code, Some(expected), "{command}: {}", output.stderr);
        assert!(output.stdout.contains("from the README"), "{command}: {}", output.stdout);
        opened += 1;
    }
    assert!(opened > 3);
}

#[test]
fn every_other_command_explains_what_it_is_given() {
    for command in commands().into_iter().filter(|command| !shows_traffic(command)) {
        let output = run(&words(command));
        // 3 is what --fail-on asks for
        let expected = if command.contains("--fail-on") { 3 } else { 0 };
        assert_eq!(output.code, Some(expected), "{command}: {}", output.stderr);
        assert!(output.stdout.lines().count() > 3, "{command}: {}", output.stdout);
    }
}

#[test]
fn the_two_commands_come_first_and_the_key_table_is_the_keymap() {
    assert_eq!(commands()[..2], CARGO);
    assert!(README.contains(&tui::key_table()), "replace the table by:\n{}", tui::key_table());
}

#[test]
fn every_picture_that_is_shown_is_there_and_every_picture_there_is_shown() {
    let shown: BTreeSet<_> =
        README.split("](screenshots/").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect();
    let there: BTreeSet<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/screenshots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(shown, there);
}
