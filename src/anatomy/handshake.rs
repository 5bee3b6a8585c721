//! An opening handshake taken apart (RFC 6455 1.3, 4).

use std::borrow::Cow;
use std::ops::Range;

use super::deflate::extension_in_words;
use super::field::quoted;
use super::{Field, handshake_headers};
use crate::wire::Side;
use crate::wire::handshake::{AcceptDerivation, GUID, Head, HeaderLine, LineFault, Opening, Request, Response};

const MALFORMED_WHY: &str = "What two programs read in two ways can be used to smuggle something past one of them.";
const END_WHY: &str = "Here HTTP ends and WebSocket begins: the next byte belongs to a frame.";

/// Every field of a request's or a response's head, in the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeAnatomy {
    /// The head in a line: `a client asks for a WebSocket at "/chat"`.
    pub title: String,
    /// The parts of the start line, each header line, the empty line.
    pub fields: Vec<Field>,
}

/// One step of a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is had after it: `key + GUID`.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// How it came about.
    pub meaning: &'static str,
}

/// Takes a request apart.
pub fn request(request: &Request) -> HandshakeAnatomy {
    let title = if request.wants_upgrade() {
        format!("a client asks for a WebSocket at {}", quoted(&request.target))
    } else {
        format!("an ordinary HTTP request for {}", quoted(&request.target))
    };
    let head = &request.head;
    let mut fields = Vec::new();
    // a fourth word shows that the line is no request line
    let words = words(head, 4);
    if words.len() == 3 {
        let method = match request.method.as_str() {
            "GET" => "A plain GET, so that web servers and proxies of any age understand it.".to_owned(),
            other => format!("{}, where an opening handshake is a GET.", quoted(other)),
        };
        let version = match request.version.as_str() {
            "HTTP/1.1" => "HTTP/1.1, the version that knows how to upgrade a connection.".to_owned(),
            other => format!("{}, where HTTP/1.1 is asked for.", quoted(other)),
        };
        let target = format!("What the client wants to talk to on this server: {}.", quoted(&request.target));
        let parts = [("method", method), ("target", target), ("version", version)];
        push_start_line(head, &words, parts, "RFC 6455 4.1, RFC 7230 3.1.1", &mut fields);
    } else {
        push_malformed_start_line(head, &mut fields);
    }
    push_headers(head, Side::Client, None, &mut fields);
    HandshakeAnatomy { title, fields }
}

/// Takes a response apart; `opening` is what it answers, where that is known.
pub fn response(response: &Response, opening: Option<&Opening>) -> HandshakeAnatomy {
    let title = match response.status {
        Some(101) => "the server switches to WebSocket".to_owned(),
        Some(status) => format!("the server answers with status {status} instead of a WebSocket"),
        None => "something that is no HTTP response".to_owned(),
    };
    let head = &response.head;
    let mut fields = Vec::new();
    match response.status {
        Some(status) => {
            let version = "The version of HTTP that the answer is in.".to_owned();
            let reason = "The status in words, for people only.".to_owned();
            let parts = [("version", version), ("status", status_meaning(status)), ("reason phrase", reason)];
            push_start_line(head, &words(head, 3), parts, "RFC 6455 4.2.2, RFC 7230 3.1.2", &mut fields);
        }
        None => push_malformed_start_line(head, &mut fields),
    }
    push_headers(head, Side::Server, opening, &mut fields);
    HandshakeAnatomy { title, fields }
}

/// How a `Sec-WebSocket-Key` becomes the `Sec-WebSocket-Accept` that answers it.
pub fn accept_steps(key: &str) -> [Step; 5] {
    let AcceptDerivation { key, concatenated, sha1, accept } = AcceptDerivation::of(key);
    [
        Step { name: "key", value: key, meaning: "the Sec-WebSocket-Key as it was sent, not decoded" },
        Step { name: "GUID", value: GUID.to_owned(), meaning: "the same for everyone; no other protocol uses it" },
        Step { name: "key + GUID", value: concatenated, meaning: "one string" },
        Step { name: "SHA-1", value: hex::encode(sha1), meaning: "the 20 bytes of its SHA-1, here in hex" },
        Step { name: "base64", value: accept, meaning: "those bytes in base64: the Sec-WebSocket-Accept" },
    ]
}

