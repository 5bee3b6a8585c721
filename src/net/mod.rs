//! Sockets: the only place that has any. Every byte that crosses one is handed to the recorder as it was.

mod absolute;
mod borders;
mod connect;
mod dial;
mod feed;
mod injection;
mod leg;
mod listen;
mod only;
mod pacing;
mod proxy;
mod pump;
mod registry;
mod relay;
mod serve;
mod server;
mod session;
mod socket;
mod tls;
mod tunnel;
mod upstream;
mod upstream_proxy;

pub use connect::{Client, ConnectOptions, Failure, connect};
pub use dial::{DialError, Dialler};
pub use listen::{ListenError, listen};
pub use only::HostPattern;
pub use proxy::{ProxyOptions, ProxyTls, proxy};
pub use relay::{RelayOptions, relay};
pub use serve::{ServeOptions, serve};
pub use server::Server;
pub use tls::{ClientTls, ClientTlsOptions, KeyLog, LocalAuthority, ServerTls, ServerTlsOptions, TlsSetupError};
pub use upstream::{Rewriting, Upstream};
pub use upstream_proxy::UpstreamProxy;
