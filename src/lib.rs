#![forbid(unsafe_code)]
//! wsinspect
pub mod endpoint;
pub mod lint;
pub mod wire;
