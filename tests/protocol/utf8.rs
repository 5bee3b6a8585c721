//! The incremental UTF-8 check (RFC 6455 8.1), held against the standard library's.

use proptest::prelude::*;
use wsinspect::wire::{InvalidUtf8, MaskingKey, Utf8Checker, is_text, mask};

use crate::traffic::{cut, cuts, simple_splits};

/// Pushes `chunks` and holds the checker against `std` after each: it fails in the first push after which no
/// continuation could be valid, at the byte that `std` names, and not before.
fn compare_with_std(chunks: &[&[u8]]) {
    let mut checker = Utf8Checker::default();
    let mut so_far = Vec::new();
    for chunk in chunks {
        so_far.extend_from_slice(chunk);
        let expected = match std::str::from_utf8(&so_far) {
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8 { offset: error.valid_up_to() as u64 }),
            _ => Ok(()),
        };
        let pushed = checker.push(chunk);
        assert_eq!(pushed, expected, "{chunks:02x?} after {} bytes", so_far.len());
        if pushed.is_err() {
            return;
        }
    }
    let expected =
        std::str::from_utf8(&so_far).map(drop).map_err(|error| InvalidUtf8 { offset: error.valid_up_to() as u64 });
    assert_eq!(checker.finish(), expected, "{chunks:02x?} at the end");
}

#[test]
fn the_edges_of_utf_8_in_every_split() {
    for bytes in [
        &b""[..],
        b"plain",
        "κόσμε \u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}".as_bytes(),
        b"\x80",
        b"a\xBFb",
        b"\xC0\x80",
        b"\xC1\xBF",
        b"\xC2",
        b"\xC2a",
        b"\xE0\x9F\xBF",
        b"\xE0\xA0",
        b"\xED\xA0\x80",
        b"\xED\x9F\xBF",
        b"\xEF\xBF",
        b"\xF0\x8F\xBF\xBF",
        b"\xF0\x90\x80",
        b"\xF4\x8F\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xF5\x80\x80\x80",
        b"\xFE\xFF",
        b"\xC3\xA9\xE2\x82",
        b"\xE2\x82\xC3\xA9",
        b"\xF0\x9F\x92\xF0\x9F\x92\xA9",
    ] {
        for chunks in simple_splits(bytes) {
            compare_with_std(&chunks);
        }
    }
}

#[test]
fn the_cases_6_4_of_autobahn_fail_at_the_byte_that_breaks_them() {
    let mut checker = Utf8Checker::default();
    assert_eq!(checker.push("κόσμε".as_bytes()), Ok(()));
    assert_eq!(checker.push(b"\xF4"), Ok(()), "\u{10FFFF} begins so too");
    assert_eq!(checker.push(b"\x90"), Err(InvalidUtf8 { offset: 10 }));
}

/// Text, or text with a byte or two changed, removed or put in: what hostile text looks like.
fn near_valid() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), prop::option::of(any::<u8>()), any::<bool>());
    (any::<String>(), prop::collection::vec(edit, 0..3)).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, byte, insert) in edits {
            let at = at.index(bytes.len() + 1);
            match byte {
                Some(byte) if insert || at == bytes.len() => bytes.insert(at, byte),
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at),
            }
        }
        bytes
    })
}

#[track_caller]
fn assert_told_as_text(text: &[u8], key: MaskingKey) {
    let is_valid = std::str::from_utf8(text).is_ok();
    let mut room = b"what was there before".to_vec();
    assert_eq!(is_text(text, None, &mut room), is_valid, "{text:02x?}");
    let mut masked = text.to_vec();
    mask(&mut masked, key, 0);
    assert_eq!(is_text(&masked, Some(key), &mut room), is_valid, "{text:02x?} masked with {key}");
}

#[test]
fn a_whole_text_of_any_length_is_told_masked_or_not_by_each_of_its_bytes() {
    let key = MaskingKey([0x80, 0x7F, 0x00, 0xFF]);
    for length in (0..40).chain([255, 256, 257, 511, 513, 1030]) {
        assert_told_as_text(&vec![b'a'; length], key);
        for at in 0..length {
            let mut text = vec![b'a'; length];
            text[at] = 0x80;
            assert_told_as_text(&text, key);
        }
    }
}

proptest! {
    #[test]
    fn any_whole_text_is_told_masked_or_not(
        text in prop_oneof![any::<String>().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)],
        key in any::<[u8; 4]>(),
    ) {
        assert_told_as_text(&text, MaskingKey(key));
    }

    #[test]
    fn near_valid_text_is_judged_as_std_judges_it(bytes in near_valid(), cuts in cuts()) {
        compare_with_std(&cut(&bytes, &cuts));
        compare_with_std(&bytes.chunks(1).collect::<Vec<_>>());
    }

    #[test]
    fn random_bytes_are_judged_as_std_judges_them(bytes in prop::collection::vec(any::<u8>(), 0..40), cuts in cuts()) {
        compare_with_std(&cut(&bytes, &cuts));
    }

    #[test]
    fn lead_and_continuation_bytes_are_judged_as_std_judges_them(
        bytes in prop::collection::vec(prop_oneof![Just(b'a'), 0x80..=0xBF_u8, 0xC0..=0xFF_u8], 0..12),
        cuts in cuts(),
    ) {
        compare_with_std(&cut(&bytes, &cuts));
    }
}
