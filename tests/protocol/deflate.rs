//! permessage-deflate's compression (RFC 7692 7.2).

use proptest::collection::vec;
use proptest::prelude::*;
use wsinspect::wire::{Deflater, InflateError, Inflater};

const LIMIT: u64 = 1 << 20;

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn inflate(inflater: &mut Inflater, pieces: &[&[u8]]) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    for piece in pieces {
        // an error comes again at the end
        let _ = inflater.push(piece, |plain| out.extend_from_slice(plain));
    }
    inflater.finish()?;
    Ok(out)
}

#[test]
fn the_examples_of_rfc_7692_7_2_3_inflate() {
    let mut shared = Inflater::new(true, LIMIT);
    assert_eq!(inflate(&mut shared, &[&hex("f2 48 cd c9 c9 07 00")]).unwrap(), b"Hello", "7.2.3.1");
    assert_eq!(inflate(&mut shared, &[&hex("f2 00 11 00 00")]).unwrap(), b"Hello", "7.2.3.2");
    for (example, section) in [
        ("f2 48 cd c9 c9 07 00", "7.2.3.1"),
        ("00 05 00 fa ff 48 65 6c 6c 6f 00", "7.2.3.3, no compression"),
        ("f3 48 cd c9 c9 07 00 00", "7.2.3.4, BFINAL"),
        ("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "7.2.3.5, two blocks"),
    ] {
        let bytes = hex(example);
        assert_eq!(inflate(&mut Inflater::new(false, LIMIT), &[&bytes]).unwrap(), b"Hello", "{section}");
        for split in 0..=bytes.len() {
            let (a, b) = bytes.split_at(split);
            assert_eq!(inflate(&mut Inflater::new(true, LIMIT), &[a, b]).unwrap(), b"Hello", "{section} at {split}");
        }
    }
    assert_eq!(inflate(&mut Inflater::new(true, LIMIT), &[&[0x00]]).unwrap(), b"", "7.2.3.6, empty");
}

#[test]
fn the_window_outlives_a_block_that_says_it_is_the_last() {
    let mut inflater = Inflater::new(true, LIMIT);
    assert_eq!(inflate(&mut inflater, &[&hex("f3 48 cd c9 c9 07 00 00")]).unwrap(), b"Hello");
    assert_eq!(inflate(&mut inflater, &[&hex("f2 00 11 00 00")]).unwrap(), b"Hello");
}

#[test]
fn an_inflater_goes_on_from_a_window() {
    let mut first = Inflater::new(true, LIMIT);
    inflate(&mut first, &[&hex("f2 48 cd c9 c9 07 00")]).unwrap();
    let mut second = Inflater::resume(first.window().unwrap(), LIMIT);
    assert_eq!(inflate(&mut second, &[&hex("f2 00 11 00 00")]).unwrap(), b"Hello");
}

#[test]
fn a_bomb_is_inflated_up_to_the_limit_and_no_further() {
    let mut bomb = Vec::new();
    Deflater::new(true, 15).unwrap().message(&vec![0; 64 << 20], &mut bomb);
    assert!(bomb.len() < 400_000, "{}", bomb.len());
    let mut inflater = Inflater::new(true, LIMIT);
    let mut out = 0;
    let result = inflater.push(&bomb, |plain| out += plain.len() as u64);
    assert_eq!(result, Err(InflateError::TooBig { limit: LIMIT }));
    assert_eq!(out, LIMIT);
    assert_eq!(inflater.push(&bomb, |_| panic!("nothing more")), Err(InflateError::TooBig { limit: LIMIT }));
    assert_eq!(inflater.finish(), Err(InflateError::TooBig { limit: LIMIT }));
    assert_eq!(
        inflater.push(&hex("f2 00 11 00 00"), |_| {}),
        Err(InflateError::Lost),
        "what it refers to is not known"
    );
    assert_eq!(inflater.window(), None);
}

#[test]
fn without_takeover_a_message_that_fails_harms_no_other() {
    let mut inflater = Inflater::new(false, LIMIT);
    assert_eq!(inflate(&mut inflater, &[&hex("f2 48 07")]), Err(InflateError::Unfinished));
    assert_eq!(inflate(&mut inflater, &[&hex("ff ff ff")]), Err(InflateError::Corrupt { offset: 0 }));
    assert_eq!(inflate(&mut inflater, &[&hex("f2 48 cd c9 c9 07 00")]).unwrap(), b"Hello");
    inflater.push(&hex("f2 48"), |_| {}).unwrap();
    inflater.abandon();
    assert_eq!(inflate(&mut inflater, &[&hex("f2 48 cd c9 c9 07 00")]).unwrap(), b"Hello");
}

#[test]
fn a_message_that_ends_inside_a_block_is_no_message() {
    let mut message = Vec::new();
    let text: Vec<u8> = (0..3000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 25) as u8).collect();
    Deflater::new(true, 15).unwrap().message(&text, &mut message);
    let hello = hex("f2 48 cd c9 c9 07 00");
    let last = hex("f3 48 cd c9 c9 07 00 00");
    for message in [&hello, &last, &message] {
        for end in 0..message.len() {
            for takes_over in [false, true] {
                let cut = inflate(&mut Inflater::new(takes_over, LIMIT), &[&message[..end]]);
                assert_eq!(cut, Err(InflateError::Unfinished), "{end} bytes of {}", message.len());
            }
        }
    }
}

#[test]
fn a_window_of_8_bits_is_declined() {
    assert!(Deflater::new(true, 8).is_none());
    assert!(Deflater::new(true, 9).is_some());
}

#[test]
fn messages_larger_than_the_window_refer_back_only_as_far_as_it_reaches() {
    let message: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    for bits in 9..=15 {
        let mut deflater = Deflater::new(true, bits).unwrap();
        let mut inflater = Inflater::new(true, LIMIT);
        for _ in 0..3 {
            let mut compressed = Vec::new();
            deflater.message(&message, &mut compressed);
            assert_eq!(inflate(&mut inflater, &[&compressed]).unwrap(), message);
        }
    }
}

proptest! {
    #[test]
    fn what_was_deflated_inflates_to_what_it_was(
        takes_over: bool,
        bits in 9_u8..=15,
        messages in vec(vec(prop_oneof![3 => 0_u8..4, 1 => any::<u8>()], 0..3_000), 1..5),
        splits in vec(1_usize..500, 1..4),
    ) {
        let mut deflater = Deflater::new(takes_over, bits).unwrap();
        let mut inflater = Inflater::new(takes_over, LIMIT);
        for message in &messages {
            let mut compressed = vec![0xAA];
            deflater.message(message, &mut compressed);
            let mut pieces = Vec::new();
            let mut rest = &compressed[1..];
            for &split in splits.iter().cycle() {
                let (piece, after) = rest.split_at(split.min(rest.len()));
                pieces.push(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&inflate(&mut inflater, &pieces).unwrap(), message);
        }
    }

    #[test]
    fn no_bytes_make_the_inflater_panic_or_pass_its_limit(
        takes_over: bool,
        messages in vec(vec(any::<u8>(), 0..300), 1..6),
    ) {
        let mut inflater = Inflater::new(takes_over, 1000);
        for message in &messages {
            let mut out = 0;
            let _ = inflater.push(message, |plain| out += plain.len());
            let _ = inflater.finish();
            prop_assert!(out <= 1000);
        }
    }
}
