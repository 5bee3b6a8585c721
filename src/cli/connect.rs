//! `wsinspect connect`

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::{parse_client_window, parse_duration, parse_server_window};
use super::{Common, HeaderArgument, ServerTrust, Switch, Usage, check_trust};
use crate::net::{Upstream, UpstreamProxy};
use crate::wire::{DeflateOffer, WindowOffer};

/// `wsinspect connect`
#[derive(Debug, Args)]
#[command(
    // one connection at a time is made here
    mut_arg("max_connections", |argument| argument.hide(true).conflicts_with("url")),
    mut_arg("headless", |argument| argument.help(
        "No screen: send the lines of standard input as messages and print those that come, as when standard input or \
         output is no terminal"
    )),
    mut_arg("format", |argument| argument.help(
        "Headless: print frames, a line each for people, or JSON Lines, in place of the messages that come"
    )),
)]
pub struct Connect {
    /// The server: ws://localhost:9002/chat, or wss://example.com/chat
    #[arg(value_name = "URL")]
    pub url: ServerUrl,

    /// A header to add to the request, or to put in the place of one of ours (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<HeaderArgument>,

    /// A subprotocol to offer, the best first (repeatable)
    #[arg(long, value_name = "NAME", value_parser = parse_token)]
    pub subprotocol: Vec<String>,

    /// The origin to claim, such as http://localhost:8080
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    pub origin: Option<String>,

    /// Name and password to send in the request (Authorization: Basic)
    #[arg(long, value_name = "USER:PASS")]
    pub basic_auth: Option<BasicAuth>,

    /// What to answer a message with: itself, or nothing
    #[arg(long, value_enum, default_value_t = ClientReply::None)]
    pub reply: ClientReply,

    /// Headless: send lines as binary messages, and print binary messages as they came, without line breaks
    #[arg(long)]
    pub binary: bool,

    /// Headless: send all of standard input as one message, line breaks and all
    #[arg(long)]
    pub one_message: bool,

    /// Headless: when standard input has ended, close after the server has been quiet for that long: 30, 500ms
    #[arg(long, value_name = "SECS", value_parser = parse_duration, default_value = "500ms")]
    pub linger: Duration,

    /// Headless: don't close when standard input has ended; stay until the server closes
    #[arg(long, conflicts_with = "linger")]
    pub no_close: bool,

    /// Connect again, and again, after a failure that may pass: no server, one that is too busy or goes, a broken
    /// connection; waits half a second at first and half a minute at most
    #[arg(long)]
    pub retry: bool,

    /// How long a connection may take to come about, and again the answer to the opening handshake: 30, 500ms
    #[arg(long, value_name = "SECS", value_parser = parse_duration, default_value = "10")]
    pub connect_timeout: Duration,

    /// Whether to offer permessage-deflate (RFC 7692), and to compress what is sent if the server agrees
    #[arg(long, value_enum, value_name = "on|off", default_value_t = Switch::On)]
    pub deflate: Switch,

    /// Ask the server to compress each message by itself
    #[arg(long)]
    pub server_no_context_takeover: bool,

    /// Compress each message that is sent by itself, which takes less memory
    #[arg(long)]
    pub client_no_context_takeover: bool,

    /// Ask the server to look back no further than 2 to this power of bytes: 8 to 15
    #[arg(long, value_name = "BITS", value_parser = parse_client_window)]
    pub server_max_window_bits: Option<u8>,

    /// Look back no further than that when compressing: 9 to 15
    #[arg(long, value_name = "BITS", value_parser = parse_server_window)]
    pub client_max_window_bits: Option<u8>,

    /// Send a ping this often, and give the server up whose pong has not come by the next one: 30, 500ms, 20s
    #[arg(long, value_name = "SECS", value_parser = parse_duration)]
    pub ping_interval: Option<Duration>,

    /// Answer no ping by itself
    #[arg(long)]
    pub no_auto_pong: bool,

    /// Show broken rules, but enforce none
    #[arg(long)]
    pub tolerant: bool,

