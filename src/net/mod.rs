//! Sockets: the only place that has any. Every byte that crosses one is handed to the recorder as it was.

mod borders;
mod connect;
mod feed;
mod injection;
mod leg;
mod listen;
mod pacing;
mod pump;
mod reach;
mod registry;
mod relay;
mod serve;
mod server;
mod session;
mod socket;
mod tls;
mod upstream;

pub use connect::{Client, ConnectOptions, Failure, connect};
pub use listen::{ListenError, listen};
pub use relay::{RelayOptions, relay};
pub use serve::{ServeOptions, serve};
pub use server::Server;
pub use tls::{ClientTls, ClientTlsOptions, KeyLog, LocalAuthority, ServerTls, ServerTlsOptions, TlsSetupError};
pub use upstream::{Rewriting, Upstream};
