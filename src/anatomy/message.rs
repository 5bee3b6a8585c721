//! A message that an archive holds (a HAR), taken apart: what carried it on the wire is not known.

use super::field::count;
use super::{Field, FrameAnatomy, FrameContext, frame};
use crate::wire::{Header, MaskingKey, Opcode};

/// What is said of a field that an archive says nothing of.
const UNKNOWN: &str = "Unknown: a HAR does not say.";

/// Takes apart a message as if it were one frame, with `?` for whatever an archive does not say of frames. `payload` is
/// the beginning of its payload: all of it, or as much as is at hand.
pub fn message(opcode: Opcode, length: u64, payload: &[u8], context: FrameContext) -> FrameAnatomy {
    // a key of zeros leaves the payload as it is, and gives the key its place among the fields
    let header = Header::new(opcode, Some(MaskingKey::default()), length);
    let fields = frame(&header, payload, context).fields.into_iter().filter_map(|field| told(field, length));
    let name = if opcode.is_reserved() { format!("reserved opcode {:#x}", opcode.value()) } else { opcode.to_string() };
    let title = format!("{name}, {}, from {}, in frames that are unknown", count(length, "byte"), context.from);
    FrameAnatomy { title, fields: fields.collect() }
}

fn told(field: Field, length: u64) -> Option<Field> {
    match &*field.name {
        "FIN" | "RSV1" | "RSV2" | "RSV3" | "MASK" | "masking key" => {
            Some(Field { value: "?".to_owned(), meaning: UNKNOWN.to_owned(), ..field })
        }
        "payload length" => {
            let meaning = format!("The message has {}.", count(length, "byte"));
            Some(Field { value: length.to_string(), meaning, ..field })
        }
        "extended length" => None,
        _ => Some(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Side;

    fn rows(opcode: Opcode, length: u64, payload: &[u8]) -> Vec<(String, String)> {
        let header = Header::new(opcode, None, length);
        let anatomy = message(opcode, length, payload, FrameContext::alone(&header, Side::Client));
        anatomy.fields.into_iter().map(|field| (field.name.into_owned(), field.value)).collect()
    }

    #[test]
    fn what_a_har_does_not_say_is_unknown_and_the_rest_is_told() {
        for length in [5, 200, 70_000] {
            let payload = vec![b'x'; length];
            let rows = rows(Opcode::TEXT, length as u64, &payload);
            let unknown: Vec<_> =
                rows.iter().filter(|(_, value)| value == "?").map(|(name, _)| name.as_str()).collect();
            assert_eq!(unknown, ["FIN", "RSV1", "RSV2", "RSV3", "MASK", "masking key"]);
            let known = rows.iter().filter(|(_, value)| value != "?");
            let known: Vec<_> = known.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let length = length.to_string();
            assert_eq!(known[..2], [("opcode", "0x1"), ("payload length", length.as_str())]);
            assert_eq!(known[2].0, "payload data");
            assert!(known[2].1.starts_with("78 78 78"), "{known:?}");
        }
    }

    #[test]
    fn a_close_code_is_read_from_what_was_told() {
        let rows = rows(Opcode::CLOSE, 5, b"\x03\xe8bye");
        assert!(rows.contains(&("status code".to_owned(), "03 e8".to_owned())), "{rows:?}");
    }
}
