//! JSON Lines: one object for each thing that happened.

mod objects;

use std::io::{self, Write};
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::capture::{
    Capture, Connection, Exchange, FrameEntry, Gone, How, Item, MessageReader, SentOn, Timestamp, Tunnel,
};
use crate::lint::Finding;
use crate::wire::handshake::Head;
use crate::wire::{CloseBody, Opcode, Side};

use super::messages::{Assembled, Assembler};
pub(super) use objects::FindingJson;
use objects::{
    CloseEventJson, CloseJson, ContentJson, FrameJson, GoneJson, HeadJson, HttpJson, MessageJson, OpenJson, PingsJson,
    ReactionJson, RefusedJson, SentOnJson, Sides, Times, TlsJson, TunnelJson,
};

/// How JSON Lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most payload bytes of a frame or message that are written.
    pub payload_limit: u64,
    /// Whether whole messages are written too, each after its last frame.
    pub messages: bool,
}

/// Writes what happened in a capture.
#[derive(Debug)]
pub struct JsonLines {
    options: Options,
    assembler: Assembler,
    messages: MessageReader,
}

/// Compressed directions that are read one beside the other: 32 KiB each.
const MESSAGE_STREAMS: usize = 256;

impl JsonLines {
    /// Writes with these options.
    pub fn new(options: Options) -> Self {
        Self { options, assembler: Assembler::default(), messages: MessageReader::keeping(MESSAGE_STREAMS) }
    }

    /// Writes `item`, which happened in `capture`.
    pub fn write(&mut self, out: &mut impl Write, capture: &Capture, item: &Item) -> io::Result<()> {
        match item {
            Item::Opened(connection) => line(out, &open(capture, connection)?),
            Item::Refused(connection) => line(out, &refused(capture, connection)?),
            Item::Gone(frames) => line(out, &gone(capture, frames)),
            Item::Frame(n, entry, findings) => self.frame(out, capture, *n, entry, findings),
            Item::Exchanged(connection, exchange) => line(out, &http(capture, connection, exchange)?),
            Item::Closed(connection) => {
                self.assembler.forget(connection.id);
                line(out, &close(connection))
            }
        }
    }

    /// Leaves out a frame that a filter does not let through. The message that it ends is written if any other of its
    /// frames was.
    pub fn skip(&mut self, out: &mut impl Write, capture: &Capture, n: u64, entry: &FrameEntry) -> io::Result<()> {
        match self.assembler.frame(n, entry, false) {
            (_, Some(message)) if self.options.messages && message.shown => {
                self.message(out, capture, entry.time(), &message)
            }
            _ => Ok(()),
        }
    }

