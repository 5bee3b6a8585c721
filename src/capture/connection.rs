//! What is known of one connection, and the verdict on how it ended.

use std::net::SocketAddr;
use std::sync::Arc;

use super::deflation::Deflated;
use super::event::{Account, Cause, ConnectionId, Delay, Origin, SentOn, SocketEnd, Timestamp, Vantage};
use super::file::Position;
use super::growing::Growing;
use super::pings::PingLedger;
use super::reaction::Due;
use crate::lint::{Finding, Rule};
use crate::wire::http::Unclear;
use crate::wire::{CloseCode, DeflateAgreement, Side};

/// One connection as far as it has come.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// The end that asks.
    pub client: SocketAddr,
    /// The end that answers.
    pub server: SocketAddr,
    /// From where it is looked at.
    pub vantage: Vantage,
    /// When it was made.
    pub began: Timestamp,
    /// When the opening handshake was answered.
    pub answered: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Where it stands.
    pub state: ConnectionState,
    /// What was asked for, shortened; empty before the request is there.
    pub target: String,
    /// The request's head was too long to be read.
    pub request_too_long: bool,
    /// The status that was answered.
    pub status: Option<u16>,
    /// The first line of the body of an answer that refuses, shortened.
    pub answer: Option<String>,
    /// The subprotocol agreed on.
    pub subprotocol: Option<String>,
    /// The extensions agreed on, as answered.
    pub extensions: Option<String>,
    /// What was agreed on about compression, if that was.
    pub deflate: Option<DeflateAgreement>,
    /// How much each side's compressed messages were.
    pub deflated: [Deflated; 2],
    /// Where the request's and the response's heads stand in the file: position and length.
    pub heads: [Option<(Position, usize)>; 2],
    /// What is wrong with the opening handshake: with the request, with the response.
    pub handshake_findings: [Vec<Finding>; 2],
    /// Frames that each side sent.
    pub frames: [u64; 2],
    /// Bytes that each side sent after the opening handshake.
    pub bytes: [u64; 2],
    /// Bytes that each side sent and that were not seen.
    pub unseen: [u64; 2],
    /// The frame of each side that is still coming in.
    pub growing: [Option<Growing>; 2],
    /// Frames that break a rule.
    pub broken_frames: u64,
    /// The first frame of each side after which the other one has to fail the connection.
    pub due: [Option<Due>; 2],
    /// The pings of each side.
    pub pings: [PingLedger; 2],
    /// Each side's close frame.
    pub closes: [Option<CloseFrame>; 2],
    /// The side whose close frame came first.
    pub closed_first: Option<Side>,
    /// How each side of the TCP connection ended.
    pub socket_ends: [Option<SocketEnd>; 2],
    /// The side that ended first.
    pub socket_ended_first: Option<Side>,
    /// Why it ended, where the bytes don't tell.
    pub cause: Option<Cause>,
    /// How its request was sent on, where we stand in the middle.
    pub sent_on: Option<Arc<SentOn>>,
    /// Why its request could not be sent on.
    pub not_sent_on: Option<Arc<str>>,
    /// What the archive that it is from says of its end.
    pub account: Option<Arc<Account>>,
    /// How long the bytes of each side stayed with us, where we stand in the middle.
    pub delays: [Delay; 2],
    /// When the last bytes came, of either side.
    pub latest: Timestamp,
    /// Requests that are no upgrade, and the last of them that is over; 0 if there is none.
    pub requests: u64,
    pub(super) last_exchange: u32,
    /// Why nothing that follows on it is looked into.
    pub unclear: Option<Unclear>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// The opening handshake is not over.
    Connecting,
    /// Frames may come from both sides.
    Open,
    /// One side has sent its close frame.
    Closing,
    /// Over, after it had been open.
    Closed,
    /// The opening handshake came to nothing.
    Refused,
    /// An ordinary HTTP request.
    Http,
}

impl ConnectionState {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Http => "http",
        }
    }
}

/// What a close frame said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code, if there was one.
    pub code: Option<CloseCode>,
    /// The reason; what is not UTF-8 is replaced by U+FFFD.
    pub reason: String,
    /// Who made the frame.
    pub origin: Origin,
    /// Where a frame of the other side began that was still coming in by then.
    pub(super) during: Option<u64>,
}

impl Connection {
    pub(super) fn new(
        id: ConnectionId,
        client: SocketAddr,
        server: SocketAddr,
        began: Timestamp,
        vantage: Vantage,
    ) -> Self {
        Self {
            id,
            client,
            server,
            vantage,
            began,
            answered: None,
            ended: None,
            state: ConnectionState::Connecting,
            target: String::new(),
            request_too_long: false,
            status: None,
            answer: None,
            subprotocol: None,
            extensions: None,
            deflate: None,
            deflated: [Deflated::default(); 2],
            heads: [None, None],
            handshake_findings: [Vec::new(), Vec::new()],
            frames: [0, 0],
            bytes: [0, 0],
            unseen: [0, 0],
            growing: [None, None],
            broken_frames: 0,
            due: [None, None],
            pings: [PingLedger::default(); 2],
            closes: [None, None],
            closed_first: None,
            socket_ends: [None, None],
            socket_ended_first: None,
            cause: None,
            sent_on: None,
            not_sent_on: None,
            account: None,
            delays: [Delay::default(); 2],
            latest: began,
            requests: 0,
            last_exchange: 0,
            unclear: None,
        }
    }

    /// Both ends, the client first.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.client, self.server)
    }

    /// Another request came, which may be an opening handshake: what is known of the last one gives way.
    pub(super) fn begin_again(&mut self, state: ConnectionState, target: &str) {
        self.state = state;
        self.target = target.chars().take(256).collect();
        self.answered = None;
        self.status = None;
        self.answer = None;
        self.heads = [None, None];
        self.handshake_findings = [Vec::new(), Vec::new()];
    }

    /// Why an opening handshake came to nothing, in a sentence.
    pub fn refusal(&self) -> String {
        if let Some(sentence) = &self.not_sent_on {
            return sentence.to_string();
        }
        if let Some(sentence) = self.archived_refusal() {
            return sentence;
        }
        if self.vantage == Vantage::Late {
            return "It had begun before the capture, and where its frames begin could not be found.".to_owned();
        }
        if self.unseen != [0, 0] {
            return "Bytes of the opening handshake are missing in the capture.".to_owned();
        }
        if self.request_too_long {
            return "The head of the request is too long to be read.".to_owned();
        }
        if let (Some(unclear), None) = (self.unclear, self.status) {
            return format!("What it is can't be told: {}.", unclear.says());
        }
        let unread = self.heads[Side::Client as usize].is_none();
        // what the answer says is known before what led to it
        if self.cause == Some(Cause::HandshakeTooSlow) || (self.status == Some(408) && unread) {
            return "The request did not come in time.".to_owned();
        }
        // the status says more in its own words
        let broken = |finding: &&Finding| finding.rule != Rule::StatusNot101;
        if let Some(finding) = self.handshake_findings.iter().flatten().find(broken) {
            return finding.sees();
        }
        match (self.status, self.heads[Side::Client as usize]) {
            (Some(status), _) => match &self.answer {
                Some(answer) => format!("The server answered with status {status}: {answer}"),
                None => format!("The server answered with status {status}."),
            },
            (None, None) => format!("{} before the request was whole.", self.tcp_end()),
            (None, Some(_)) => format!("{} before an answer came.", self.tcp_end()),
        }
    }
}