/// What client and server have agreed on, in sentences.
pub fn agreement_in_words(opening: &Opening, response: &Response) -> Vec<String> {
    let accepted = response.agreement();
    let offered = quoted(&opening.subprotocols.join(", "));
    let subprotocol = match (&accepted.subprotocol, opening.subprotocols.is_empty()) {
        (None, true) => "No subprotocol was offered, and none is used.".to_owned(),
        (None, false) => format!("The client offered the subprotocols {offered}; the server chose none."),
        (Some(chosen), true) => format!("No subprotocol was offered, yet the server names {}.", quoted(chosen)),
        (Some(chosen), false) => {
            format!("The client offered the subprotocols {offered}; the server chose {}.", quoted(chosen))
        }
    };
    let mut words = vec![subprotocol];
    if accepted.extensions.is_empty() {
        let offered = if opening.extensions.is_empty() {
            "No extension was offered"
        } else {
            "The server took none of the extensions offered"
        };
        words.push(format!("{offered}, so RSV1, RSV2 and RSV3 stay 0."));
    }
    words.extend(accepted.extensions.iter().map(|extension| extension_in_words(extension, Side::Server)));
    words
}

fn status_meaning(status: u16) -> String {
    let meaning = match status {
        101 => "101 switches protocols: after the empty line come WebSocket frames.",
        200..=299 => "An ordinary answer; the server may not know WebSocket at this target.",
        300..=399 => "The server sends the client elsewhere; browsers do not follow.",
        400 => "The server found the handshake wrong.",
        401 | 407 => "The server wants to know first who is asking.",
        403 => "The server refuses, often because of the Origin.",
        404 => "There is nothing at this target.",
        426 => "The server asks for an upgrade, or for another version of WebSocket.",
        402 | 405..=425 | 427..=499 => "The server refuses the request.",
        500..=599 => "The server, or a proxy before it, failed.",
        _ => "No status that ends an opening handshake.",
    };
    if status == 101 { meaning.to_owned() } else { format!("{meaning} Only 101 makes a WebSocket.") }
}

/// Where the words of the start line stand, split at single blanks into at most `limit`.
fn words(head: &Head, limit: usize) -> Vec<Range<usize>> {
    let line = head.start_line_at();
    let mut at = line.start;
    head.raw()[line]
        .splitn(limit, |&byte| byte == b' ')
        .map(|word| {
            let range = at..at + word.len();
            at = range.end + 1;
            range
        })
        .collect()
}