    fn frame(
        &mut self,
        out: &mut impl Write,
        capture: &Capture,
        n: u64,
        entry: &FrameEntry,
        findings: &[Finding],
    ) -> io::Result<()> {
        let header = entry.header();
        let header_len = header.len() as u64;
        let (message_opcode, assembled) = self.assembler.frame(n, entry, true);
        let shown = header.length.min(self.options.payload_limit);
        // a close frame is understood whole, however short its payload is shown
        let is_close = header.opcode == Opcode::CLOSE;
        let read = if is_close { header.length.min(shown.max(125)) } else { shown };
        let mut payload = capture.payload(entry, 0..read)?;
        let close = (is_close && entry.is_complete()).then(|| CloseBody::parse(&payload)).and_then(|body| match body {
            CloseBody::Code(code, reason) => {
                Some(CloseJson { code: code.0, reason: String::from_utf8_lossy(reason).into_owned() })
            }
            CloseBody::Empty | CloseBody::OneByte(_) => None,
        });
        payload.truncate(shown as usize);
        // shortened as asked, or because the bytes could not be recorded
        let truncated = entry.is_complete() && (payload.len() as u64) < header.length;
        let is_text = message_opcode == Some(Opcode::TEXT) && !entry.is_compressed();
        let text = is_text.then(|| text_of(&payload, truncated)).flatten();
        // what an archive does not say is null
        let seen = !entry.is_archived();
        let header_hex = if seen { Some(hex::encode(capture.frame_bytes(entry, 0..header_len)?)) } else { None };
        line(
            out,
            &FrameJson {
                event: "frame",
                time: entry.time().seconds(),
                conn: entry.connection().0,
                n,
                from: entry.from().name(),
                offset: seen.then_some(entry.offset()),
                fin: seen.then_some(header.fin),
                rsv: seen.then_some(header.rsv.value()),
                opcode: header.opcode.value(),
                r#type: header.opcode.name(),
                masked: seen.then_some(header.masking_key.is_some()),
                masking_key: header.masking_key.map(|key| key.to_string()),
                length: header.length,
                length_form: seen.then_some(header.length_form.bits()),
                header: header_hex,
                payload: hex::encode(&payload),
                text,
                close,
                compressed: seen.then_some(entry.is_compressed()),
                chunks: seen.then_some(entry.chunks()),
                origin: entry.origin().name(),
                edit: entry.is_injected().then_some("injected"),
                findings: findings.iter().map(|finding| finding_of(entry, finding)).collect(),
                complete: (!entry.is_complete()).then_some(false),
                truncated: truncated.then_some(true),
            },
        )?;
        match assembled {
            Some(message) if self.options.messages => self.message(out, capture, entry.time(), &message),
            _ => Ok(()),
        }
    }

    fn message(
        &mut self,
        out: &mut impl Write,
        capture: &Capture,
        time: Timestamp,
        message: &Assembled,
    ) -> io::Result<()> {
        let limit = self.options.payload_limit;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let inflated = message.compressed.then(|| self.messages.beginning(capture, message.first, most)).flatten();
        let mut is_gone = false;
        let (length, payload) = match inflated {
            Some((inflated, bytes)) => (inflated.length, inflated.outcome.map(|()| bytes)),
            None => match message.payload(capture, limit) {
                // its last frame is still there
                Err(error) if Gone::is(&error) => {
                    is_gone = true;
                    (message.length, Ok(Vec::new()))
                }
                payload => (message.length, Ok(payload?)),
            },
        };
        let seen = !message.is_archived();
        let length = payload.is_ok().then_some(length);
        let truncated = is_gone || length.is_some_and(|length| length > limit);
        let content = match payload {
            Ok(payload) => {
                let text = if message.opcode == Opcode::TEXT { text_of(&payload, truncated) } else { None };
                let bytes = || ContentJson::Payload { payload: hex::encode(&payload) };
                text.map_or_else(bytes, |text| ContentJson::Text { text })
            }
            Err(why) => ContentJson::Unknown { text: (), payload: (), why: why.to_string() },
        };
        line(
            out,
            &MessageJson {
                event: "message",
                time: time.seconds(),
                conn: message.connection.0,
                from: message.from.name(),
                first: message.first,
                last: message.last,
                fragments: seen.then_some(message.fragments),
                r#type: message.opcode.name(),
                compressed: seen.then_some(message.compressed),
                wire_length: seen.then_some(message.length),
                length,
                content,
                truncated: truncated.then_some(true),
            },
        )
    }
}

/// The payload as text; where it was shortened, the character that was cut is left out.
fn text_of(payload: &[u8], truncated: bool) -> Option<String> {
    match std::str::from_utf8(payload) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if truncated && error.error_len().is_none() => {
            String::from_utf8(payload[..error.valid_up_to()].to_vec()).ok()
        }
        Err(_) => None,
    }
}

fn gone(capture: &Capture, frames: &RangeInclusive<u64>) -> GoneJson {
    let (first, last) = (*frames.start(), *frames.end());
    let time = capture.index().latest().seconds();
    GoneJson { event: "gone", time, conn: None, first, last, frames: (last + 1).saturating_sub(first) }
}

