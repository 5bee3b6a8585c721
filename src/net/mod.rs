//! Sockets: the only place that has any. Every byte that crosses one is handed to the recorder as it was.

mod listen;
mod registry;
mod serve;
mod server;
mod session;

pub use listen::{ListenError, listen};
pub use serve::{ServeOptions, serve};
pub use server::Server;