fn push_start_line(
    head: &Head,
    words: &[Range<usize>],
    parts: [(&'static str, String); 3],
    section: &'static str,
    fields: &mut Vec<Field>,
) {
    for (at, (name, meaning)) in words.iter().zip(parts) {
        let why = match name {
            "method" => "Looking like any other request, the handshake passes the ports, proxies and servers of HTTP.",
            "target" => "One server may offer several things on one port; the target says which one is meant.",
            "version" => "Older versions of HTTP know no Upgrade.",
            "status" => "Programs that know HTTP alone learn in this way, too, what became of the request.",
            _ => "HTTP has room for it; no program needs to read it.",
        };
        fields.push(field(Cow::Borrowed(name), head, at, (meaning, why, section)));
    }
}

fn push_malformed_start_line(head: &Head, fields: &mut Vec<Field>) {
    let at = head.start_line_at();
    if !at.is_empty() {
        let meaning = format!("This line {}.", LineFault::StartLine.says());
        fields.push(field(Cow::Borrowed("start line"), head, &at, (meaning, MALFORMED_WHY, "RFC 7230 3.1")));
    }
}

fn push_headers(head: &Head, from: Side, opening: Option<&Opening>, fields: &mut Vec<Field>) {
    for line in head.headers().iter().filter(|line| !line.line.is_empty()) {
        fields.push(header(head, line, from, opening));
    }
    let raw = head.raw();
    let empty_line = [&b"\r\n\r\n"[..], b"\n\n", b"\n\r\n"].iter().any(|end| raw.ends_with(end));
    if empty_line {
        let start = raw.len() - if raw.ends_with(b"\r\n") { 2 } else { 1 };
        let meaning = "The empty line ends the head.".to_owned();
        let mut end = field(Cow::Borrowed("empty line"), head, &(start..raw.len()), (meaning, END_WHY, "RFC 7230 3"));
        end.value = String::new();
        fields.push(end);
    }
}

fn header(head: &Head, line: &HeaderLine, from: Side, opening: Option<&Opening>) -> Field {
    let name = head.text(&line.name).into_owned();
    let value = head.text(&line.value).into_owned();
    let mut said = handshake_headers::explain(&name, &value, from, opening);
    match line.fault {
        Some(fault @ (LineFault::BareLf | LineFault::Repeated)) => {
            said.0 = format!("{} The line {}.", said.0, fault.says());
        }
        Some(fault) => said = (format!("This line {}.", fault.says()), MALFORMED_WHY, "RFC 7230 3.2"),
        None => {}
    }
    let (name, value_at) = match line.fault {
        Some(LineFault::NoColon | LineFault::Folded) => (Cow::Borrowed("malformed line"), &line.line),
        _ => (Cow::Owned(name), &line.value),
    };
    let mut field = field(name, head, &line.line, said);
    field.value = head.text(value_at).into_owned();
    field
}

fn field(name: Cow<'static, str>, head: &Head, at: &Range<usize>, said: handshake_headers::Said) -> Field {
    let (meaning, why, section) = said;
    let bytes = at.start as u64..at.end as u64;
    Field { name, bytes, bits: None, value: head.text(at).into_owned(), meaning, why, section }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

    fn read_request(text: &str) -> Request {
        Request::read(Head::parse(text.as_bytes().to_vec()))
    }

    fn read_response(text: &str) -> Response {
        Response::read(Head::parse(text.as_bytes().to_vec()))
    }

    fn value<'a>(anatomy: &'a HandshakeAnatomy, name: &str) -> (&'a str, &'a str) {
        let field = anatomy.fields.iter().find(|field| field.name == name).unwrap();
        (&field.value, &field.meaning)
    }

    #[test]
    fn the_request_of_rfc_6455_1_3_is_taken_apart() {
        let anatomy = request(&read_request(REQUEST));
        assert_eq!(anatomy.title, "a client asks for a WebSocket at \"/chat\"");
        assert_eq!(value(&anatomy, "method").0, "GET");
        assert_eq!(value(&anatomy, "target").0, "/chat");
        assert_eq!(value(&anatomy, "Host").0, "server.example.com");
        let (key, meaning) = value(&anatomy, "Sec-WebSocket-Key");
        assert_eq!(key, "dGhlIHNhbXBsZSBub25jZQ==");
        assert!(meaning.contains("74 68 65 20 73 61 6d 70 6c 65 20 6e 6f 6e 63 65"), "{meaning}");
        assert!(value(&anatomy, "Sec-WebSocket-Protocol").1.contains("2 subprotocols"));
        for field in &anatomy.fields {
            let at = field.bytes.start as usize..field.bytes.end as usize;
            assert!(REQUEST[at].contains(&field.value), "{}", field.name);
        }
    }

    #[test]
    fn the_response_of_rfc_6455_1_3_is_found_to_answer_the_request() {
        let opening = read_request(REQUEST).opening().unwrap();
        let read = read_response(RESPONSE);
        let anatomy = response(&read, Some(&opening));
        assert_eq!(anatomy.title, "the server switches to WebSocket");
        assert_eq!(value(&anatomy, "status").0, "101");
        assert_eq!(value(&anatomy, "reason phrase").0, "Switching Protocols");
        assert!(value(&anatomy, "Sec-WebSocket-Accept").1.starts_with("It is the answer"));
        let words = agreement_in_words(&opening, &read);
        assert!(words[0].ends_with("the server chose \"chat\"."), "{words:?}");
        assert_eq!(words[1], "No extension was offered, so RSV1, RSV2 and RSV3 stay 0.");
    }

    #[test]
    fn a_hostile_answer_is_explained_for_what_it_is() {
        let opening = read_request(REQUEST).opening().unwrap();
        let anatomy =
            response(&read_response(&RESPONSE.replace("s3pP", "S3pP").replace("chat", "soap")), Some(&opening));
        assert!(value(&anatomy, "Sec-WebSocket-Accept").1.contains("would be s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(value(&anatomy, "Sec-WebSocket-Protocol").1.contains("did not offer"));
        let anatomy = response(&read_response("HTTP/1.1 403 Forbidden\r\n\r\n"), None);
        assert!(value(&anatomy, "status").1.ends_with("Only 101 makes a WebSocket."));
    }

    #[test]
    fn a_request_line_of_four_words_is_malformed() {
        let anatomy = request(&read_request("GET /a b HTTP/1.1\r\n\r\n"));
        assert_eq!(value(&anatomy, "start line").0, "GET /a b HTTP/1.1");
    }

    #[test]
    fn malformed_lines_are_fields_too() {
        let anatomy = request(&read_request("GET /\r\nno colon\r\n a: folded\r\nHost : b\r\n\r\n"));
        let names: Vec<_> = anatomy.fields.iter().map(|field| field.name.as_ref()).collect();
        assert_eq!(names, ["start line", "malformed line", "malformed line", "Host ", "empty line"]);
        assert_eq!(anatomy.fields[2].value, " a: folded");
    }

    #[test]
    fn the_accept_value_of_rfc_6455_1_3_is_derived_in_five_steps() {
        let steps = accept_steps("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(steps[3].value, "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
        assert_eq!(steps[4].value, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
