//! The server: an endpoint on each connection.

use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;

use super::server::{self, Entrance, Server};
use super::session;
use super::tls::ServerTls;
use crate::capture::{Clock, Recorder, Vantage};
use crate::control::Commands;
use crate::endpoint::Config;
use crate::wire::Side;

/// What a server is to do.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// How each connection's endpoint behaves.
    pub endpoint: Arc<Config>,
    /// How clients speak TLS, if they may.
    pub tls: Option<ServerTls>,
    /// Tells the time of what is recorded.
    pub clock: Clock,
    /// The most connections at once.
    pub max_connections: usize,
}

/// Accepts connections on `listener` until it is stopped. What crosses them goes to `recorder`; what the user asks for
/// comes from `commands`.
pub fn serve(listener: TcpListener, options: ServeOptions, recorder: Recorder, commands: Commands) -> Server {
    let ServeOptions { endpoint, tls, clock, max_connections } = options;
    let vantage = Vantage::End(Side::Server);
    let entrance = Entrance { listener, tls, max_connections, vantage, clock, recorder };
    server::start(entrance, commands, move |id, socket, inbox, shared| {
        session::run(id, socket, inbox, shared, endpoint.clone(), Instant::now())
    })
}
