//! Which end of a connection this is, and what each has for itself.

use std::fmt;

use crate::wire::handshake::Opening;
use crate::wire::{MaskingKey, Side};

/// One end.
#[derive(Debug)]
pub(super) enum Role {
    /// It answers, and masks nothing.
    Server,
    /// It asks, and masks each of its frames.
    Client {
        /// What it asked for.
        opening: Opening,
        /// A key for each frame.
        keys: MaskingKeys,
    },
}

impl Role {
    pub(super) const fn side(&self) -> Side {
        match self {
            Self::Server => Side::Server,
            Self::Client { .. } => Side::Client,
        }
    }

    /// The key for the next frame of ours, if it is masked.
    pub(super) fn next_key(&mut self) -> Option<MaskingKey> {
        match self {
            Self::Server => None,
            Self::Client { keys, .. } => Some((keys.0)()),
        }
    }
}

/// Where masking keys come from: each of them from a strong source of entropy, so that nobody can tell the next one from
/// those before (RFC 6455 5.3).
pub struct MaskingKeys(Box<dyn FnMut() -> MaskingKey + Send + Sync>);

impl MaskingKeys {
    /// Each call of `next` gives the key of a frame.
    pub fn new(next: impl FnMut() -> MaskingKey + Send + Sync + 'static) -> Self {
        Self(Box::new(next))
    }
}

impl fmt::Debug for MaskingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskingKeys")
    }
}
