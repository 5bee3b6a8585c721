//! The linter finds the same in any bytes, however they are cut, and says it in a sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsinspect::lint::{Finding, Limits, Linter};
use wsinspect::wire::{Decoder, DeflateAgreement, Piece, Rsv, Side, mask};

fuzz_target!(|input: (bool, u8, u8, &[u8])| {
    let (by_client, rsv, size, bytes) = input;
    let side = if by_client { Side::Client } else { Side::Server };
    let found = judge(side, rsv, [bytes]);
    assert_eq!(judge(side, rsv, bytes.chunks(usize::from(size) + 1)), found);
    assert!(found.iter().all(|finding| finding.sees().ends_with('.')));
});

fn judge<'a>(side: Side, rsv: u8, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Finding> {
    let (mut decoder, mut linter) = (Decoder::default(), Linter::new(side, Limits::default()));
    linter.allow_rsv(Rsv::new(rsv));
    if rsv & 8 != 0 {
        linter.expect_deflate(DeflateAgreement { server_no_context_takeover: rsv & 16 != 0, ..Default::default() });
    }
    let (mut key, mut found) = (None, Vec::new());
    for mut chunk in chunks {
        while let Some(piece) = decoder.next(&mut chunk) {
            match piece {
                Piece::Header(header) => {
                    key = header.masking_key;
                    linter.header(&header, &mut found);
                }
                Piece::Payload { bytes, offset } => {
                    let mut plain = bytes.to_vec();
                    mask(&mut plain, key.unwrap_or_default(), offset);
                    linter.payload(&plain, &mut found, |_| {});
                }
                Piece::End => linter.end(&mut found),
                Piece::Lost(_) => {}
            }
        }
    }
    found
}
