//! A frame taken apart (RFC 6455 5.2).

use super::field::count;
use super::{Field, FrameContext, frame_header, frame_payload};
use crate::wire::{Header, LengthForm, Place, Side, encode_header};

/// Every field of a frame, in the order of its bits. Together they cover each bit of the frame exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameAnatomy {
    /// The frame in a line: `text, FIN, 5 bytes, masked, from client`.
    pub title: String,
    /// The fields.
    pub fields: Vec<Field>,
}

impl FrameAnatomy {
    /// The fields that the byte at `offset` of the frame belongs to.
    pub fn fields_at(&self, offset: u64) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.covers(offset))
    }
}

/// Takes apart the frame with `header`. `payload` is the beginning of its unmasked payload: all of it, or as much as is
/// at hand.
pub fn frame(header: &Header, payload: &[u8], context: FrameContext) -> FrameAnatomy {
    let mut bytes = Vec::new();
    encode_header(header, &mut bytes);
    let mut fields = frame_header::fields(&bytes, header, context);
    frame_payload::push_fields(header, payload, context, &mut fields);
    FrameAnatomy { title: title(header, context), fields }
}

/// Takes apart a header that ends in its middle: `bytes` are what there is of the `needed`. The last field may reach beyond them.
pub fn cut_frame(bytes: &[u8], needed: usize, from: Side) -> FrameAnatomy {
    let header = frame_header::padded(bytes);
    let title =
        format!("a header cut short, {} of at least {}, from {from}", bytes.len(), count(needed as u64, "byte"));
    FrameAnatomy { title, fields: frame_header::fields(bytes, &header, FrameContext::alone(&header, from)) }
}

