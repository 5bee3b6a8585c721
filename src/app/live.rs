//! The commands that show live traffic: what each needs, is called, and starts.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::tls;
use crate::capture::{Clock, Recorder};
use crate::cli::{self, Common};
use crate::control::Commands;
use crate::endpoint::{self, Page};
use crate::lint::Limits;
use crate::net::{
    self, ClientTls, Dialler, KeyLog, ProxyOptions, ProxyTls, RelayOptions, Rewriting, ServeOptions, Server, ServerTls,
    TlsSetupError, UpstreamProxy,
};
use crate::wire::DeflateAgreement;

/// A command that shows live traffic.
pub(super) enum Live {
    Serve(cli::Serve),
    Relay(cli::Relay),
    Proxy(cli::Proxy),
}

impl Live {
    pub(super) const fn common(&self) -> &Common {
        match self {
            Self::Serve(serve) => &serve.common,
            Self::Relay(relay) => &relay.common,
            Self::Proxy(proxy) => &proxy.common,
        }
    }

    pub(super) const fn listen(&self) -> &cli::ListenAddress {
        match self {
            Self::Serve(serve) => &serve.listen,
            Self::Relay(relay) => &relay.listen,
            Self::Proxy(proxy) => &proxy.listen,
        }
    }

    /// What runs, for the top of the screen.
    pub(super) fn title(&self, address: SocketAddr) -> String {
        match self {
            Self::Serve(serve) => format!("serve {}{address}", if serve.tls.tls { "wss://" } else { "" }),
            Self::Relay(relay) => {
                let arrow = if relay.common.show.look.ascii { "<->" } else { "⇄" };
                let from = if relay.tls.tls { "wss://" } else { "" };
                let trust = if relay.trust.insecure { "unverified " } else { "" };
                let through = through(relay.upstream_proxy.as_ref());
                format!("relay {from}{address} {arrow} {trust}{}{through}", relay.upstream)
            }
            Self::Proxy(proxy) => {
                let trust = if proxy.trust.insecure { " (not verifying)" } else { "" };
                let from = if proxy.tls.tls { "https://" } else { "" };
                format!("proxy {from}{address}{trust}{}", through(proxy.upstream_proxy.as_ref()))
            }
        }
    }

    /// What is said on standard error where there is no screen.
    pub(super) fn announcement(&self, address: SocketAddr) -> String {
        match self {
            Self::Serve(serve) => format!("listening on {}", listening(address, &serve.tls)),
            Self::Relay(relay) => {
                let trust = if relay.trust.insecure { ", whose certificate is not verified" } else { "" };
                let through = through(relay.upstream_proxy.as_ref());
                format!(
                    "listening on {}, relaying to {}{through}{trust}",
                    listening(address, &relay.tls),
                    relay.upstream
                )
            }
            Self::Proxy(proxy) => {
                let trust = if proxy.trust.insecure { "; servers' certificates are not verified" } else { "" };
                let through = through(proxy.upstream_proxy.as_ref());
                let by_tls = if proxy.tls.tls { format!(", by TLS https://{address}") } else { String::new() };
                format!("listening on http://{address}, a proxy{through}: HTTP_PROXY=http://{address}{by_tls}{trust}")
            }
        }
    }

    /// What TLS needs on either leg.
    pub(super) fn tls(&self) -> Result<Tls, TlsSetupError> {
        let is_used = match self {
            Self::Serve(serve) => serve.tls.tls,
            Self::Relay(relay) => relay.tls.tls || relay.upstream.tls,
            Self::Proxy(_) => true,
        };
        let key_log = if is_used { KeyLog::from_environment(self.common().record_secrets)? } else { KeyLog::default() };
        let key_log = Arc::new(key_log);
        Ok(match self {
            Self::Serve(serve) => Tls { clients: tls::listen(&serve.tls, &key_log)?, ..Tls::default() },
            Self::Relay(relay) => Tls {
                clients: tls::listen(&relay.tls, &key_log)?,
                server: relay.upstream.tls.then(|| tls::trust(&relay.trust, key_log)).transpose()?,
                ..Tls::default()
            },
            Self::Proxy(proxy) => Tls {
                clients: tls::listen(&proxy.tls, &key_log)?,
                tunnels: tls::open(&proxy.trust, key_log)?,
                ..Tls::default()
            },
        })
    }

