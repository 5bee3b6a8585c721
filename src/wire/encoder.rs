//! Headers and frames as bytes, legal or not (RFC 6455 5.2).

use super::{Header, LengthForm, MAX_HEADER, MaskingKey, mask_into};

/// Appends `header` as it stands on the wire. A length that its form cannot hold loses its upper bits; in the 7-bit
/// form 126 and 127 then announce an extended length that is not there, as asked.
pub fn encode_header(header: &Header, out: &mut Vec<u8>) {
    let (bytes, length) = header_bytes(header);
    out.extend_from_slice(&bytes[..length]);
}

/// Appends `header`, then `payload`, masked if the header holds a key. The header's length is written as it says,
/// whether or not it is the payload's.
pub fn encode_frame(header: &Header, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + header.len() + payload.len(), 0);
    encode_frame_into(header, payload, header.masking_key, &mut out[start..]);
}

/// Writes what [`encode_frame`] appends into `room`, which has just as many bytes. `key` may be another than the header's: a
/// payload that is masked already goes on as it is, or unmasked.
pub fn encode_frame_into(header: &Header, payload: &[u8], key: Option<MaskingKey>, room: &mut [u8]) {
    let (bytes, length) = header_bytes(header);
    // as many as may be are one move, and what the payload will stand over does not matter
    match room.first_chunk_mut() {
        Some(front) => *front = bytes,
        None => room[..length].copy_from_slice(&bytes[..length]),
    }
    let rest = &mut room[length..];
    match key {
        Some(key) => drop(mask_into(rest, payload, key, 0)),
        None => rest.copy_from_slice(payload),
    }
}

/// The bytes of a header, and how many of them there are.
fn header_bytes(header: &Header) -> ([u8; MAX_HEADER], usize) {
    let length_bits = match header.length_form {
        LengthForm::Bits7 => header.length as u8 & 0x7F,
        LengthForm::Bits16 => 126,
        LengthForm::Bits64 => 127,
    };
    let mut bytes = [0; MAX_HEADER];
    bytes[0] = u8::from(header.fin) << 7 | header.rsv.value() << 4 | header.opcode.value();
    bytes[1] = u8::from(header.masking_key.is_some()) << 7 | length_bits;
    let mut end = 2;
    match header.length_form {
        LengthForm::Bits7 => {}
        LengthForm::Bits16 => {
            bytes[2..4].copy_from_slice(&(header.length as u16).to_be_bytes());
            end = 4;
        }
        LengthForm::Bits64 => {
            bytes[2..10].copy_from_slice(&header.length.to_be_bytes());
            end = 10;
        }
    }
    if let Some(key) = header.masking_key {
        bytes[end..end + 4].copy_from_slice(&key.0);
        end += 4;
    }
    (bytes, end)
}

/// One frame as bytes; see [`encode_frame`].
pub fn frame(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(header, payload, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{MaskingKey, Opcode, Parsed, Rsv};

    #[test]
    fn the_examples_of_rfc_6455_5_7_are_written_byte_for_byte() {
        let key = Some(MaskingKey([0x37, 0xfa, 0x21, 0x3d]));
        let hello = |opcode, key| frame(&Header::new(opcode, key, 5), b"Hello");
        assert_eq!(hello(Opcode::TEXT, None), hex::decode("810548656c6c6f").unwrap());
        assert_eq!(hello(Opcode::TEXT, key), hex::decode("818537fa213d7f9f4d5158").unwrap());
        assert_eq!(hello(Opcode::PING, None), hex::decode("890548656c6c6f").unwrap());
        assert_eq!(hello(Opcode::PONG, key), hex::decode("8a8537fa213d7f9f4d5158").unwrap());
        let first = Header::new(Opcode::TEXT, None, 3).with_fin(false);
        assert_eq!(frame(&first, b"Hel"), hex::decode("010348656c").unwrap());
        assert_eq!(frame(&Header::new(Opcode::CONTINUATION, None, 2), b"lo"), hex::decode("80026c6f").unwrap());
        assert_eq!(frame(&Header::new(Opcode::BINARY, None, 256), &[0; 256])[..4], [0x82, 0x7E, 0x01, 0x00]);
        assert_eq!(
            frame(&Header::new(Opcode::BINARY, None, 65536), &vec![0; 65536])[..10],
            [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }

    #[test]
    fn any_header_that_its_form_can_hold_reads_back_as_it_was_written() {
        let lengths = [0, 1, 125, 126, 65535, 65536, u64::MAX];
        for first in 0..=255_u8 {
            for length in lengths {
                for length_form in [LengthForm::Bits7, LengthForm::Bits16, LengthForm::Bits64] {
                    let fits = match length_form {
                        LengthForm::Bits7 => length < 126,
                        LengthForm::Bits16 => length <= 0xFFFF,
                        LengthForm::Bits64 => true,
                    };
                    let header = Header {
                        fin: first & 0x80 != 0,
                        rsv: Rsv::new(first >> 4),
                        opcode: Opcode::new(first),
                        masking_key: (first & 1 == 0).then_some(MaskingKey([1, 2, 3, first])),
                        length,
                        length_form,
                    };
                    let mut out = Vec::new();
                    encode_header(&header, &mut out);
                    if fits {
                        assert_eq!(Header::parse(&out), Parsed::Complete(header));
                        assert_eq!(out.len(), header.len());
                    }
                }
            }
        }
    }
}
