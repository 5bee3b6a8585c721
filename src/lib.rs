#![forbid(unsafe_code)]
//! wsinspect
pub mod lint;
pub mod wire;
