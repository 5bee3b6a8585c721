//! Messages out of frames (RFC 6455 5.4).

use wsinspect::wire::{Header, Message, MessageSequence, MessageTooBig, Opcode, Place, Reassembler};

/// A frame with this opcode, FIN and payload.
type Piece = (Opcode, bool, &'static [u8]);

const TEXT: Opcode = Opcode::TEXT;
const BINARY: Opcode = Opcode::BINARY;
const MORE: Opcode = Opcode::CONTINUATION;
const PING: Opcode = Opcode::PING;

fn header(opcode: Opcode, fin: bool, length: usize) -> Header {
    Header::new(opcode, None, length as u64).with_fin(fin)
}

/// What comes of each frame: the refusal, or the message that it completes.
fn reassemble(max: u64, frames: &[Piece]) -> Vec<Result<Option<Message>, MessageTooBig>> {
    let mut reassembler = Reassembler::new(max);
    let one = |&(opcode, fin, payload): &Piece| {
        let begun = reassembler.header(&header(opcode, fin, payload.len()));
        // the payload comes all the same, in pieces
        payload.chunks(2).for_each(|bytes| reassembler.payload(bytes));
        let message = reassembler.end();
        match begun {
            Ok(_) => Ok(message),
            Err(error) => {
                assert_eq!(message, None);
                Err(error)
            }
        }
    };
    frames.iter().map(one).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "stands in lists beside refusals")]
fn message(opcode: Opcode, payload: &[u8], fragments: u64) -> Result<Option<Message>, MessageTooBig> {
    Ok(Some(Message { opcode, payload: payload.to_vec(), fragments }))
}

#[test]
fn one_frame_is_a_message_even_an_empty_one() {
    assert_eq!(reassemble(9, &[(TEXT, true, b"hello")]), [message(TEXT, b"hello", 1)]);
    assert_eq!(reassemble(0, &[(BINARY, true, b"")]), [message(BINARY, b"", 1)]);
}

#[test]
fn control_frames_between_fragments_belong_to_no_message() {
    let frames: [Piece; 6] = [
        (TEXT, false, b"Hel"),
        (PING, true, b"are you there"),
        (MORE, false, b""),
        (Opcode::PONG, true, b""),
        (MORE, true, b"lo"),
        (BINARY, true, b"next"),
    ];
    let expected = [Ok(None), Ok(None), Ok(None), Ok(None), message(TEXT, b"Hello", 3), message(BINARY, b"next", 1)];
    assert_eq!(reassemble(5, &frames), expected);
}

#[test]
fn a_message_at_the_limit_is_whole_and_one_past_it_is_given_up() {
    let expected = [Ok(None), message(TEXT, b"abcd", 2)];
    assert_eq!(reassemble(4, &[(TEXT, false, b"ab"), (MORE, true, b"cd")]), expected);
    let frames: [Piece; 5] =
        [(TEXT, false, b"ab"), (MORE, false, b"cde"), (MORE, false, b"f"), (MORE, true, b""), (TEXT, true, b"next")];
    let expected = [Ok(None), Err(MessageTooBig { length: 5 }), Ok(None), Ok(None), message(TEXT, b"next", 1)];
    assert_eq!(reassemble(4, &frames), expected, "what is left of it is passed over, the next one is not");
}

#[test]
fn a_declared_length_is_refused_before_its_payload_comes() {
    let mut reassembler = Reassembler::new(1000);
    assert_eq!(reassembler.header(&Header::new(BINARY, None, u64::MAX)), Err(MessageTooBig { length: u64::MAX }));
    assert_eq!(reassembler.header(&header(TEXT, false, 1000)), Ok(Place::First));
    let endless = Header::new(MORE, None, u64::MAX);
    assert_eq!(reassembler.header(&endless), Err(MessageTooBig { length: u64::MAX }), "no overflow");
}

#[test]
fn a_message_that_interrupts_another_takes_its_place() {
    let frames: [Piece; 3] = [(TEXT, false, b"old"), (BINARY, false, b"n"), (MORE, true, b"ew")];
    assert_eq!(reassemble(9, &frames), [Ok(None), Ok(None), message(BINARY, b"new", 2)]);
}

#[test]
fn an_orphan_continuation_makes_no_message() {
    assert_eq!(
        reassemble(9, &[(MORE, true, b"lost"), (TEXT, true, b"ok")]),
        [Ok(None), message(TEXT, b"ok", 1)],
        "nor does it spoil the next"
    );
}

#[test]
fn each_frame_has_the_place_that_rfc_6455_5_4_gives_it() {
    use Place::{Continuation, Control, First, Interrupting, Orphan};
    let reserved = Opcode::new(3);
    let mut sequence = MessageSequence::default();
    for (opcode, fin, place, unfinished) in [
        (MORE, true, Orphan, None),
        (MORE, false, Orphan, None),
        (TEXT, true, First, None),
        (TEXT, false, First, Some(TEXT)),
        (PING, true, Control, Some(TEXT)),
        (PING, false, Control, Some(TEXT)),
        (MORE, false, Continuation, Some(TEXT)),
        (BINARY, false, Interrupting, Some(BINARY)),
        (TEXT, true, Interrupting, None),
        (reserved, false, First, Some(reserved)),
        (Opcode::new(15), false, Control, Some(reserved)),
        (MORE, true, Continuation, None),
        (Opcode::CLOSE, true, Control, None),
    ] {
        assert_eq!(sequence.place(&header(opcode, fin, 0)), place, "{opcode:?} fin {fin}");
        assert_eq!(sequence.unfinished(), unfinished, "after {opcode:?} fin {fin}");
    }
}

#[test]
fn the_room_of_a_message_is_used_again_but_not_that_of_a_very_large_one() {
    let mut reassembler = Reassembler::new(64 << 20);
    reassembler.use_again(vec![1; 64 << 20]);
    assert_eq!(reassembler.take_room().capacity(), 0);
    reassembler.use_again(vec![1; 1000]);
    let room = reassembler.take_room();
    assert!(room.is_empty() && room.capacity() >= 1000);
}
