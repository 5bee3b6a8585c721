//! The closing handshake's body: a status code and a reason (RFC 6455 5.5.1, 7.4).

use std::fmt;

/// A close status code, any of the 65 536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

/// Who may use a close code, and whether it may be sent (RFC 6455 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCodeClass {
    /// Registered, and allowed in a close frame.
    Registered,
    /// Never to be sent: 0 to 999, 1004, 1005, 1006, 1015, and from 5000 up.
    Forbidden,
    /// Reserved for this protocol and not yet given a meaning.
    Unassigned,
    /// 3000 to 3999: libraries and frameworks, registered with IANA.
    Library,
    /// 4000 to 4999: private agreement between the peers.
    Private,
}

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// An endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Stands for "no code was in the close frame"; never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// Stands for "the connection ended without a close frame"; never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// A message does not fit its type: text that is no UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A message breaks the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message is too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server met something unexpected.
    pub const INTERNAL_ERROR: Self = Self(1011);

    /// Who may use it.
    pub const fn class(self) -> CloseCodeClass {
        match self.0 {
            1000..=1003 | 1007..=1014 => CloseCodeClass::Registered,
            0..=999 | 1004..=1006 | 1015 | 5000.. => CloseCodeClass::Forbidden,
            1016..=2999 => CloseCodeClass::Unassigned,
            3000..=3999 => CloseCodeClass::Library,
            4000..=4999 => CloseCodeClass::Private,
        }
    }

    /// The name in IANA's registry, or the range it belongs to.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0..=999 => "not used",
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1004 => "reserved",
            1005 => "no status received",
            1006 => "abnormal closure",
            1007 => "invalid payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "TLS handshake failed",
            1016..=2999 => "unassigned",
            3000..=3999 => "library or framework",
            4000..=4999 => "private use",
            5000.. => "outside every range",
        }
    }

    /// What the code says to the peer that gets it, in a sentence.
    pub const fn meaning(self) -> &'static str {
        match self.0 {
            0..=999 => "Codes 0 to 999 are not used.",
            1000 => "The purpose for which the connection was opened has been fulfilled.",
            1001 => "An endpoint is going away: a server shuts down or a browser has left the page.",
            1002 => "The endpoint ends the connection because its peer broke the protocol.",
            1003 => {
                "The endpoint got a type of data that it cannot accept, such as binary where it understands text only."
            }
            1004 => "Reserved; a meaning may be given to it in the future. It must not be sent.",
            1005 => "Never on the wire: a program reports it when the close frame that it got held no code.",
            1006 => "Never on the wire: a program reports it when the connection ended without any close frame.",
            1007 => "A message held data that does not fit its type, such as text that is not valid UTF-8.",
            1008 => "A message breaks the endpoint's policy; the code for all that no other code fits.",
            1009 => "A message is too big for the endpoint to process.",
            1010 => "The client wanted an extension that the server did not agree to; only a client sends it.",
            1011 => "The server met an unexpected condition that keeps it from fulfilling the request.",
            1012 => "The service is restarting; the client may connect again after a random wait of 5 to 30 seconds.",
            1013 => "The service is overloaded; the client may connect again later, elsewhere or after the user acts.",
            1014 => "The server is a gateway or proxy and got an invalid response from upstream; like HTTP's 502.",
            1015 => "Never on the wire: a program reports it when the TLS handshake failed.",
            1016..=2999 => "Reserved for RFC 6455, its revisions and extensions; this code has no meaning yet.",
            3000..=3999 => {
                "For libraries, frameworks and applications; registered with IANA, and not explained by RFC 6455."
            }
            4000..=4999 => "For private use; what it means is between the two peers.",
            5000.. => "RFC 6455 defines no code from 5000 up.",
        }
    }

    /// The section that speaks of it.
    pub const fn section(self) -> &'static str {
        match self.0 {
            1000..=1011 | 1015 => "RFC 6455 7.4.1",
            1012..=1014 => "IANA registry, RFC 6455 11.7",
            _ => "RFC 6455 7.4.2",
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

/// The unmasked payload of a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseBody<'a> {
    /// No code, no reason: allowed.
    Empty,
    /// Half a code, which RFC 6455 5.5.1 does not allow.
    OneByte(u8),
    /// A code in network byte order, then the reason, which ought to be UTF-8.
    Code(CloseCode, &'a [u8]),
}

impl<'a> CloseBody<'a> {
    /// Takes an unmasked payload apart.
    pub const fn parse(payload: &'a [u8]) -> Self {
        match payload {
            [] => Self::Empty,
            [byte] => Self::OneByte(*byte),
            [high, low, reason @ ..] => Self::Code(CloseCode(u16::from_be_bytes([*high, *low])), reason),
        }
    }

    /// The payload for `code` and `reason`, the reason cut at a character so that both fit a control frame's 125 bytes.
    pub fn encode(code: CloseCode, reason: &str) -> Vec<u8> {
        let mut payload = code.0.to_be_bytes().to_vec();
        let fits = (0..=reason.len().min(123)).rev().find(|&at| reason.is_char_boundary(at)).unwrap_or_default();
        payload.extend_from_slice(&reason.as_bytes()[..fits]);
        payload
    }

    /// The code, if there is a whole one.
    pub const fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Code(code, _) => Some(*code),
            Self::Empty | Self::OneByte(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_ranges_are_those_of_rfc_6455_7_4() {
        use CloseCodeClass::{Forbidden, Library, Private, Registered, Unassigned};
        for (code, class) in [
            (0, Forbidden),
            (999, Forbidden),
            (1000, Registered),
            (1003, Registered),
            (1004, Forbidden),
            (1005, Forbidden),
            (1006, Forbidden),
            (1007, Registered),
            (1014, Registered),
            (1015, Forbidden),
            (1016, Unassigned),
            (2999, Unassigned),
            (3000, Library),
            (3999, Library),
            (4000, Private),
            (4999, Private),
            (5000, Forbidden),
            (65535, Forbidden),
        ] {
            assert_eq!(CloseCode(code).class(), class, "{code}");
        }
    }

    #[test]
    fn a_body_is_nothing_or_a_code_and_a_reason() {
        assert_eq!(CloseBody::parse(b""), CloseBody::Empty);
        assert_eq!(CloseBody::parse(b"\x03"), CloseBody::OneByte(3));
        assert_eq!(CloseBody::parse(b"\x03\xe8bye"), CloseBody::Code(CloseCode::NORMAL, b"bye"));
    }

    #[test]
    fn a_reason_is_cut_at_a_character_to_fit_a_control_frame() {
        let body = CloseBody::encode(CloseCode::NORMAL, &"é".repeat(100));
        assert_eq!(body.len(), 2 + 122);
        assert!(std::str::from_utf8(&body[2..]).is_ok());
    }
}
