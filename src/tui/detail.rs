//! The selected frame and the selected connection's handshake, taken apart.

use std::io;
use std::sync::Arc;

use super::rows::without_cut_character;
use super::text::duration;
use crate::anatomy::{self, Field, FrameAnatomy, FrameContext, Step};
use crate::capture::filter::head_of;
use crate::capture::{
    Capture, Connection, Did, FrameEntry, Index, Inflated, MessageReader, NotInflated, Reads, SentOn,
};
use crate::formats::sanitize::printable_bytes;
use crate::lint::{Finding, Rule};
use crate::wire::handshake::{Head, Opening, Request, Response};
use crate::wire::{Opcode, Place, Side};

/// A frame taken apart.
#[derive(Clone, Debug)]
pub(super) struct FrameDetail {
    pub(super) n: u64,
    pub(super) entry: FrameEntry,
    pub(super) anatomy: FrameAnatomy,
    pub(super) findings: Vec<Finding>,
    /// The lines of the beginning of the payload, if it is text.
    pub(super) text: Option<Vec<String>>,
    /// How many bytes the text is from, and of how many.
    pub(super) text_bytes: (u64, u64),
    /// The compressed message that the frame belongs to.
    pub(super) message: Option<MessageDetail>,
    /// What its receiver did about what it breaks, and whether that is what was due.
    pub(super) reaction: Option<(String, bool)>,
    /// Of a ping or a pong: what answers it, or what it answers.
    pub(super) heartbeat: Option<String>,
    /// The header and the first bytes of the payload, as they crossed the wire.
    pub(super) wire: Vec<u8>,
    /// The reads of the socket that it arrived in, the first ones of them.
    pub(super) reads: Reads,
    /// Which frame of its first read it is.
    pub(super) place_in_read: u64,
    /// Bytes of it that have come, while it is still coming in.
    pub(super) came: Option<u64>,
}

/// A compressed message, inflated.
#[derive(Clone, Debug)]
pub(super) struct MessageDetail {
    pub(super) inflated: Inflated,
    /// Its beginning.
    pub(super) bytes: Arc<[u8]>,
}

impl MessageDetail {
    /// Bytes that are kept to be shown.
    pub(super) const MOST: usize = 256 << 10;
}

/// Bytes of a payload that are read to take a frame apart.
const BEGINNING: u64 = 4096;
/// Reads of a frame that are looked for.
const MOST_READS: usize = 1000;
/// Bytes of a payload that the grid has room for.
const IN_GRID: u64 = 16;
/// The most frames that are looked through for the one that began a message.
const LOOK_BACK: u64 = 20_000;

impl FrameDetail {
    /// Takes frame `n` apart.
    pub(super) fn read(capture: &Capture, n: u64, messages: &mut MessageReader) -> Option<Self> {
        let entry = capture.index().frame(n)?;
        Some(Self::of(capture, n, entry, messages))
    }

    /// Takes a frame apart of which `came` bytes have come so far; it will be frame `n` if none is complete before it.
    pub(super) fn incoming(
        capture: &Capture,
        n: u64,
        entry: FrameEntry,
        came: u64,
        messages: &mut MessageReader,
    ) -> Self {
        Self { came: Some(came), ..Self::of(capture, n, entry, messages) }
    }

