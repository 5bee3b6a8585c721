#![forbid(unsafe_code)]
//! wsinspect
pub mod anatomy;
#[cfg(feature = "program")]
pub mod capture;
#[cfg(feature = "program")]
pub mod control;
pub mod endpoint;
pub mod formats;
pub mod lint;
pub mod wire;
