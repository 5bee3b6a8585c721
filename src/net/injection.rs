//! What the user puts into a relayed connection, as bytes.

use std::time::Duration;

use bytes::Bytes;

use super::borders::Border;
use crate::capture::{Note, Origin};
use crate::control::Outgoing;
use crate::wire::{CloseBody, CloseCode, Header, MaskingKey, Opcode, Side, encode_frame, fragments};

/// Frames that go in together, at a border.
#[derive(Debug)]
pub(super) struct Injection {
    pub(super) bytes: Bytes,
    /// Where in `bytes` each frame begins, and who made it.
    pub(super) notes: Vec<Note>,
    /// Where it may go in.
    pub(super) border: Border,
    /// It ends what goes that way.
    pub(super) is_close: bool,
    /// How many bytes each write takes, where that matters, and the time between two of them.
    pub(super) writes: Vec<usize>,
    pub(super) delay: Duration,
}

impl Injection {
    /// What `outgoing` is on its way to `to`, masked if that is the server; `None` if the system has no random numbers.
    pub(super) fn new(outgoing: &Outgoing, to: Side, origin: Origin) -> Option<Self> {
        let mut frames = Frames { to, origin, bytes: Vec::new(), notes: Vec::new() };
        let (mut writes, mut delay) = (Vec::new(), Duration::ZERO);
        match outgoing {
            Outgoing::Text(text) => frames.push(Opcode::TEXT, true, text.as_bytes())?,
            Outgoing::Fragments { text, count, ping_between } => {
                let count = u16::try_from(*count).unwrap_or(u16::MAX);
                for (opcode, fin, fragment) in fragments(Opcode::TEXT, text.as_bytes(), count) {
                    frames.push(opcode, fin, fragment)?;
                    if *ping_between && opcode == Opcode::TEXT && !fin {
                        frames.push(Opcode::PING, true, b"between fragments")?;
                    }
                }
            }
            Outgoing::Ping(payload) => frames.push(Opcode::PING, true, payload)?,
            Outgoing::Pong(payload) => frames.push(Opcode::PONG, true, payload)?,
            Outgoing::Close { code, reason } => {
                // 1005 stands for no body, as it does in `serve`
                let code = code.filter(|&code| code != CloseCode::NO_STATUS);
                let body = code.map_or_else(Vec::new, |code| CloseBody::encode(code, reason));
                frames.push(Opcode::CLOSE, true, &body)?;
            }
            Outgoing::Composed(composed) => {
                composed.frames().iter().for_each(|frame| frames.push_as_it_is(&frame.header, &frame.payload));
                writes = composed.writes().map(|write| write.len()).collect();
                delay = composed.delay();
            }
        }
        let is_message = matches!(outgoing, Outgoing::Text(_) | Outgoing::Fragments { .. });
        Some(Self {
            bytes: frames.bytes.into(),
            notes: frames.notes,
            border: if is_message { Border::Message } else { Border::Frame },
            is_close: match outgoing {
                Outgoing::Composed(composed) => {
                    composed.frames().iter().any(|frame| frame.header.opcode == Opcode::CLOSE)
                }
                outgoing => matches!(outgoing, Outgoing::Close { .. }),
            },
            writes,
            delay,
        })
    }
}

struct Frames {
    to: Side,
    origin: Origin,
    bytes: Vec<u8>,
    notes: Vec<Note>,
}

impl Frames {
    fn push(&mut self, opcode: Opcode, fin: bool, payload: &[u8]) -> Option<()> {
        let key = match self.to {
            Side::Client => None,
            // a fresh one for each frame, which nobody can foresee (RFC 6455 5.3)
            Side::Server => {
                let mut key = [0; 4];
                getrandom::fill(&mut key).ok()?;
                Some(MaskingKey(key))
            }
        };
        self.push_as_it_is(&Header::new(opcode, key, payload.len() as u64).with_fin(fin), payload);
        Some(())
    }

    fn push_as_it_is(&mut self, header: &Header, payload: &[u8]) {
        self.notes.push(Note { offset: self.bytes.len(), origin: self.origin });
        encode_frame(header, payload, &mut self.bytes);
    }
}
