//! The requests and responses of a connection: the opening handshake among them, and those that are no upgrade.

use std::collections::VecDeque;
use std::sync::Arc;

use super::connection::ConnectionState;
use super::deflation::Place;
use super::direction::Chunk;
use super::dissector::{Dissector, Phase, Step, Steps};
use super::event::{SentOn, Timestamp, Vantage};
use super::exchange::Exchange;
use super::file::Position;
use super::index::MilestoneKind;
use crate::lint::{check_request, check_response};
use crate::wire::handshake::{Head, Opening, Request, Response};
use crate::wire::http::{ClientStep, Exchanges, ServerStep};
use crate::wire::{DEFLATE, DeflateAgreement, Side};

/// Requests and responses as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Http {
    pub(super) exchanges: Exchanges,
    /// What waits for the end of its response, the oldest first.
    asked: VecDeque<Asked>,
    /// Where the heads at hand begin.
    heads: [Option<Position>; 2],
    /// Where the first of all begin.
    pub(super) begun: [Option<Position>; 2],
    has_begun: [bool; 2],
}

impl Http {
    pub(super) fn new(vantage: Vantage) -> Self {
        // an archive may hold no headers, or those of another HTTP, of what was an opening handshake
        let exchanges = if vantage == Vantage::Archive { Exchanges::all_upgrade() } else { Exchanges::default() };
        Self { exchanges, ..Self::default() }
    }

    /// The head at hand begins there.
    fn begin_head(&mut self, from: Side, position: Option<Position>) {
        self.heads[from as usize] = position;
        if !std::mem::replace(&mut self.has_begun[from as usize], true) {
            self.begun[from as usize] = position;
        }
    }
}

#[derive(Debug)]
struct Asked {
    what: What,
    is_sent_on: bool,
}

#[derive(Debug)]
enum What {
    Upgrade(Box<Request>),
    Page(Box<Exchange>),
}

impl Dissector {
    pub(super) fn requests(&mut self, http: &mut Http, chunk: &mut Chunk<'_>, steps: &mut Steps) {
        while !chunk.is_empty() {
            if http.exchanges.begins_request() {
                http.begin_head(Side::Client, chunk.position(0));
            }
            let was_clear = http.exchanges.unclear().is_none();
            let mut rest = chunk.rest();
            let step = http.exchanges.client(&mut rest);
            let taken = chunk.rest().len() - rest.len();
            if matches!(step, ClientStep::Undecided)
                && matches!(http.asked.back(), Some(Asked { what: What::Upgrade(_), .. }))
            {
                // frames that were sent before the answer came: what they mean depends on the answer
                self.directions[Side::Client as usize].hold(chunk);
            }
            chunk.start += taken;
            match step {
                ClientStep::Head(request) => self.request(http, *request, chunk.time, steps),
                ClientStep::TooLong(_) => self.connection.request_too_long |= self.connection.target.is_empty(),
                ClientStep::Body => {
                    if let Some(Asked { what: What::Page(exchange), .. }) = http.asked.back_mut() {
                        exchange.body[Side::Client as usize] += taken as u64;
                    }
                }
                ClientStep::Partial | ClientStep::Blank | ClientStep::Undecided | ClientStep::Blind => {}
                ClientStep::Frames => return,
            }
            if was_clear && let Some(Asked { what: What::Page(exchange), .. }) = http.asked.back_mut() {
                exchange.unclear = http.exchanges.unclear();
            }
        }
    }

    fn request(&mut self, http: &mut Http, request: Request, time: Timestamp, steps: &mut Steps) {
        let is_judged = self.is_judged(&request.head);
        let head = http.heads[Side::Client as usize].map(|position| (position, request.head.raw().len()));
        let head = head.filter(|_| self.is_told(&request.head));
        let upgrades = request.wants_upgrade() || self.connection.is_archived();
        let state = if upgrades { ConnectionState::Connecting } else { ConnectionState::Http };
        self.connection.begin_again(state, &request.target);
        self.connection.heads[Side::Client as usize] = head;
        let what = if upgrades {
            let findings = if is_judged { check_request(&request) } else { Vec::new() };
            self.connection.handshake_findings[Side::Client as usize].clone_from(&findings);
            steps.push(Step::Handshake(findings));
            What::Upgrade(Box::new(request))
        } else {
            self.connection.requests += 1;
            let mut exchange = Exchange::new(self.connection.id, &request, head, time);
            exchange.tunnel.clone_from(&self.connection.tunnel);
            What::Page(Box::new(exchange))
        };
        if http.asked.len() < Exchanges::MAX_WAITING {
            http.asked.push_back(Asked { what, is_sent_on: false });
        }
    }

    /// The first request of which that is not known yet was sent on.
    pub(super) fn sent_on(&mut self, sent: &Arc<SentOn>) {
        self.connection.sent_on = Some(sent.clone());
        if let Phase::Http(http) = &mut self.phase
            && let Some(asked) = http.asked.iter_mut().find(|asked| !asked.is_sent_on)
        {
            asked.is_sent_on = true;
            if let What::Page(exchange) = &mut asked.what {
                exchange.sent_on = Some(sent.clone());
            }
        }
    }