    pub(super) fn start(
        &self,
        listener: TcpListener,
        tls: Tls,
        recorder: Recorder,
        commands: Commands,
        clock: Clock,
    ) -> Server {
        let max_connections = self.common().max_connections as usize;
        match self {
            Self::Serve(serve) => {
                let endpoint = Arc::new(endpoint_config(serve, serve.common.show.limits()));
                let options = ServeOptions { endpoint, tls: tls.clients, clock, max_connections };
                net::serve(listener, options, recorder, commands)
            }
            Self::Relay(relay) => {
                let options = RelayOptions {
                    upstream: relay.upstream.clone(),
                    rewriting: Rewriting { host: !relay.keep_host, origin: relay.rewrite_origin },
                    dialler: Dialler { proxy: relay.upstream_proxy.clone() },
                    tls: tls.clients,
                    upstream_tls: tls.server,
                    clock,
                    max_connections,
                };
                net::relay(listener, options, recorder, commands)
            }
            Self::Proxy(proxy) => {
                let dialler = Dialler { proxy: proxy.upstream_proxy.clone() };
                let options = ProxyOptions {
                    only: proxy.only.clone(),
                    dialler,
                    tls: tls.clients,
                    tunnels: tls.tunnels,
                    clock,
                    max_connections,
                };
                net::proxy(listener, options, recorder, commands)
            }
        }
    }
}

/// How clients are spoken to by TLS, how the server is, and how tunnels are opened.
#[derive(Default)]
pub(super) struct Tls {
    clients: Option<ServerTls>,
    server: Option<ClientTls>,
    tunnels: ProxyTls,
}

/// What clients connect to.
fn listening(address: SocketAddr, tls: &cli::ListenTls) -> String {
    if tls.tls { format!("ws://{address} and wss://{address}") } else { format!("ws://{address}") }
}

/// How connections to servers are made, if not straight.
fn through(proxy: Option<&UpstreamProxy>) -> String {
    proxy.map_or_else(String::new, |proxy| format!(" through {proxy}"))
}

fn endpoint_config(serve: &cli::Serve, limits: Limits) -> endpoint::Config {
    endpoint::Config {
        limits,
        reply: match serve.reply {
            cli::Reply::Echo => endpoint::Reply::Echo,
            cli::Reply::Broadcast => endpoint::Reply::HandOver,
            cli::Reply::None => endpoint::Reply::Nothing,
        },
        subprotocols: serve.subprotocol.clone(),
        origins: serve.origin.clone(),
        deflate: (serve.deflate == cli::Switch::On).then_some(DeflateAgreement {
            server_no_context_takeover: serve.server_no_context_takeover,
            client_no_context_takeover: serve.client_no_context_takeover,
            server_max_window_bits: serve.server_max_window_bits,
            client_max_window_bits: serve.client_max_window_bits,
        }),
        headers: serve.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        pages: pages(),
        ping_interval: serve.ping_interval,
        auto_pong: !serve.no_auto_pong,
        tolerant: serve.tolerant,
        ..endpoint::Config::default()
    }
}

/// The test page for browsers: it loads nothing from elsewhere, and connects only to WebSockets.
fn pages() -> Vec<Page> {
    let page = |path, kind: &str, body: &'static str| Page {
        path,
        body: body.as_bytes().into(),
        headers: [
            ("Content-Type", kind),
            ("Content-Security-Policy", PAGE_POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    };
    vec![
        page("/", "text/html; charset=utf-8", include_str!("../../assets/page.html")),
        page("/page.css", "text/css; charset=utf-8", include_str!("../../assets/page.css")),
        page("/page.js", "text/javascript; charset=utf-8", include_str!("../../assets/page.js")),
    ]
}

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
