//! What each header means in an opening handshake (RFC 6455 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::deflate::extension_in_words;
use super::field::{count, hex_row, quoted};
use crate::wire::handshake::{Opening, accept_key};
use crate::wire::{Side, parse_extensions, parse_tokens};

/// A header's meaning, why it exists, and the section.
pub(super) type Said = (String, &'static str, &'static str);

/// Explains the header `name: value` as sent by `from`; `opening` is the request that a response answers.
pub(super) fn explain(name: &str, value: &str, from: Side, opening: Option<&Opening>) -> Said {
    let (meaning, why, section) = match (name.to_ascii_lowercase().as_str(), from) {
        ("host", Side::Client) => (
            format!("The server that the request is meant for: {}.", quoted(value)),
            "One address may serve many names.",
            "RFC 6455 4.1, RFC 7230 5.4",
        ),
        ("upgrade", _) => (
            upgrade(value, from),
            "HTTP's own way to change the protocol of a connection that is open already.",
            "RFC 6455 4.1, RFC 7230 6.7",
        ),
        ("connection", _) => (
            connection(value),
            "Upgrade speaks to the next hop only, and headers of that kind are named in Connection.",
            "RFC 6455 4.1, RFC 7230 6.1",
        ),
        ("sec-websocket-key", Side::Client) => (
            key(value),
            "The answer to it proves that the server means WebSocket and did not just echo what it got.",
            "RFC 6455 1.3, 4.1",
        ),
        ("sec-websocket-version", _) => (
            version(value, from),
            "Drafts had other numbers; a server that does not know the client's names its own.",
            "RFC 6455 4.1, 4.4",
        ),
        ("sec-websocket-protocol", _) => (
            subprotocol(value, from, opening),
            "Both sides agree on what the messages mean before the first one is sent.",
            "RFC 6455 1.9, 11.3.4",
        ),
        ("sec-websocket-extensions", _) => (
            extensions(value, from),
            "Client and server agree on what RSV bits, reserved opcodes and payloads mean beyond the RFC.",
            "RFC 6455 9.1, RFC 7692 7",
        ),
        ("sec-websocket-accept", Side::Server) => (
            accept(value, opening),
            "Only a server that understands WebSocket derives it, and it fits this one request.",
            "RFC 6455 1.3, 4.2.2",
        ),
        ("origin", Side::Client) => (
            format!(
                "A page from {} opens the connection; browsers say so, and no script can change it.",
                quoted(value)
            ),
            "No same-origin rule holds a WebSocket back: the server has to look, and turn strangers away.",
            "RFC 6455 4.1, 10.2",
        ),
        _ => (
            "Not part of the WebSocket handshake; it means what it means in any HTTP message.".to_owned(),
            "HTTP has room for what else both sides want to say: cookies, credentials, the names of programs.",
            if from == Side::Client { "RFC 6455 4.1" } else { "RFC 6455 4.2.2" },
        ),
    };
    (meaning, why, section)
}

fn upgrade(value: &str, from: Side) -> String {
    let websocket = value.split(',').any(|token| token.trim().eq_ignore_ascii_case("websocket"));
    match (from, websocket) {
        (Side::Client, true) => {
            "The client asks to go on in another protocol on this connection: WebSocket.".to_owned()
        }
        (Side::Server, true) => "The server goes on in WebSocket after the empty line.".to_owned(),
        (_, false) => format!("It names {}, where WebSocket asks for \"websocket\".", quoted(value)),
    }
}

fn connection(value: &str) -> String {
    if value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")) {
        "The token \"Upgrade\" says that the Upgrade header is meant for the next hop.".to_owned()
    } else {
        format!("It holds {}, and not the token \"Upgrade\" that would put the Upgrade header in force.", quoted(value))
    }
}

fn key(value: &str) -> String {
    match STANDARD.decode(value) {
        Ok(nonce) if nonce.len() == 16 => {
            format!("16 random bytes in base64, {}; no secret, only fresh each time.", hex_row(&nonce, 16, 16))
        }
        Ok(nonce) => format!("Base64 of {}, where 16 are asked for.", count(nonce.len() as u64, "byte")),
        Err(_) => "Not base64, where base64 of 16 random bytes is asked for.".to_owned(),
    }
}

fn version(value: &str, from: Side) -> String {
    match (from, value) {
        (Side::Client, "13") => "The client speaks version 13, the one of RFC 6455.".to_owned(),
        (Side::Client, _) => format!("The client asks for version {}, and RFC 6455 is version 13.", quoted(value)),
        (Side::Server, _) => format!("The versions that the server speaks: {}.", quoted(value)),
    }
}

fn subprotocol(value: &str, from: Side, opening: Option<&Opening>) -> String {
    match (from, opening) {
        (Side::Client, _) => match parse_tokens(value) {
            Ok(tokens) if tokens.len() == 1 => format!("The client would like to speak {}.", quoted(tokens[0])),
            Ok(tokens) => format!(
                "The client can speak {}, the one it likes best first: {}.",
                count(tokens.len() as u64, "subprotocol"),
                quoted(&tokens.join(", "))
            ),
            Err(error) => format!("A list of subprotocols that cannot be read: {error}."),
        },
        (Side::Server, Some(opening)) if !opening.subprotocols.iter().any(|offered| offered == value) => {
            format!("The server names {}, which the client did not offer.", quoted(value))
        }
        (Side::Server, _) => format!("The server chose the subprotocol {}.", quoted(value)),
    }
}

fn extensions(value: &str, from: Side) -> String {
    match parse_extensions(value) {
        Ok(list) => {
            let words: Vec<_> = list.iter().map(|extension| extension_in_words(extension, from)).collect();
            match (from, words.len()) {
                (Side::Client, 2..) => format!("The client offers, the best first: {}", words.join(" Or: ")),
                (Side::Client, _) => format!("The client offers: {}", words.join(" ")),
                (Side::Server, _) => format!("The server agrees: {}", words.join(" ")),
            }
        }
        Err(error) => format!("A list of extensions that cannot be read: {error}."),
    }
}

fn accept(value: &str, opening: Option<&Opening>) -> String {
    match opening.map(|opening| accept_key(&opening.key)) {
        Some(expected) if expected == value => "It is the answer that the client's key asks for.".to_owned(),
        Some(expected) => format!("It is not the answer to the client's key, which would be {expected}."),
        None => "The answer to the client's key: base64 of the SHA-1 of the key and a fixed GUID.".to_owned(),
    }
}
