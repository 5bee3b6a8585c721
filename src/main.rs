#![forbid(unsafe_code)]
//! wsinspect
fn main() {}
