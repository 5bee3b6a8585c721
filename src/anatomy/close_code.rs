//! A close code explained (RFC 6455 7.4).

use crate::wire::{CloseCode, CloseCodeClass};

/// What there is to say of a close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCodeAnatomy {
    /// The code.
    pub code: CloseCode,
    /// Its name, or that of its range.
    pub name: &'static str,
    /// Who may use it.
    pub class: &'static str,
    /// What it says to the peer.
    pub meaning: &'static str,
    /// Whether it may stand in a close frame.
    pub may_be_sent: bool,
    /// Where it is written.
    pub section: &'static str,
}

/// Explains `code`.
pub const fn close_code(code: CloseCode) -> CloseCodeAnatomy {
    let (class, may_be_sent) = match code.class() {
        CloseCodeClass::Registered => ("registered for the protocol", true),
        CloseCodeClass::Forbidden => ("never sent in a close frame", false),
        CloseCodeClass::Unassigned => ("kept for the protocol, without a meaning yet", false),
        CloseCodeClass::Library => ("for libraries and frameworks, first come first served at IANA", true),
        CloseCodeClass::Private => ("for private agreement between the peers", true),
    };
    CloseCodeAnatomy { code, name: code.name(), class, meaning: code.meaning(), may_be_sent, section: code.section() }
}