    /// Connect through a proxy: http://HOST:PORT or socks5://HOST:PORT, with
    /// USER:PASSWORD@ before the host if it wants them
    #[arg(long, value_name = "URL")]
    pub upstream_proxy: Option<UpstreamProxy>,

    /// Whom we trust.
    #[command(flatten)]
    pub trust: ServerTrust,

    /// Options of every command that shows live traffic.
    #[command(flatten)]
    pub common: Common,
}

/// What a message is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientReply {
    /// The same message.
    Echo,
    /// Nothing.
    None,
}

impl Connect {
    /// The compression that is offered.
    pub fn deflate_offer(&self) -> Option<DeflateOffer> {
        (self.deflate == Switch::On).then_some(DeflateOffer {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            // any window will do: what browsers say
            client_max_window_bits: Some(self.client_max_window_bits.map_or(WindowOffer::Any, WindowOffer::UpTo)),
        })
    }

    /// Whom to trust makes no sense without TLS, and parameters of compression make none without compression.
    pub(super) fn check(&self) -> Result<(), Usage> {
        check_trust(&self.trust, &self.url.0, "connect")?;
        super::check_deflate(
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

/// A server to connect to, with its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(pub Upstream);

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a URL such as ws://localhost:9002/chat, found \"{text}\"");
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        if !["ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(expected());
        }
        if rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@')) {
            return Err("a name and a password are not taken from a URL; --basic-auth USER:PASS sends them".to_owned());
        }
        if text.contains('#') {
            return Err(format!("the URL of a WebSocket has no fragment (RFC 6455 3), but \"{text}\" has a #"));
        }
        text.parse().map(Self).map_err(|_| expected())
    }
}

/// `USER:PASS`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth(pub String);

impl FromStr for BasicAuth {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // what was given is not repeated: it is secret
        let is_fine = text.contains(':') && !text.chars().any(char::is_control);
        if is_fine { Ok(Self(text.to_owned())) } else { Err("expected a name, a colon and a password") }
    }
}

/// A subprotocol's name is a token (RFC 6455 4.1).
fn parse_token(text: &str) -> Result<String, String> {
    let is_token = crate::wire::parse_tokens(text).is_ok_and(|tokens| tokens == [text]);
    is_token
        .then(|| text.to_owned())
        .ok_or_else(|| format!("expected a name without blanks or commas, found \"{text}\""))
}

/// Anything that can stand in a header.
fn parse_origin(text: &str) -> Result<String, String> {
    let is_line = !text.is_empty() && !text.chars().any(char::is_control);
    is_line.then(|| text.to_owned()).ok_or_else(|| "expected an origin such as http://localhost:8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_given_by_a_url_of_a_websocket() {
        let ServerUrl(server) = "ws://[::1]:9002/chat?room=1".parse().unwrap();
        assert_eq!((server.host.as_str(), server.port, server.path.as_deref()), ("::1", 9002, Some("/chat?room=1")));
        for (text, says) in [
            ("localhost:9002", "expected a URL such as ws://localhost:9002/chat"),
            ("http://localhost", "expected a URL such as ws://"),
            ("ws://", "expected a URL"),
            ("ws://a b", "expected a URL"),
            ("ws://me:secret@localhost", "--basic-auth USER:PASS"),
            ("ws://localhost/#top", "has no fragment"),
        ] {
            let error = text.parse::<ServerUrl>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn nothing_that_goes_into_the_request_can_smuggle_in_a_line() {
        assert!("a:b:c".parse::<BasicAuth>().is_ok());
        assert!("a".parse::<BasicAuth>().is_err());
        assert!("a:b\r\nX: y".parse::<BasicAuth>().is_err());
        assert!(parse_token("v2.chat").is_ok());
        for bad in ["", "a b", "a,b", "a\r\nX: y"] {
            assert!(parse_token(bad).is_err(), "{bad:?}");
        }
        assert!(parse_origin("http://a\r\nX: y").is_err() && parse_origin("null").is_ok());
    }
}