fn title(header: &Header, context: FrameContext) -> String {
    let kind = match (context.place, context.message) {
        (Place::Continuation, Some(message)) => format!("continuation of {message}"),
        _ if header.opcode.is_reserved() => format!("reserved opcode {:#x}", header.opcode.value()),
        _ => header.opcode.name().to_owned(),
    };
    let mut parts = vec![kind];
    parts.push(if header.fin { "FIN".into() } else { "not FIN".into() });
    for (name, set) in [("RSV1", header.rsv.rsv1()), ("RSV2", header.rsv.rsv2()), ("RSV3", header.rsv.rsv3())] {
        if set {
            parts.push(name.to_owned());
        }
    }
    parts.push(match header.length_form {
        LengthForm::Bits64 if header.has_length_top_bit() => "an impossible length".to_owned(),
        _ => count(header.length, "byte"),
    });
    parts.push(if header.masking_key.is_some() { "masked".into() } else { "unmasked".into() });
    parts.push(format!("from {}", context.from));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{MAX_HEADER, Opcode, Parsed, Rsv, mask};

    fn take_apart(bytes: &[u8], from: Side) -> FrameAnatomy {
        let Parsed::Complete(header) = Header::parse(bytes) else { panic!("{bytes:02x?} is no whole header") };
        let mut payload = bytes[header.len()..].to_vec();
        if let Some(key) = header.masking_key {
            mask(&mut payload, key, 0);
        }
        frame(&header, &payload, FrameContext::alone(&header, from))
    }

    fn rows(anatomy: &FrameAnatomy) -> Vec<(&str, &str)> {
        anatomy.fields.iter().map(|field| (field.name.as_ref(), field.value.as_str())).collect()
    }

    fn meaning<'a>(anatomy: &'a FrameAnatomy, name: &str) -> &'a str {
        &anatomy.fields.iter().find(|field| field.name == name).unwrap().meaning
    }

    #[test]
    fn the_masked_hello_of_rfc_6455_5_7_has_the_values_printed_there() {
        let anatomy = take_apart(&hex::decode("818537fa213d7f9f4d5158").unwrap(), Side::Client);
        assert_eq!(anatomy.title, "text, FIN, 5 bytes, masked, from client");
        assert_eq!(
            rows(&anatomy),
            [
                ("FIN", "1"),
                ("RSV1", "0"),
                ("RSV2", "0"),
                ("RSV3", "0"),
                ("opcode", "0x1"),
                ("MASK", "1"),
                ("payload length", "5"),
                ("masking key", "37 fa 21 3d"),
                ("payload data", "7f 9f 4d 51 58"),
            ]
        );
        assert_eq!(meaning(&anatomy, "payload data"), "The text: \"Hello\".");
        assert_eq!(anatomy.fields[8].bytes, 6..11);
    }

    #[test]
    fn the_two_long_examples_of_rfc_6455_5_7_say_where_the_length_is() {
        let anatomy = take_apart(&hex::decode("827e0100").unwrap(), Side::Server);
        assert!(meaning(&anatomy, "payload length").contains("next two bytes"));
        assert!(meaning(&anatomy, "extended length").contains("0x0100 = 256."));
        assert_eq!(meaning(&anatomy, "payload data"), "256 bytes of payload, not at hand.");
        let anatomy = take_apart(&hex::decode("827f0000000000010000").unwrap(), Side::Server);
        assert!(meaning(&anatomy, "extended length").contains("0x0000000000010000 = 65536."));
        assert_eq!(anatomy.fields.last().unwrap().bytes, 10..65546);
    }

    #[test]
    fn fragments_say_which_one_they_are() {
        let mut contexts = super::super::FrameContexts::new(Side::Server, false);
        let mut fin = |header: Header| {
            let anatomy = frame(&header, b"", contexts.next(&header));
            (meaning(&anatomy, "FIN").to_owned(), anatomy.title)
        };
        let (first, _) = fin(Header::new(Opcode::TEXT, None, 3).with_fin(false));
        assert!(first.starts_with("The first fragment"));
        let (middle, _) = fin(Header::new(Opcode::CONTINUATION, None, 2).with_fin(false));
        assert!(middle.starts_with("One more fragment"));
        let (last, title) = fin(Header::new(Opcode::CONTINUATION, None, 2));
        assert!(last.starts_with("The last fragment"));
        assert_eq!(title, "continuation of text, FIN, 2 bytes, unmasked, from server");
        assert!(fin(Header::new(Opcode::CONTINUATION, None, 2)).0.contains("no message has been begun"));
    }

    #[test]
    fn a_close_frame_has_a_code_and_a_reason() {
        let anatomy = take_apart(b"\x88\x05\x03\xe8bye", Side::Server);
        assert!(meaning(&anatomy, "status code").starts_with("03 e8 = 1000, normal closure."));
        assert_eq!(meaning(&anatomy, "reason"), "The reason, in UTF-8: \"bye\".");
        assert!(meaning(&take_apart(b"\x88\x00", Side::Server), "payload data").contains("1005"));
        assert!(meaning(&take_apart(b"\x88\x01\x03", Side::Server), "payload data").contains("One byte"));
        let forbidden = take_apart(b"\x88\x02\x03\xee", Side::Server);
        assert!(meaning(&forbidden, "status code").ends_with("No close frame may hold it."));
        assert!(meaning(&take_apart(b"\x88\x02\x03", Side::Server), "status code").contains("not whole"));
    }

    #[test]
    fn hostile_headers_are_explained_for_what_they_are() {
        let server = |bytes: &[u8]| take_apart(bytes, Side::Server);
        assert!(meaning(&server(b"\xc1\x00"), "RSV1").starts_with("Set, although"));
        assert!(meaning(&server(b"\x83\x00"), "opcode").contains("a data frame that nobody"));
        assert!(meaning(&server(b"\x8b\x00"), "opcode").contains("a control frame that nobody"));
        assert!(meaning(&server(b"\x09\x00"), "FIN").contains("never fragmented"));
        assert!(meaning(&server(b"\x81\x80\x01\x02\x03\x04"), "MASK").contains("must never be"));
        assert!(meaning(&take_apart(b"\x81\x00", Side::Client), "MASK").contains("must be"));
        let long = server(b"\x82\x7e\x00\x05");
        assert!(meaning(&long, "extended length").contains("the 7 bits before would have held it"));
        let long = server(b"\x82\x7f\0\0\0\0\0\0\x01\0");
        assert!(meaning(&long, "extended length").contains("two bytes would have held it"));
        let lost = server(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
        assert!(meaning(&lost, "extended length").contains("top bit set"));
        assert!(lost.title.contains("an impossible length"));
    }

    #[test]
    fn compression_gives_rsv1_a_meaning() {
        let header = Header { rsv: Rsv::RSV1, ..Header::new(Opcode::TEXT, None, 3) };
        let mut contexts = super::super::FrameContexts::new(Side::Server, true);
        let anatomy = frame(&header, b"\xf2\x48\xcd", contexts.next(&header));
        assert!(meaning(&anatomy, "RSV1").contains("compressed with permessage-deflate"));
        assert!(meaning(&anatomy, "payload data").contains("DEFLATE"));
        let again = Header { opcode: Opcode::CONTINUATION, ..header };
        let context = FrameContext { deflate: true, ..FrameContext::alone(&again, Side::Server) };
        assert!(meaning(&frame(&again, b"", context), "RSV1").contains("must be 0 here"));
    }

    #[test]
    fn a_header_that_is_cut_short_has_the_fields_that_are_there() {
        let whole = [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9];
        let names = |len| cut_frame(&whole[..len], 14, Side::Client).fields.len();
        assert_eq!([0, 1, 2, 3, 10, 11, 13].map(names), [0, 5, 7, 8, 8, 9, 9]);
    }

    #[test]
    fn what_a_peer_sends_as_text_is_quoted_only_in_part() {
        let header = Header::new(Opcode::TEXT, None, 100_000);
        let anatomy = frame(&header, "é".repeat(2048).as_bytes(), FrameContext::alone(&header, Side::Server));
        let text = meaning(&anatomy, "payload data");
        assert!(text.ends_with("é…\"."), "{text}");
        assert!(text.chars().count() < 100);
    }

    proptest! {
        #[test]
        fn the_fields_cover_every_bit_of_any_frame_exactly_once(
            bytes in prop::collection::vec(any::<u8>(), MAX_HEADER..64),
            second in prop_oneof![any::<u8>(), Just(126), Just(127), Just(254), Just(255)],
            from in prop_oneof![Just(Side::Client), Just(Side::Server)],
        ) {
            let mut bytes = bytes;
            bytes[1] = second;
            let Parsed::Complete(header) = Header::parse(&bytes) else { panic!("14 bytes hold any header") };
            let anatomy = take_apart(&bytes, from);
            let mut at = 0;
            for field in &anatomy.fields {
                let bits = field.grid_bits();
                prop_assert_eq!(bits.start, at, "{} leaves a gap or overlaps", &field.name);
                at = bits.end;
                prop_assert!(!field.value.is_empty() || field.bytes.is_empty());
            }
            let end = (header.len() as u64).saturating_add(header.length).saturating_mul(8);
            prop_assert_eq!(at, end);
        }
    }
}