    pub(super) fn responses(&mut self, http: &mut Http, chunk: &mut Chunk<'_>, steps: &mut Steps) {
        while !chunk.is_empty() {
            if http.exchanges.begins_response() {
                http.begin_head(Side::Server, chunk.position(0));
            }
            let was_clear = http.exchanges.unclear().is_none();
            let mut rest = chunk.rest();
            let step = http.exchanges.server(&mut rest);
            let taken = chunk.rest().len() - rest.len();
            chunk.start += taken;
            let is_over = match step {
                ServerStep::Head { response, is_interim: false, is_whole } => {
                    self.response(http, &response, chunk, steps);
                    is_whole
                }
                ServerStep::Body { is_whole } => {
                    if let Some(Asked { what: What::Page(exchange), .. }) = http.asked.front_mut() {
                        exchange.body[Side::Server as usize] += taken as u64;
                    }
                    is_whole
                }
                ServerStep::Head { .. } | ServerStep::Partial | ServerStep::Blind => false,
                ServerStep::Frames => return,
            };
            if was_clear && let Some(Asked { what: What::Page(exchange), .. }) = http.asked.front_mut() {
                exchange.unclear = http.exchanges.unclear();
            }
            if is_over && let Some(Asked { what: What::Page(mut exchange), .. }) = http.asked.pop_front() {
                exchange.complete = true;
                exchange.ended = chunk.time;
                steps.exchange(exchange, &mut self.connection);
            }
        }
    }

    fn response(&mut self, http: &mut Http, response: &Response, chunk: &Chunk<'_>, steps: &mut Steps) {
        let time = chunk.time;
        let head = http.heads[Side::Server as usize].map(|position| (position, response.head.raw().len()));
        let head = head.filter(|_| self.is_told(&response.head));
        let is_last = http.asked.len() <= 1;
        // it stands for the connection as long as nothing else was asked
        if is_last && self.connection.status.is_none() {
            self.connection.answered = Some(time);
            self.connection.status = response.status;
            self.connection.heads[Side::Server as usize] = head;
        }
        let answers_itself = self.connection.not_sent_on.is_some();
        let request = match http.asked.front_mut() {
            Some(Asked { what: What::Page(_), .. }) if answers_itself => None,
            Some(Asked { what: What::Page(exchange), .. }) => {
                exchange.answer(response, head, time);
                return;
            }
            Some(Asked { what: What::Upgrade(request), .. }) => Some(request),
            // what was asked could not be read
            None if self.connection.state == ConnectionState::Connecting => None,
            None => return,
        };
        if response.status != Some(101) {
            self.connection.answer = first_line(chunk.rest());
        }
        // a response is judged against what was asked for, however badly that was asked
        if let Some(request) =
            request.filter(|request| !answers_itself && self.is_judged(&request.head) && self.is_judged(&response.head))
        {
            let findings = check_response(response, &opening_of(request));
            self.connection.handshake_findings[Side::Server as usize].clone_from(&findings);
            steps.push(Step::Handshake(findings));
        }
        if !http.exchanges.are_frames() {
            self.connection.state = ConnectionState::Refused;
            if answers_itself {
                // nothing is listed that nobody answered
                http.asked.clear();
            }
            steps.push(Step::Refused(Box::new(self.connection.clone())));
            return;
        }
        let agreement = response.agreement();
        self.connection.subprotocol = agreement.subprotocol;
        self.connection.extensions =
            response.head.joined("Sec-WebSocket-Extensions").map(|value| value.chars().take(256).collect());
        if let Some(extension) = agreement.extensions.iter().find(|extension| extension.name == DEFLATE) {
            let deflate = DeflateAgreement::parse(extension).ok();
            self.connection.deflate = deflate;
            for side in Side::BOTH {
                self.directions[side as usize].expect_deflate(deflate);
                if deflate.is_some_and(|deflate| deflate.takes_over(side)) {
                    steps.push(Step::Checkpoint(side, 0, Place { work: 0, window: [].into(), is_border: false }));
                }
            }
        }
        self.connection.state = ConnectionState::Open;
        steps.push(Step::Milestone(MilestoneKind::Opened));
    }

    /// Whether a head is what was on the wire: an archive without headers says nothing of it, and its line was made to open
    /// the connection.
    fn is_told(&self, head: &Head) -> bool {
        !self.connection.is_archived() || head.pairs().next().is_some()
    }

    /// Whether a head is judged: one from an archive only if it is one of HTTP/1.
    fn is_judged(&self, head: &Head) -> bool {
        self.is_told(head) && (!self.connection.is_archived() || head.start_line().contains("HTTP/1."))
    }

    /// No more responses come; the first one may be complete with that.
    pub(super) fn end_exchanges(&mut self, time: Timestamp, completes: bool, steps: &mut Steps) {
        let Phase::Http(http) = std::mem::replace(&mut self.phase, Phase::Opaque) else { return };
        for (i, asked) in http.asked.into_iter().enumerate() {
            if let What::Page(mut exchange) = asked.what {
                exchange.complete = completes && i == 0;
                exchange.ended = time;
                steps.exchange(exchange, &mut self.connection);
            }
        }
    }
}

/// What a request offers, also where it is no valid opening handshake.
fn opening_of(request: &Request) -> Opening {
    request.opening().unwrap_or_else(|_| Opening {
        target: request.target.clone(),
        key: request.head.value("Sec-WebSocket-Key").unwrap_or_default().into_owned(),
        origin: None,
        subprotocols: request.subprotocols(),
        extensions: Vec::new(),
    })
}

/// The first line of a body that is text, shortened.
fn first_line(body: &[u8]) -> Option<String> {
    let line = body.split(|&byte| byte == b'\r' || byte == b'\n').next()?;
    let text = std::str::from_utf8(line).ok().filter(|text| !text.is_empty() && !text.starts_with('<'))?;
    Some(text.chars().take(200).collect())
}
