//! The objects of the lines: their names are those of the interface, in this order.

use serde::Serialize;

use crate::capture::{Reaction, Tls};

/// Frames that are not in the recording any more.
#[derive(Serialize)]
pub(super) struct GoneJson {
    pub(super) event: &'static str,
    pub(super) time: f64,
    /// Of any connection.
    pub(super) conn: Option<u32>,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) frames: u64,
}

#[derive(Serialize)]
pub(super) struct OpenJson<'a> {
    pub(super) event: &'static str,
    pub(super) time: f64,
    pub(super) conn: u32,
    pub(super) client: Option<String>,
    pub(super) server: Option<String>,
    pub(super) target: Option<String>,
    pub(super) request: Option<HeadJson>,
    pub(super) response: Option<HeadJson>,
    pub(super) subprotocol: Option<String>,
    pub(super) extensions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tunnel: Option<TunnelJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent_on: Option<SentOnJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<TlsJson<'a>>,
    pub(super) findings: Vec<FindingJson>,
}

#[derive(Serialize)]
pub(super) struct SentOnJson {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) lines: Vec<String>,
    /// Lines that were not sent on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) removed: Vec<String>,
}

/// A tunnel through a proxy.
#[derive(Serialize)]
pub(super) struct TunnelJson {
    pub(super) target: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) request: Option<HeadJson>,
    pub(super) opened: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

#[derive(Serialize)]
pub(super) struct RefusedJson<'a> {
    pub(super) event: &'static str,
    pub(super) time: f64,
    pub(super) conn: u32,
    pub(super) client: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) reason: String,
    pub(super) request: Option<HeadJson>,
    pub(super) response: Option<HeadJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tunnel: Option<TunnelJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<TlsJson<'a>>,
    pub(super) findings: Vec<FindingJson>,
}

#[derive(Serialize)]
pub(super) struct TlsJson<'a> {
    pub(super) client: Option<&'a Tls>,
    pub(super) server: Option<&'a Tls>,
}

#[derive(Serialize)]
pub(super) struct HttpJson {
    pub(super) event: &'static str,
    pub(super) time: f64,
    pub(super) conn: u32,
    pub(super) n: u32,
    pub(super) client: String,
    pub(super) server: String,
    pub(super) target: String,
    pub(super) status: Option<u16>,
    pub(super) request: Option<HeadJson>,
    pub(super) response: Option<HeadJson>,
    pub(super) request_length: u64,
    pub(super) response_length: u64,
    pub(super) took: f64,
    pub(super) complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tunnel: Option<TunnelJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent_on: Option<SentOnJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unclear: Option<String>,
}

#[derive(Serialize)]
pub(super) struct FrameJson {
    pub(super) event: &'static str,
    pub(super) time: f64,
    pub(super) conn: u32,
    pub(super) n: u64,
    pub(super) from: &'static str,
    pub(super) offset: Option<u64>,
    pub(super) fin: Option<bool>,
    pub(super) rsv: Option<u8>,
    pub(super) opcode: u8,
    pub(super) r#type: &'static str,
    pub(super) masked: Option<bool>,
    pub(super) masking_key: Option<String>,
    pub(super) length: u64,
    pub(super) length_form: Option<u8>,
    pub(super) header: Option<String>,
    pub(super) payload: String,
    pub(super) text: Option<String>,
    pub(super) close: Option<CloseJson>,
    pub(super) compressed: Option<bool>,
    pub(super) chunks: Option<u16>,
    pub(super) origin: &'static str,
    pub(super) edit: Option<&'static str>,
    pub(super) findings: Vec<FindingJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) complete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truncated: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct MessageJson {
    pub(super) event: &'static str,
    pub(super) time: f64,
    pub(super) conn: u32,
    pub(super) from: &'static str,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) fragments: Option<u64>,
    pub(super) r#type: &'static str,
    pub(super) compressed: Option<bool>,
    pub(super) wire_length: Option<u64>,
    pub(super) length: Option<u64>,
    #[serde(flatten)]
    pub(super) content: ContentJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truncated: Option<bool>,
}

/// What a message says.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ContentJson {
    Text {
        text: String,
    },
    Payload {
        payload: String,
    },
    /// It is compressed, and why it is not inflated.
    Unknown {
        text: (),
        payload: (),
        why: String,
    },
}

#[derive(Serialize)]
pub(super) struct CloseEventJson {
    pub(super) event: &'static str,
    pub(super) time: f64,
    pub(super) conn: u32,
    pub(super) code: Option<u16>,
    pub(super) reason: Option<String>,
    pub(super) by: Option<&'static str>,
    pub(super) clean: Option<bool>,
    pub(super) how: Option<&'static str>,
    pub(super) verdict: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reactions: Vec<ReactionJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pings: Option<Sides<PingsJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay: Option<Sides<Times>>,
}

/// What a side did that had to fail the connection.
#[derive(Serialize)]
pub(super) struct ReactionJson {
    pub(super) of: &'static str,
    /// The frame.
    pub(super) n: u64,
    pub(super) rule: &'static str,
    pub(super) due: u16,
    pub(super) did: &'static str,
    pub(super) sentence: String,
}

impl ReactionJson {
    pub(super) fn of(reaction: &Reaction) -> Self {
        Self {
            of: reaction.of.name(),
            n: reaction.due.frame,
            rule: reaction.due.rule.id(),
            due: reaction.due.code.0,
            did: reaction.did.name(),
            sentence: reaction.sentence.clone(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Sides<T> {
    pub(super) client: Option<T>,
    pub(super) server: Option<T>,
}

#[derive(Serialize)]
pub(super) struct PingsJson {
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) passed_over: u64,
    pub(super) unanswered: u64,
    pub(super) unsolicited_pongs: u64,
    pub(super) round_trip: Option<Times>,
}

/// Seconds.
#[derive(Serialize)]
pub(super) struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) least: Option<f64>,
    pub(super) mean: f64,
    pub(super) most: f64,
}

#[derive(Serialize)]
pub(super) struct HeadJson {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
}

#[derive(Serialize)]
pub(super) struct CloseJson {
    pub(super) code: u16,
    pub(super) reason: String,
}

#[derive(Serialize)]
pub(in crate::formats) struct FindingJson {
    pub(super) rule: &'static str,
    pub(super) section: &'static str,
    pub(super) level: &'static str,
    pub(super) at: Option<[u64; 2]>,
    pub(super) sees: String,
}
