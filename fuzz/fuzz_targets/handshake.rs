//! Any bytes can be read as a head, cut or whole, and what is wrong with it lies inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsinspect::lint::{check_request, check_response};
use wsinspect::wire::handshake::{Head, HeadReader, Opening, Request, Response};

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = read([bytes]);
    assert_eq!(read(bytes.chunks(usize::from(size) + 1)), whole);
    let head = Head::parse(bytes.to_vec());
    let request = Request::read(head.clone());
    let opening = request.opening().unwrap_or(Opening {
        target: String::new(),
        key: String::new(),
        origin: None,
        subprotocols: Vec::new(),
        extensions: Vec::new(),
    });
    for finding in check_request(&request).into_iter().chain(check_response(&Response::read(head), &opening)) {
        assert!(finding.at.start <= finding.at.end && finding.at.end <= bytes.len() as u64);
        assert!(finding.sees().ends_with('.'));
    }
});

/// The first head, or nothing if it never ends or is too long.
fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Option<Head> {
    let mut reader = HeadReader::default();
    chunks.into_iter().find_map(|mut chunk| reader.push(&mut chunk).transpose()).and_then(Result::ok)
}
