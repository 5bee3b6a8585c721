//! The fields of a frame's payload (RFC 6455 5.2, 5.5, 5.6).

use std::borrow::Cow;
use std::ops::Range;

use super::field::{count, hex_row, quoted};
use super::{Field, FrameContext};
use crate::wire::{CloseBody, CloseCode, CloseCodeClass, Header, Opcode, Place, mask};

const CLOSE_WHY: &str = "Whoever closes says why, so that the other side can act on it.";
const REASON_WHY: &str = "For people who read logs: no program has to understand it, and nobody has to show it.";

/// Pushes the payload's fields; `payload` is the beginning of it, unmasked.
pub(super) fn push_fields(header: &Header, payload: &[u8], context: FrameContext, fields: &mut Vec<Field>) {
    let payload = &payload[..payload.len().min(usize::try_from(header.length).unwrap_or(usize::MAX))];
    let field = |name: &'static str, at: Range<u64>, meaning, why, section| {
        let header_len = header.len() as u64;
        let bytes = header_len.saturating_add(at.start)..header_len.saturating_add(at.end);
        Field {
            name: Cow::Borrowed(name),
            bytes,
            bits: None,
            value: wire_hex(header, payload, &at),
            meaning,
            why,
            section,
        }
    };
    let whole = 0..header.length;
    if header.opcode == Opcode::CLOSE && header.length >= 2 {
        fields.push(field("status code", 0..2, status_code(payload), CLOSE_WHY, "RFC 6455 5.5.1, 7.4"));
        if header.length > 2 {
            let reason = payload.get(2..).unwrap_or_default();
            let meaning = if reason.is_empty() {
                "The reason is not at hand.".to_owned()
            } else {
                format!("The reason, in UTF-8: {}.", preview(reason, payload.len() as u64 == header.length))
            };
            fields.push(field("reason", 2..header.length, meaning, REASON_WHY, "RFC 6455 5.5.1, 7.1.6"));
        }
        return;
    }
    let (meaning, section) = payload_meaning(header, payload, context);
    fields.push(field("payload data", whole, meaning, payload_why(header, context), section));
}

/// The bytes of `at` as they crossed the wire, masked if the frame is: `7f 9f 4d 51 58`.
fn wire_hex(header: &Header, payload: &[u8], at: &Range<u64>) -> String {
    const LIMIT: usize = 16;
    let there = payload.get(at.start as usize..).unwrap_or_default();
    let length = at.end - at.start;
    let shown = (LIMIT as u64).min(length) as usize;
    let mut bytes = there[..there.len().min(shown)].to_vec();
    if let Some(key) = header.masking_key {
        mask(&mut bytes, key, at.start);
    }
    hex_row(&bytes, length, LIMIT)
}

/// Why a frame of this opcode has a payload.
const fn payload_why(header: &Header, context: FrameContext) -> &'static str {
    match header.opcode {
        Opcode::CLOSE => CLOSE_WHY,
        Opcode::PING | Opcode::PONG => {
            "The pong brings back what the ping held, so that it is known which ping it answers."
        }
        opcode if opcode.is_reserved() => "An opcode that is given a meaning one day also says what its payload is.",
        _ if context.compressed => "Fewer bytes cross the wire; both sides agreed on it in the opening handshake.",
        _ => "This is what the application has to say; all before it says how long it is and how to read it.",
    }
}

fn status_code(payload: &[u8]) -> String {
    let CloseBody::Code(code, _) = CloseBody::parse(payload) else {
        return "The status code is not whole.".to_owned();
    };
    let CloseCode(number) = code;
    let reading = format!("{:02x} {:02x} = {number}, {}. {}", number >> 8, number & 0xFF, code.name(), code.meaning());
    match code.class() {
        CloseCodeClass::Forbidden => format!("{reading} No close frame may hold it."),
        _ => reading,
    }
}

fn payload_meaning(header: &Header, payload: &[u8], context: FrameContext) -> (String, &'static str) {
    let length = header.length;
    let bytes = count(length, "byte");
    // the last character may go on in what is not at hand or in the next fragment
    let whole = payload.len() as u64 == length && header.fin;
    let (meaning, section) = match header.opcode {
        Opcode::CLOSE if length == 0 => (
            "Empty: no status code. The other side's program reports this as 1005.".to_owned(),
            "RFC 6455 5.5.1, 7.1.5",
        ),
        Opcode::CLOSE => ("One byte, and a status code takes two.".to_owned(), "RFC 6455 5.5.1"),
        Opcode::PING if length == 0 => {
            ("Empty, as a ping may be; the pong will be empty, too.".to_owned(), "RFC 6455 5.5.2")
        }
        Opcode::PING => (
            format!("{bytes} that the pong has to bring back unchanged: {}.", preview(payload, whole)),
            "RFC 6455 5.5.2",
        ),
        Opcode::PONG if length == 0 => ("Empty, as the ping that it answers was.".to_owned(), "RFC 6455 5.5.3"),
        Opcode::PONG => {
            (format!("The same {bytes} as in the ping that it answers: {}.", preview(payload, whole)), "RFC 6455 5.5.3")
        }
        opcode if opcode.is_reserved() => (format!("{bytes}; what they mean is not defined."), "RFC 6455 5.2"),
        _ if length == 0 => ("Empty, as any data frame may be.".to_owned(), "RFC 6455 5.6"),
        _ if context.compressed => {
            (format!("{bytes} of DEFLATE data; the message has to be inflated to be read."), "RFC 7692 6.2")
        }
        _ if context.message == Some(Opcode::TEXT) => {
            let kind =
                if header.fin && context.place != Place::Continuation { "The text" } else { "A piece of the text" };
            (format!("{kind}: {}.", preview(payload, whole)), "RFC 6455 5.6")
        }
        _ => (format!("{bytes} that mean what the application wants them to."), "RFC 6455 5.6"),
    };
    let absent = length > 0 && payload.is_empty();
    if absent { (format!("{bytes} of payload, not at hand."), section) } else { (meaning, section) }
}

/// The beginning of some text, in quotes; what is not UTF-8 is shown as U+FFFD. The last character of text that is not
/// `whole` may be cut.
fn preview(bytes: &[u8], whole: bool) -> String {
    const LIMIT: usize = 256;
    let cut = !whole || bytes.len() > LIMIT;
    let mut beginning = &bytes[..bytes.len().min(LIMIT)];
    if cut
        && let Err(error) = std::str::from_utf8(beginning)
        && error.error_len().is_none()
    {
        beginning = &beginning[..error.valid_up_to()];
    }
    quoted(&String::from_utf8_lossy(beginning))
}