    fn of(capture: &Capture, n: u64, entry: FrameEntry, messages: &mut MessageReader) -> Self {
        let index = capture.index();
        let findings: Vec<_> = index.findings(n).iter().map(|(_, finding)| finding.clone()).collect();
        let context = context(&index, n, &entry, &findings);
        drop(index);
        let header = entry.header();
        // what can't be read is shown as not at hand
        let payload = capture.payload(&entry, 0..BEGINNING).unwrap_or_default();
        let anatomy = if entry.is_archived() {
            anatomy::message(header.opcode, header.length, &payload, context)
        } else {
            anatomy::frame(&header, &payload, context)
        };
        let is_text = match header.opcode {
            Opcode::TEXT => true,
            Opcode::CONTINUATION => context.message == Some(Opcode::TEXT),
            _ => false,
        };
        let message = entry.is_compressed().then(|| {
            let first = if header.opcode == Opcode::CONTINUATION { head_of(capture, n) } else { n };
            messages.beginning(capture, first, MessageDetail::MOST)
        });
        let message = message.flatten().map(|(inflated, bytes)| MessageDetail { inflated, bytes: bytes.into() });
        let (bytes, length) = match &message {
            Some(message) => (&message.bytes[..], message.inflated.length),
            None if entry.is_compressed() => (&[][..], 0),
            None => (&payload[..], header.length),
        };
        let beginning = &bytes[..bytes.len().min(BEGINNING as usize)];
        let cut = length > beginning.len() as u64 || message.as_ref().is_some_and(|one| one.inflated.outcome.is_err());
        let text = (is_text && !beginning.is_empty()).then(|| {
            let whole = if cut { without_cut_character(beginning) } else { beginning };
            whole.split(|&byte| byte == b'\n').map(printable_bytes).collect()
        });
        let text_bytes = (beginning.len() as u64, length);
        let grid = header.len() as u64 + IN_GRID;
        let wire = if entry.is_archived() { Ok(Vec::new()) } else { capture.frame_bytes(&entry, 0..grid) };
        Self {
            n,
            entry,
            anatomy,
            findings,
            text,
            text_bytes,
            message,
            reaction: None,
            heartbeat: None,
            wire: wire.unwrap_or_default(),
            reads: capture.reads(&entry, MOST_READS).unwrap_or_default(),
            place_in_read: capture.index().place_in_read(n).unwrap_or(1),
            came: None,
        }
    }

    /// Looks again for what answers a ping, and for what came of what it breaks.
    pub(super) fn refresh(&mut self, index: &Index) {
        self.heartbeat = heartbeat(index, self.n, &self.entry, &self.findings);
        let connection = index.connection(self.entry.connection());
        let reaction = connection.and_then(|one| one.reactions().find(|reaction| reaction.due.frame == self.n));
        self.reaction = reaction.map(|reaction| (reaction.sentence, reaction.did == Did::Failed));
    }

    /// Whether more of its message may have come meanwhile.
    pub(super) fn may_grow(&self) -> bool {
        self.came.is_some()
            || self.message.as_ref().is_some_and(|message| message.inflated.outcome == Err(NotInflated::Unfinished))
    }
}

fn context(index: &Index, n: u64, entry: &FrameEntry, findings: &[Finding]) -> FrameContext {
    let header = entry.header();
    let breaks = |rule| findings.iter().any(|finding| finding.rule == rule);
    let alone = FrameContext::alone(&header, entry.from());
    let place = match alone.place {
        Place::Continuation if breaks(Rule::ContinuationWithoutStart) => Place::Orphan,
        Place::First if breaks(Rule::DataInsideMessage) => Place::Interrupting,
        place => place,
    };
    let message = match place {
        Place::Continuation => (n.saturating_sub(LOOK_BACK).max(1)..n)
            .rev()
            .filter_map(|earlier| index.frame(earlier))
            .filter(|earlier| earlier.is_beside(entry))
            .map(|earlier| earlier.header().opcode)
            .find(|opcode| !opcode.is_control() && *opcode != Opcode::CONTINUATION),
        _ => alone.message,
    };
    let extensions = index.connection(entry.connection()).and_then(|connection| connection.extensions.as_deref());
    let deflate = extensions.is_some_and(|extensions| extensions.contains("permessage-deflate"));
    FrameContext { place, message, deflate, compressed: entry.is_compressed(), ..alone }
}

fn heartbeat(index: &Index, n: u64, entry: &FrameEntry, findings: &[Finding]) -> Option<String> {
    let after = |pong| duration(index.round_trip(pong).unwrap_or_default());
    match entry.header().opcode {
        Opcode::PING => Some(match index.answered_by(n) {
            Some(pong) if index.answers(pong) == Some(n) => format!("answered by pong #{pong} after {}", after(pong)),
            Some(pong) => format!("passed over: pong #{pong} answers a later ping, as it may (RFC 6455 5.5.3)"),
            None if !entry.is_complete() => return None,
            None if index.connection(entry.connection()).is_some_and(|one| one.ended.is_some()) => {
                "never answered".to_owned()
            }
            None => "not answered yet".to_owned(),
        }),
        Opcode::PONG => Some(match index.answers(n) {
            Some(ping) => format!("answers ping #{ping} after {}", after(n)),
            None if findings.iter().any(|finding| finding.rule == Rule::PongUnsolicited) => {
                "answers no ping: unsolicited".to_owned()
            }
            None => "the ping that it answers was not seen, or too many waited".to_owned(),
        }),
        _ => None,
    }
}

