//! What bytes alone can't say, as comments of packets: other programs show them, and we read them back.

use std::fmt;

use super::direction::{Before, Unfinished};
use super::event::{Cause, Delay, Origin, SentOn, Vantage};
use super::tls::Tls;
use super::tunnel::{Tunnel, Unopened};
use crate::wire::{Opcode, Side};

/// One comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// On its first packet: a connection begins.
    Connection { number: u32, vantage: Vantage },
    /// On a packet with a frame's first byte: who made the frame.
    Origin {
        origin: Origin,
        /// Where in the packet's payload the frame begins.
        offset: usize,
    },
    /// After the opening handshake: what of this side's stream is gone before the next packet.
    Gone { from: Side, before: Before },
    /// On a packet of its own: what follows crosses a tunnel.
    Tunnel(Tunnel),
    /// On a packet of its own: what crosses the tunnel is not looked into, and in no packet.
    Unopened(Unopened),
    /// On a packet of its own: a request is sent on.
    SentOn(SentOn),
    /// On a packet of its own: a request can't be sent on, and why.
    NotSentOn(String),
    /// On a packet of its own: TLS stands with that peer, and what was agreed on, in JSON.
    Tls { with: Side, tls: Tls },
    /// On a packet of its own: nothing came of the client's TLS handshake, and why.
    NoTls(String),
    /// On a packet of its own: TLS ended without an end of its own.
    Truncated { from: Side },
    /// On the next packet that there is: how long bytes have stayed with us.
    Delayed { from: Side, delay: Delay },
    /// On its last packet: the connection is over.
    Closed { cause: Option<Cause> },
}

const MARK: &str = "wsinspect: ";
const LATE: &str = "begun before the capture";
/// Before the colon of a header there is no blank, so that this begins none.
const REMOVED: &str = "without ";
const ARCHIVE: &str = "frames made of archived messages";

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        match self {
            Self::Connection { number, vantage } => {
                write!(f, "connection {number}")?;
                match vantage {
                    Vantage::Beside => Ok(()),
                    Vantage::End(side) => write!(f, ", {side} is our endpoint"),
                    Vantage::Late => write!(f, ", {LATE}"),
                    Vantage::Archive => write!(f, ", {ARCHIVE}"),
                }
            }
            Self::Origin { origin, offset } => write!(f, "origin={} offset={offset}", origin.name()),
            Self::Gone { from, before: Before { frames, bytes, chunks, message } } => {
                write!(f, "gone from={from} frames={frames} bytes={bytes} chunks={chunks} message=")?;
                match message {
                    Unfinished::No => f.write_str("none"),
                    Unfinished::Unknown => f.write_str("unknown"),
                    Unfinished::Message(opcode, compressed) => {
                        write!(f, "{}{}", opcode.value(), if *compressed { " compressed" } else { "" })
                    }
                }
            }
            Self::Tunnel(Tunnel { target, from, to, request }) => {
                write!(f, "tunnel from={from} to={to} target={target}")?;
                // as below
                request.iter().try_for_each(|line| write!(f, "\n{line}"))
            }
            Self::Unopened(Unopened { why, bytes: [client, server] }) => {
                write!(f, "not opened client={client} server={server} why={why}")
            }
            Self::SentOn(SentOn { from, to, lines, removed }) => {
                write!(f, "sent on from={from} to={to}")?;
                // no line of a head has a line break in it
                lines.iter().try_for_each(|line| write!(f, "\n{line}"))?;
                removed.iter().try_for_each(|line| write!(f, "\n{REMOVED}{line}"))
            }
            Self::NotSentOn(why) => write!(f, "not sent on: {why}"),
            Self::Tls { with, tls } => {
                // strings and numbers alone can't fail to be written
                write!(f, "TLS with={with} {}", serde_json::to_string(tls).unwrap_or_default())
            }
            Self::NoTls(why) => write!(f, "no TLS: {why}"),
            Self::Truncated { from } => write!(f, "TLS truncated from={from}"),
            Self::Delayed { from, delay: Delay { reads, total, most } } => {
                write!(f, "delay from={from} reads={reads} total={total}ns most={most}ns")
            }
            Self::Closed { cause: None } => f.write_str("closed"),
            Self::Closed { cause: Some(cause) } => write!(f, "closed, cause={}", cause.name()),
        }
    }
}