fn open<'a>(capture: &Capture, connection: &'a Connection) -> io::Result<OpenJson<'a>> {
    Ok(OpenJson {
        event: "open",
        time: connection.answered.unwrap_or(connection.began).seconds(),
        conn: connection.id.0,
        client: connection.known_client().map(|client| client.to_string()),
        server: connection.known_server().map(|server| server.to_string()),
        target: Some(connection.target.clone()).filter(|target| !target.is_empty() || !connection.is_archived()),
        request: head_json(capture, connection, Side::Client)?,
        response: head_json(capture, connection, Side::Server)?,
        subprotocol: connection.subprotocol.clone(),
        extensions: connection.extensions.clone(),
        tunnel: connection.tunnel.as_deref().map(|tunnel| tunnel_json(tunnel, None)),
        sent_on: connection.sent_on.as_deref().map(sent_on_json),
        tls: tls_json(connection),
        findings: connection.handshake_findings.iter().flatten().map(finding_json).collect(),
    })
}

fn refused<'a>(capture: &Capture, connection: &'a Connection) -> io::Result<RefusedJson<'a>> {
    Ok(RefusedJson {
        event: "refused",
        time: connection.answered.or(connection.ended).unwrap_or(connection.began).seconds(),
        conn: connection.id.0,
        client: connection.known_client().map(|client| client.to_string()),
        status: connection.status,
        reason: connection.refusal(),
        request: head_json(capture, connection, Side::Client)?,
        response: head_json(capture, connection, Side::Server)?,
        tunnel: connection.tunnel.as_deref().map(|tunnel| tunnel_json(tunnel, None)),
        tls: tls_json(connection),
        findings: connection.handshake_findings.iter().flatten().map(finding_json).collect(),
    })
}

/// What was agreed on by TLS with the peer on each side, if there is TLS.
fn tls_json(connection: &Connection) -> Option<TlsJson<'_>> {
    let [client, server] = Side::BOTH.map(|with| connection.tls[with as usize].as_deref());
    (client.is_some() || server.is_some()).then_some(TlsJson { client, server })
}

fn http(capture: &Capture, connection: &Connection, exchange: &Exchange) -> io::Result<HttpJson> {
    let head = |side| capture.exchange_head(exchange, side).map(|raw| raw.map(head_of));
    Ok(HttpJson {
        event: "http",
        time: exchange.ended.seconds(),
        conn: connection.id.0,
        n: exchange.n,
        client: connection.client.to_string(),
        server: connection.server.to_string(),
        target: exchange.target.clone(),
        status: exchange.status,
        request: head(Side::Client)?,
        response: head(Side::Server)?,
        request_length: exchange.body[Side::Client as usize],
        response_length: exchange.body[Side::Server as usize],
        took: seconds(exchange.took()),
        complete: exchange.complete,
        tunnel: exchange.tunnel.as_deref().map(|tunnel| tunnel_json(tunnel, exchange.unopened.as_deref())),
        sent_on: exchange.sent_on.as_deref().map(sent_on_json),
        unclear: exchange.unclear.map(|unclear| format!("What follows is not looked into: {}.", unclear.says())),
    })
}

