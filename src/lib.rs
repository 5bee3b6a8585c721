#![forbid(unsafe_code)]
//! wsinspect
pub mod anatomy;
#[cfg(feature = "program")]
pub mod app;
#[cfg(feature = "program")]
pub mod capture;
#[cfg(feature = "program")]
pub mod cli;
#[cfg(feature = "program")]
pub mod control;
pub mod endpoint;
pub mod formats;
#[cfg(feature = "program")]
pub mod headless;
pub mod lint;
#[cfg(feature = "program")]
pub mod net;
#[cfg(feature = "program")]
pub mod tui;
pub mod wire;
