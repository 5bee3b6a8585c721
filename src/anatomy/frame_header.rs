//! The fields of a frame's header (RFC 6455 5.2).

use std::borrow::Cow;
use std::ops::Range;

use super::field::{count, hex_row};
use super::{Field, FrameContext};
use crate::wire::{Header, LengthForm, MAX_HEADER, Opcode, Parsed, Place, Side};

const FIN_WHY: &str = "A sender may begin a message before it knows how long it will be, and let control frames pass \
    between its fragments.";
const RSV_WHY: &str =
    "Room for extensions: one that was agreed on in the opening handshake may give the bit a meaning.";
const OPCODE_WHY: &str = "It says how to read the payload, and whether the frame is part of a message or about the \
    connection itself.";
const MASK_WHY: &str = "A client masks so that no page can choose the bytes that a proxy on the way sees and might take \
    for HTTP.";
const LENGTH_WHY: &str = "The receiver knows where the frame ends without searching the payload for a mark.";
const EXTENDED_WHY: &str = "Short frames stay short, and long ones can still say how long they are.";
const KEY_WHY: &str = "The key is fresh and unpredictable for each frame; a known one would let an attacker choose the \
    masked bytes after all.";

/// The header fields of which `bytes` hold at least a part. `header` is what they say, as far as they go.
pub(super) fn fields(bytes: &[u8], header: &Header, context: FrameContext) -> Vec<Field> {
    let mut fields = Vec::with_capacity(9);
    let Some(&first) = bytes.first() else { return fields };
    let bit = |byte: u8, n: u32| (byte >> (7 - n) & 1).to_string();
    let mut push = |name, at: Range<u64>, bits, value, meaning: Cow<'static, str>, why, section| {
        let name = Cow::Borrowed(name);
        fields.push(Field { name, bytes: at, bits, value, meaning: meaning.into_owned(), why, section });
    };
    push("FIN", 0..1, Some(0..1), bit(first, 0), fin(header, context).into(), FIN_WHY, "RFC 6455 5.2, 5.4");
    for (name, n) in [("RSV1", 1), ("RSV2", 2), ("RSV3", 3)] {
        let set = first >> (7 - n) & 1 == 1;
        let (meaning, section) = rsv(n, set, context);
        push(name, 0..1, Some(n..n + 1), bit(first, n), meaning.into(), RSV_WHY, section);
    }
    let (meaning, section) = opcode(header, context);
    push("opcode", 0..1, Some(4..8), format!("{:#x}", first & 15), meaning, OPCODE_WHY, section);

    let Some(&second) = bytes.get(1) else { return fields };
    let meaning = mask(second >> 7 == 1, context.from);
    push("MASK", 1..2, Some(0..1), bit(second, 0), meaning.into(), MASK_WHY, "RFC 6455 5.1, 5.3, 10.3");
    let extended = header.length_form.extended_bytes();
    let meaning = length(second & 0x7F, bytes.get(2..2 + extended), header).into();
    push("payload length", 1..2, Some(1..8), (second & 0x7F).to_string(), meaning, LENGTH_WHY, "RFC 6455 5.2");

    let key_at = 2 + extended;
    if extended > 0 && bytes.len() > 2 {
        let there = &bytes[2..bytes.len().min(key_at)];
        let value = format!("0x{}{}", hex::encode(there), if there.len() < extended { "…" } else { "" });
        let meaning = if there.len() < extended {
            format!("Cut short: {} of the {extended} bytes of the length are there.", there.len())
        } else {
            extended_length(header, &value)
        };
        push("extended length", 2..key_at as u64, None, value, meaning.into(), EXTENDED_WHY, "RFC 6455 5.2");
    }
    if second >> 7 == 1 && bytes.len() > key_at {
        let there = &bytes[key_at..bytes.len().min(key_at + 4)];
        let at = key_at as u64..key_at as u64 + 4;
        let meaning = match (there.len(), header.length) {
            (4, 0) => "There is no payload for it to mask; the key is sent all the same.".into(),
            (4, _) => "Each payload byte was XORed with the next byte of this key, over and over; the same once more \
                gives the payload back."
                .into(),
            (n, _) => format!("Cut short: {n} of the 4 bytes of the key are there.").into(),
        };
        push("masking key", at, None, hex_row(there, 4, 4), meaning, KEY_WHY, "RFC 6455 5.3, 10.3");
    }
    fields
}

/// A partial header read as if zeros followed: its first fields are those of the whole one.
pub(super) fn padded(bytes: &[u8]) -> Header {
    let mut whole = [0; MAX_HEADER];
    let len = bytes.len().min(MAX_HEADER);
    whole[..len].copy_from_slice(&bytes[..len]);
    match Header::parse(&whole) {
        Parsed::Complete(header) => header,
        Parsed::Partial(_) => unreachable!("no header is longer than MAX_HEADER"),
    }
}

