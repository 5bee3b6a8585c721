#![forbid(unsafe_code)]
//! wsinspect
pub mod anatomy;
pub mod lint;
pub mod wire;
