//! The server: an endpoint on each connection.

use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;

use super::server::{self, Server};
use super::session;
use crate::capture::{Clock, Recorder, Vantage};
use crate::control::Commands;
use crate::endpoint::Config;
use crate::wire::Side;

/// What a server is to do.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// How each connection's endpoint behaves.
    pub endpoint: Arc<Config>,
    /// Tells the time of what is recorded.
    pub clock: Clock,
    /// The most connections at once.
    pub max_connections: usize,
}

/// Accepts connections on `listener` until it is stopped. What crosses them goes to `recorder`; what the user asks for
/// comes from `commands`.
pub fn serve(listener: TcpListener, options: ServeOptions, recorder: Recorder, commands: Commands) -> Server {
    let ServeOptions { endpoint, clock, max_connections } = options;
    server::start(
        listener,
        (clock, recorder, Vantage::End(Side::Server)),
        max_connections,
        commands,
        move |id, stream, inbox, shared| session::run(id, stream, inbox, shared, endpoint.clone(), Instant::now()),
    )
}
