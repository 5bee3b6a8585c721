//! A frame that was seen, to be sent again.

use std::time::Duration;

use crate::capture::{Capture, ConnectionId};
use crate::compose::{Composed, ComposedFrame};
use crate::control::{Command, Outgoing};
use crate::wire::{Header, MaskingKey, Side};

/// A recorded frame on its way to `to`: all as it was, but for a fresh masking key where it was masked.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) n: u64,
    pub(super) connection: ConnectionId,
    pub(super) to: Side,
    pub(super) frame: ComposedFrame,
}

impl Recorded {
    /// Reads frame `n` back, to be sent on `connection`: to where it went, or to `peer` if there is nobody else. What that
    /// one sent itself goes back to it masked as what others send to it.
    pub(super) fn read(
        capture: &Capture,
        n: u64,
        connection: ConnectionId,
        peer: Option<Side>,
    ) -> Result<Self, String> {
        let entry = capture.index().frame(n).ok_or_else(|| format!("frame {n} is gone"))?;
        let header = entry.header();
        if header.length > Composed::MAX_PAYLOAD as u64 {
            let most = Composed::MAX_PAYLOAD;
            return Err(format!(
                "frame {n} has {} bytes of payload; {most} is the most that is sent again",
                header.length
            ));
        }
        let payload = capture.payload(&entry, 0..header.length).unwrap_or_default();
        if !entry.is_complete() || payload.len() as u64 != header.length {
            return Err(format!("frame {n} is not whole and can't be sent again"));
        }
        let to = peer.unwrap_or(entry.from().other());
        let stays = entry.from() == to.other();
        let is_masked = if stays { header.masking_key.is_some() } else { to == Side::Server };
        let masking_key = if is_masked { Some(fresh_key()?) } else { None };
        let frame = ComposedFrame { header: Header { masking_key, ..header }, payload };
        Ok(Self { n, connection, to, frame })
    }

    /// Sends it as it is.
    pub(super) fn again(self) -> Result<Command, String> {
        let composed = Composed::new(vec![self.frame], 1, Duration::ZERO).map_err(|error| error.to_string())?;
        Ok(Command { connection: self.connection, to: self.to, send: Outgoing::Composed(composed) })
    }
}

/// A masking key that nobody can foresee (RFC 6455 5.3).
pub(super) fn fresh_key() -> Result<MaskingKey, String> {
    let mut key = [0; 4];
    match getrandom::fill(&mut key) {
        Ok(()) => Ok(MaskingKey(key)),
        Err(error) => Err(format!("the system gives no random numbers for a masking key: {error}")),
    }
}