const fn fin(header: &Header, context: FrameContext) -> &'static str {
    match (context.place, header.fin) {
        (Place::Control, true) => "The frame is whole; control frames always are.",
        (Place::Control, false) => {
            "It says that more of this control frame follows, and control frames are never fragmented."
        }
        (Place::First | Place::Interrupting, true) => {
            "First frame of its message and the last one, too: the message is not fragmented."
        }
        (Place::First | Place::Interrupting, false) => "The first fragment of a message; more follow.",
        (Place::Continuation, true) => "The last fragment: with this frame the message is complete.",
        (Place::Continuation, false) => "One more fragment, and not the last one.",
        (Place::Orphan, true) => "It would be the last fragment, yet no message has been begun.",
        (Place::Orphan, false) => "It would be one more fragment, yet no message has been begun.",
    }
}

const fn rsv(n: u32, set: bool, context: FrameContext) -> (&'static str, &'static str) {
    const RSV: &str = "RFC 6455 5.2";
    const DEFLATE: &str = "RFC 7692 6";
    if n == 1 && context.deflate {
        let meaning = match (context.place, set) {
            (Place::Control, false) => "Control frames are never compressed.",
            (Place::Control, true) => "It says compressed, and control frames never are.",
            (Place::First | Place::Interrupting, true) => "The message is compressed with permessage-deflate.",
            (Place::First | Place::Interrupting, false) => {
                "The message is not compressed, as a sender may decide for each."
            }
            (Place::Continuation | Place::Orphan, false) => {
                "Only the first frame of a message says whether it is compressed."
            }
            (Place::Continuation | Place::Orphan, true) => {
                "It must be 0 here: only the first frame of a message says whether it is compressed."
            }
        };
        return (meaning, DEFLATE);
    }
    (if set { "Set, although nothing agreed on gives it a meaning." } else { "Reserved, hence 0." }, RSV)
}

fn opcode(header: &Header, context: FrameContext) -> (Cow<'static, str>, &'static str) {
    let value = header.opcode.value();
    match header.opcode {
        Opcode::CONTINUATION => {
            let meaning = match (context.place, context.message) {
                (Place::Orphan, _) => "A continuation, and there is nothing that it could continue.".into(),
                (_, Some(message)) => {
                    format!("A continuation: it goes on with the {message} message that is open.").into()
                }
                (_, None) => "A continuation: it goes on with the message that an earlier frame began.".into(),
            };
            (meaning, "RFC 6455 5.4")
        }
        Opcode::TEXT | Opcode::BINARY if context.place == Place::Interrupting => {
            let meaning = format!("A new {} message begins although the one before is not finished.", header.opcode);
            (meaning.into(), "RFC 6455 5.4")
        }
        Opcode::TEXT => ("Text: the payload is UTF-8.".into(), "RFC 6455 5.6"),
        Opcode::BINARY => ("Binary: only the application knows what the payload means.".into(), "RFC 6455 5.6"),
        Opcode::CLOSE => ("Close: the sender will send nothing more.".into(), "RFC 6455 5.5.1"),
        Opcode::PING => ("Ping: the other side has to answer with a pong.".into(), "RFC 6455 5.5.2"),
        Opcode::PONG => ("Pong: the answer to a ping, or a heartbeat unasked.".into(), "RFC 6455 5.5.3"),
        _ => {
            let kind = if header.opcode.is_control() { "control frame" } else { "data frame" };
            (format!("Opcode {value} is reserved: a {kind} that nobody has defined yet.").into(), "RFC 6455 5.2, 11.8")
        }
    }
}

const fn mask(set: bool, from: Side) -> &'static str {
    match (from, set) {
        (Side::Client, true) => "The payload is masked, as a client's always is; the key stands in this header.",
        (Side::Client, false) => "The payload is not masked, which a client's must be.",
        (Side::Server, true) => "The payload is masked, which a server's must never be.",
        (Side::Server, false) => "The payload is not masked and the header holds no key, as is right for a server.",
    }
}

/// What the 7 bits of the length say; `extended` are the bytes after them, where all of those are there.
fn length(bits: u8, extended: Option<&[u8]>, header: &Header) -> String {
    let after = |count: &str| {
        let reading = match extended {
            Some(bytes) if header.has_length_top_bit() => format!(": 0x{}, no length at all", hex::encode(bytes)),
            Some(bytes) => format!(", most significant first: 0x{} = {}", hex::encode(bytes), header.length),
            None => String::new(),
        };
        format!("{bits} is no length: it says that the length is in the next {count} bytes{reading}.")
    };
    match bits {
        126 => after("two"),
        127 => after("eight"),
        0 => "There is no payload.".to_owned(),
        n => format!("The payload has {}; up to 125 the length itself stands here.", count(n.into(), "byte")),
    }
}

fn extended_length(header: &Header, value: &str) -> String {
    if header.has_length_top_bit() {
        return format!(
            "{value} has its top bit set, which is forbidden: no frame is that long, and where this one ends cannot be \
             told."
        );
    }
    let reading = format!("The length, most significant byte first: {value} = {}.", header.length);
    if header.is_minimal() {
        return reading;
    }
    let shorter = match LengthForm::shortest(header.length) {
        LengthForm::Bits7 => "the 7 bits before would have held it",
        _ => "two bytes would have held it",
    };
    format!("{reading} It must be written in the fewest bytes, and {shorter}.")
}