/// An opening handshake taken apart.
#[derive(Clone, Debug)]
pub(super) struct HandshakeDetail {
    pub(super) connection: Connection,
    /// The request and the response, as far as they came.
    pub(super) heads: [Option<HeadDetail>; 2],
    /// How the key becomes the accept value.
    pub(super) steps: Option<[Step; 5]>,
    /// The accept value that was sent.
    pub(super) accept: Option<String>,
    /// What was agreed on, in sentences.
    pub(super) agreement: Vec<String>,
    /// The lines that were sent on otherwise than they came: as they came, and as they were sent on.
    pub(super) changed: Vec<(String, String)>,
}

/// A request or a response taken apart.
#[derive(Clone, Debug)]
pub(super) struct HeadDetail {
    pub(super) title: String,
    pub(super) start_line: String,
    pub(super) fields: Vec<Field>,
    pub(super) findings: Vec<Finding>,
}

impl HandshakeDetail {
    /// Takes the opening handshake of `connection` apart.
    pub(super) fn read(capture: &Capture, connection: Connection) -> Self {
        let head = |side| capture.head(connection.id, side);
        let request = parsed(head(Side::Client)).map(Request::read);
        let response = parsed(head(Side::Server)).map(Response::read);
        let opening = request.as_ref().and_then(|request| request.opening().ok());
        let key = request.as_ref().and_then(|request| request.head.value("Sec-WebSocket-Key"));
        let accept = response.as_ref().and_then(|response| response.head.value("Sec-WebSocket-Accept"));
        let agreement = match (&opening, &response) {
            (Some(opening), Some(response)) if response.status == Some(101) => {
                anatomy::agreement_in_words(opening, response)
            }
            _ => Vec::new(),
        };
        let sent = connection.sent_on.as_deref();
        let changed = request.as_ref().zip(sent).map_or_else(Vec::new, |(request, sent)| changed(&request.head, sent));
        Self {
            changed,
            steps: key.map(|key| anatomy::accept_steps(&key)),
            accept: accept.map(std::borrow::Cow::into_owned),
            agreement,
            heads: [
                request.map(|request| HeadDetail {
                    title: anatomy::request(&request).title,
                    start_line: request.head.start_line().into_owned(),
                    fields: anatomy::request(&request).fields,
                    findings: connection.handshake_findings[Side::Client as usize].clone(),
                }),
                response.map(|response| response_detail(&response, opening.as_ref(), &connection)),
            ],
            connection,
        }
    }
}

/// The lines of `head` that were sent on otherwise, each beside what became of it.
fn changed(head: &Head, sent: &SentOn) -> Vec<(String, String)> {
    let mut seen: Vec<&str> = Vec::new();
    let before = |line: &str, nth: usize| {
        let name = line.split_once(':').map_or("", |(name, _)| name);
        let found = head.lines(name).nth(nth).map(|line| head.text(&line.line).into_owned());
        let is_start_line = name.is_empty() || name.contains(' ');
        found.unwrap_or_else(|| if is_start_line { head.start_line().into_owned() } else { "(not there)".to_owned() })
    };
    sent.lines
        .iter()
        .map(|line| {
            let name = line.split(':').next().unwrap_or_default();
            let nth = seen.iter().filter(|earlier| earlier.eq_ignore_ascii_case(name)).count();
            seen.push(name);
            (before(line, nth), line.clone())
        })
        .chain(sent.removed.iter().map(|line| (line.clone(), "(not sent on)".to_owned())))
        .collect()
}

fn response_detail(response: &Response, opening: Option<&Opening>, connection: &Connection) -> HeadDetail {
    let anatomy = anatomy::response(response, opening);
    HeadDetail {
        title: anatomy.title,
        start_line: response.head.start_line().into_owned(),
        fields: anatomy.fields,
        findings: connection.handshake_findings[Side::Server as usize].clone(),
    }
}

/// A head that can't be read back is shown as not there.
fn parsed(head: io::Result<Option<Vec<u8>>>) -> Option<Head> {
    head.ok().flatten().map(Head::parse)
}
