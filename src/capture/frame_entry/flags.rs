//! What is true of a frame or not, a bit each.

use crate::capture::event::Origin;
use crate::wire::Side;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::capture) struct Flags(u16);

impl Flags {
    const FROM_SERVER: u16 = 1;
    pub(in crate::capture) const COMPLETE: u16 = 2;
    pub(in crate::capture) const COMPRESSED: u16 = 4;
    pub(in crate::capture) const HAS_FINDINGS: u16 = 8;
    const BY_ENDPOINT: u16 = 16;
    const BY_USER: u16 = 32;
    pub(in crate::capture) const MISSING: u16 = 64;
    pub(in crate::capture) const INJECTED: u16 = 128;
    pub(in crate::capture) const ARCHIVED: u16 = 256;

    /// Those of a frame that `from` sent and `origin` made; nothing else is true of it.
    pub(in crate::capture) const fn made(from: Side, origin: Origin) -> Self {
        Self(0)
            .with(Self::FROM_SERVER, matches!(from, Side::Server))
            .with(Self::BY_ENDPOINT, matches!(origin, Origin::Endpoint))
            .with(Self::BY_USER, matches!(origin, Origin::User))
    }

    pub(in crate::capture) const fn with(self, flag: u16, is_set: bool) -> Self {
        Self(if is_set { self.0 | flag } else { self.0 & !flag })
    }

    /// What is true of this one or another.
    #[inline]
    pub(in crate::capture) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(in crate::capture) const fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    pub(in crate::capture) const fn from(self) -> Side {
        if self.has(Self::FROM_SERVER) { Side::Server } else { Side::Client }
    }

    #[inline]
    pub(in crate::capture) const fn origin(self) -> Origin {
        if self.has(Self::BY_USER) {
            Origin::User
        } else if self.has(Self::BY_ENDPOINT) {
            Origin::Endpoint
        } else {
            Origin::Peer
        }
    }
}
