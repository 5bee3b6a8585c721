//! The commands that listen: `wsinspect serve`, `relay` and `proxy`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::{parse_client_window, parse_duration, parse_server_window};
use super::{Common, HeaderArgument, ListenAddress, ServerTrust, Switch, Usage, check_deflate};
use crate::net::{HostPattern, Upstream, UpstreamProxy};

/// `wsinspect serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen: a port, or host and port; 127.0.0.1 unless a host is given; port 0 takes a free one
    #[arg(value_name = "[HOST:]PORT")]
    pub listen: ListenAddress,

    /// What to answer a message with: itself; itself to every open connection, the sender's too; nothing
    #[arg(long, value_enum, default_value_t = Reply::Echo)]
    pub reply: Reply,

    /// A subprotocol to agree to (repeatable); of those that a client offers, its first that is known is chosen
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Vec<String>,

    /// An origin that browsers may come from, such as http://localhost:8080 (repeatable); any unless given
    #[arg(long, value_name = "ORIGIN")]
    pub origin: Vec<String>,

    /// Whether to agree to permessage-deflate (RFC 7692) where a client offers it, and to compress what is sent then
    #[arg(long, value_enum, value_name = "on|off", default_value_t = Switch::On)]
    pub deflate: Switch,

    /// Compress each message that is sent by itself, which takes less memory
    #[arg(long)]
    pub server_no_context_takeover: bool,

    /// Have clients compress each message by itself
    #[arg(long)]
    pub client_no_context_takeover: bool,

    /// Look back no further than 2 to this power of bytes when compressing: 9 to 15
    #[arg(long, value_name = "BITS", value_parser = parse_server_window)]
    pub server_max_window_bits: Option<u8>,

    /// Have clients that offer it look back no further than that: 8 to 15
    #[arg(long, value_name = "BITS", value_parser = parse_client_window)]
    pub client_max_window_bits: Option<u8>,

    /// A header to add to the response of the opening handshake (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<HeaderArgument>,

    /// Send a ping this often, and give a peer up whose pong has not come by the next one: 30, 500ms, 20s
    #[arg(long, value_name = "SECS", value_parser = parse_duration)]
    pub ping_interval: Option<Duration>,

    /// Answer no ping by itself
    #[arg(long)]
    pub no_auto_pong: bool,

    /// Show broken rules, but enforce none
    #[arg(long)]
    pub tolerant: bool,

    /// How clients are spoken to.
    #[command(flatten)]
    pub tls: ListenTls,

    /// Options of every command that shows live traffic.
    #[command(flatten)]
    pub common: Common,
}

/// How a listener speaks TLS.
#[derive(Debug, Args)]
pub struct ListenTls {
    /// Take TLS too, on the same port; with a certificate of the local authority, see wsinspect ca
    #[arg(long)]
    pub tls: bool,

    /// The certificate to answer with, and those that vouch for it (PEM)
    #[arg(long, value_name = "FILE", requires = "tls", requires = "key")]
    pub cert: Option<PathBuf>,

    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

/// `wsinspect relay`
#[derive(Debug, Args)]
pub struct Relay {
    /// Where to listen: a port, or host and port; 127.0.0.1 unless a host is given; port 0 takes a free one
    #[arg(value_name = "[HOST:]PORT")]
    pub listen: ListenAddress,

    /// The server to relay to: localhost:9003, ws://localhost:9003 or wss://example.com; a path after it replaces the one
    /// asked for
    #[arg(value_name = "UPSTREAM")]
    pub upstream: Upstream,

    /// Leave the Host header as the client sent it; otherwise it becomes the server's
    #[arg(long)]
    pub keep_host: bool,

    /// Make the Origin header the server's too, for a server that checks it
    #[arg(long)]
    pub rewrite_origin: bool,

    /// Connect to the server through a proxy: http://HOST:PORT or socks5://HOST:PORT, with
    /// USER:PASSWORD@ before the host if it wants them
    #[arg(long, value_name = "URL")]
    pub upstream_proxy: Option<UpstreamProxy>,

    /// How clients are spoken to.
    #[command(flatten)]
    pub tls: ListenTls,

    /// Whom we trust.
    #[command(flatten)]
    pub trust: ServerTrust,

    /// Options of every command that shows live traffic.
    #[command(flatten)]
    pub common: Common,
}

/// `wsinspect proxy`
#[derive(Debug, Args)]
pub struct Proxy {
    /// Where to listen: a port, or host and port; 127.0.0.1 unless a host is given; port 0 takes a free one
    #[arg(value_name = "[HOST:]PORT")]
    pub listen: ListenAddress,

    /// Look only at what goes to this host (repeatable): example.com, *.example.com for all below it, each with :PORT or
    /// without; everything else is passed on and counted, and not recorded
    #[arg(long, value_name = "HOST-PATTERN")]
    pub only: Vec<HostPattern>,

    /// Connect to servers through another proxy: http://HOST:PORT or socks5://HOST:PORT, with
    /// USER:PASSWORD@ before the host if it wants them
    #[arg(long, value_name = "URL")]
    pub upstream_proxy: Option<UpstreamProxy>,

    /// TLS of those who listen: to a client that comes by it, we are a proxy with an https:// URL.
    #[command(flatten)]
    pub tls: ListenTls,

    /// Whom we trust.
    #[command(flatten)]
    pub trust: ServerTrust,

    /// Options of every command that shows live traffic.
    #[command(flatten)]
    pub common: Common,
}

/// What the server answers a message with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reply {
    /// The same message.
    Echo,
    /// The same message, to every open connection.
    Broadcast,
    /// Nothing.
    None,
}

impl Serve {
    /// Parameters of compression make no sense without compression.
    pub(super) fn check_deflate(&self) -> Result<(), Usage> {
        check_deflate(
            self.deflate,
            [
                self.server_no_context_takeover,
                self.client_no_context_takeover,
                self.server_max_window_bits.is_some(),
                self.client_max_window_bits.is_some(),
            ],
        )
    }
}