fn close(connection: &Connection) -> CloseEventJson {
    if let Some(end) = connection.archived_end() {
        return CloseEventJson {
            event: "close",
            time: connection.ended.unwrap_or(connection.began).seconds(),
            conn: connection.id.0,
            code: end.code.map(|code| code.0),
            reason: end.reason,
            by: end.by.map(Side::name),
            clean: end.clean,
            how: end.clean.map(|_| How::Handshake.name()),
            verdict: Some(end.sentence),
            reactions: Vec::new(),
            pings: None,
            delay: None,
        };
    }
    let verdict = connection.verdict();
    CloseEventJson {
        event: "close",
        time: connection.ended.unwrap_or(connection.began).seconds(),
        conn: connection.id.0,
        code: verdict.as_ref().and_then(|verdict| verdict.code).map(|code| code.0),
        reason: verdict.as_ref().and_then(|verdict| verdict.reason.clone()),
        by: verdict.as_ref().map(|verdict| verdict.by.name()),
        clean: Some(verdict.as_ref().is_some_and(|verdict| verdict.clean)),
        how: verdict.as_ref().map(|verdict| verdict.how.name()),
        verdict: verdict.map(|verdict| verdict.sentence),
        reactions: connection.reactions().map(|reaction| ReactionJson::of(&reaction)).collect(),
        pings: pings(connection),
        delay: delays(connection),
    }
}

/// What became of each side's pings; `None` if there were none, nor pongs.
fn pings(connection: &Connection) -> Option<Sides<PingsJson>> {
    let one = |side: Side| {
        let ledger = &connection.pings[side as usize];
        PingsJson {
            sent: ledger.sent,
            answered: ledger.answered,
            passed_over: ledger.passed_over,
            unanswered: ledger.unanswered(),
            unsolicited_pongs: connection.pings[side.other() as usize].unsolicited,
            round_trip: ledger.mean().map(|mean| Times {
                least: Some(seconds(ledger.least)),
                mean: seconds(mean),
                most: seconds(ledger.most),
            }),
        }
    };
    let any = connection.pings.iter().any(|ledger| ledger.sent + ledger.unsolicited > 0);
    any.then(|| Sides { client: Some(one(Side::Client)), server: Some(one(Side::Server)) })
}

/// How long each side's bytes stayed with us; `None` where we don't stand in the middle.
fn delays(connection: &Connection) -> Option<Sides<Times>> {
    let [client, server] = connection
        .delays
        .map(|delay| delay.mean().map(|mean| Times { least: None, mean: seconds(mean), most: seconds(delay.most) }));
    (client.is_some() || server.is_some()).then_some(Sides { client, server })
}

/// Seconds, with microseconds kept.
fn seconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1000) as f64 / 1e6
}

fn head_json(capture: &Capture, connection: &Connection, side: Side) -> io::Result<Option<HeadJson>> {
    Ok(capture.head(connection.id, side)?.map(head_of))
}

fn head_of(raw: Vec<u8>) -> HeadJson {
    let head = Head::parse(raw);
    let headers = head.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    HeadJson { line: head.start_line().into_owned(), headers }
}

fn sent_on_json(sent: &SentOn) -> SentOnJson {
    SentOnJson {
        from: sent.from.to_string(),
        to: sent.to.to_string(),
        lines: sent.lines.clone(),
        removed: sent.removed.clone(),
    }
}

fn tunnel_json(tunnel: &Tunnel, why: Option<&str>) -> TunnelJson {
    let request = Head::parse((tunnel.request.join("\r\n") + "\r\n\r\n").into_bytes());
    let headers = request.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    TunnelJson {
        target: tunnel.target.clone(),
        from: tunnel.from.to_string(),
        to: tunnel.to.to_string(),
        request: (!tunnel.request.is_empty()).then(|| HeadJson { line: request.start_line().into_owned(), headers }),
        opened: why.is_none(),
        why: why.map(|why| format!("It is not looked into: {why}.")),
    }
}

/// Where in the bytes of a frame nobody can say that has not seen them.
pub(super) fn finding_of(entry: &FrameEntry, finding: &Finding) -> FindingJson {
    let json = finding_json(finding);
    FindingJson { at: json.at.filter(|_| !entry.is_archived()), ..json }
}

pub(super) fn finding_json(finding: &Finding) -> FindingJson {
    FindingJson {
        rule: finding.rule.id(),
        section: finding.rule.section(),
        level: finding.rule.level().name(),
        at: Some([finding.at.start, finding.at.end]),
        sees: finding.sees(),
    }
}

fn line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}