impl Remark {
    /// Reads a comment back; `None` if it is none of these.
    pub(super) fn parse(comment: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(comment).ok()?.strip_prefix(MARK)?;
        if let Some(rest) = text.strip_prefix("connection ") {
            let (number, rest) = rest.split_once(", ").unwrap_or((rest, ""));
            let ours = |side: &Side| rest.strip_suffix(" is our endpoint") == Some(side.name());
            let vantage = match Side::BOTH.into_iter().find(ours) {
                Some(side) => Vantage::End(side),
                None if rest == LATE => Vantage::Late,
                None if rest == ARCHIVE => Vantage::Archive,
                None => Vantage::Beside,
            };
            return Some(Self::Connection { number: number.parse().ok()?, vantage });
        }
        if let Some(rest) = text.strip_prefix("origin=") {
            let (origin, offset) = rest.split_once(" offset=")?;
            return Some(Self::Origin { origin: Origin::from_name(origin)?, offset: offset.parse().ok()? });
        }
        if let Some(rest) = text.strip_prefix("gone from=") {
            let (from, rest) = rest.split_once(" frames=")?;
            let (frames, rest) = rest.split_once(" bytes=")?;
            let (bytes, rest) = rest.split_once(" chunks=")?;
            let (chunks, message) = rest.split_once(" message=")?;
            let message = match (message, message.strip_suffix(" compressed")) {
                ("none", _) => Unfinished::No,
                ("unknown", _) => Unfinished::Unknown,
                (_, Some(opcode)) => Unfinished::Message(Opcode::new(opcode.parse().ok()?), true),
                (opcode, None) => Unfinished::Message(Opcode::new(opcode.parse().ok()?), false),
            };
            let from = Side::BOTH.into_iter().find(|side| side.name() == from)?;
            let (frames, bytes, chunks) = (frames.parse().ok()?, bytes.parse().ok()?, chunks.parse().ok()?);
            return Some(Self::Gone { from, before: Before { frames, bytes, chunks, message } });
        }
        if let Some(rest) = text.strip_prefix("tunnel from=") {
            let mut lines = rest.split('\n');
            let (from, rest) = lines.next()?.split_once(" to=")?;
            let (to, target) = rest.split_once(" target=")?;
            let (from, to, target) = (from.parse().ok()?, to.parse().ok()?, target.to_owned());
            return Some(Self::Tunnel(Tunnel { target, from, to, request: lines.map(str::to_owned).collect() }));
        }
        if let Some(rest) = text.strip_prefix("not opened client=") {
            let (client, rest) = rest.split_once(" server=")?;
            let (server, why) = rest.split_once(" why=")?;
            let bytes = [client.parse().ok()?, server.parse().ok()?];
            return Some(Self::Unopened(Unopened { why: why.into(), bytes }));
        }
        if let Some(rest) = text.strip_prefix("sent on from=") {
            let mut lines = rest.split('\n');
            let (from, to) = lines.next()?.split_once(" to=")?;
            let (from, to) = (from.parse().ok()?, to.parse().ok()?);
            let (removed, lines): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with(REMOVED));
            let lines = lines.into_iter().map(str::to_owned).collect();
            let removed = removed.into_iter().map(|line| line[REMOVED.len()..].to_owned()).collect();
            return Some(Self::SentOn(SentOn { from, to, lines, removed }));
        }
        if let Some(why) = text.strip_prefix("not sent on: ") {
            return Some(Self::NotSentOn(why.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("TLS with=") {
            let (with, tls) = rest.split_once(' ')?;
            let with = Side::BOTH.into_iter().find(|side| side.name() == with)?;
            return Some(Self::Tls { with, tls: serde_json::from_str(tls).ok()? });
        }
        if let Some(why) = text.strip_prefix("no TLS: ") {
            return Some(Self::NoTls(why.to_owned()));
        }
        if let Some(from) = text.strip_prefix("TLS truncated from=") {
            return Some(Self::Truncated { from: Side::BOTH.into_iter().find(|side| side.name() == from)? });
        }
        if let Some(rest) = text.strip_prefix("delay from=") {
            let (from, rest) = rest.split_once(" reads=")?;
            let (reads, rest) = rest.split_once(" total=")?;
            let (total, most) = rest.strip_suffix("ns")?.split_once("ns most=")?;
            let from = Side::BOTH.into_iter().find(|side| side.name() == from)?;
            let delay = Delay { reads: reads.parse().ok()?, total: total.parse().ok()?, most: most.parse().ok()? };
            return Some(Self::Delayed { from, delay });
        }
        let rest = text.strip_prefix("closed")?;
        Some(Self::Closed { cause: rest.strip_prefix(", cause=").and_then(Cause::from_name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Certificate;

    #[test]
    fn what_is_written_is_read_back() {
        let connection = |vantage| Remark::Connection { number: 17, vantage };
        let gone = |message| Remark::Gone {
            from: Side::Server,
            before: Before { frames: u64::MAX, bytes: 1 << 40, chunks: 3, message },
        };
        let sent_on = |lines: &[&str], removed: &[&str]| SentOn {
            from: "127.0.0.1:50000".parse().unwrap(),
            to: "[::1]:9003".parse().unwrap(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            removed: removed.iter().map(|&line| line.to_owned()).collect(),
        };
        let tunnel = |request: &[&str]| Tunnel {
            target: "example.com:443".to_owned(),
            from: "127.0.0.1:50000".parse().unwrap(),
            to: "[::1]:443".parse().unwrap(),
            request: request.iter().map(|&line| line.to_owned()).collect(),
        };
        let tls = Tls {
            version: "TLSv1.3".to_owned(),
            alpn: Some("http/1.1".to_owned()),
            chain: vec![Certificate { subject: "CN=\"a\"\n".to_owned(), not_after: -1, ..Certificate::default() }],
            ..Tls::default()
        };
        for remark in [
            Remark::Tunnel(tunnel(&[])),
            Remark::Tunnel(tunnel(&["CONNECT example.com:443 HTTP/1.1", "Host: example.com:443"])),
            Remark::Unopened(Unopened { why: "it is TLS".into(), bytes: [0, u64::MAX] }),
            connection(Vantage::Beside),
            connection(Vantage::Late),
            connection(Vantage::Archive),
            connection(Vantage::End(Side::Server)),
            connection(Vantage::End(Side::Client)),
            Remark::Origin { origin: Origin::User, offset: 3 },
            Remark::Origin { origin: Origin::Endpoint, offset: 64_999 },
            gone(Unfinished::No),
            gone(Unfinished::Unknown),
            gone(Unfinished::Message(Opcode::TEXT, false)),
            gone(Unfinished::Message(Opcode::BINARY, true)),
            Remark::SentOn(sent_on(&[], &[])),
            Remark::SentOn(sent_on(&[], &["Proxy-Connection: close"])),
            Remark::SentOn(sent_on(&["GET / HTTP/1.1", "Host:  a \u{fffd}"], &["A: b", "C: d"])),
            Remark::NotSentOn("Nothing listens there.".to_owned()),
            Remark::Tls { with: Side::Server, tls: Tls::default() },
            Remark::Tls { with: Side::Client, tls },
            Remark::NoTls("The client does not trust it.".to_owned()),
            Remark::Truncated { from: Side::Client },
            Remark::Delayed { from: Side::Server, delay: Delay { reads: 1, total: 20, most: 300 } },
            Remark::Closed { cause: None },
            Remark::Closed { cause: Some(Cause::PingUnanswered) },
            Remark::Closed { cause: Some(Cause::SocketFailed) },
        ] {
            assert_eq!(Remark::parse(remark.to_string().as_bytes()), Some(remark));
        }
        assert_eq!(Remark::parse(b"a mark of the user's"), None);
        let written = connection(Vantage::End(Side::Server)).to_string();
        assert_eq!(written, "wsinspect: connection 17, server is our endpoint");
    }
}
