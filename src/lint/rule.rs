//! The catalogue of rules.

use crate::wire::CloseCode;

/// How strongly the RFC words a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Legal, and worth knowing.
    Advice,
    /// SHOULD, or a bound of our own.
    Should,
    /// MUST.
    Must,
}

impl Level {
    /// `must`, `should` or `advice`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Advice => "advice",
        }
    }
}

/// What part of a connection a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// One frame's header.
    Frames,
    /// The order of frames.
    Order,
    /// What the payload holds.
    Payload,
    /// What permessage-deflate adds (RFC 7692).
    Compression,
    /// The opening handshake.
    Handshake,
    /// Bounds that are ours, not the RFC's.
    Limits,
}

impl Group {
    /// A heading.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frames => "Frames",
            Self::Order => "Order",
            Self::Payload => "Payload",
            Self::Compression => "Compression",
            Self::Handshake => "Handshake",
            Self::Limits => "Limits (ours)",
        }
    }
}

struct Entry {
    id: &'static str,
    group: Group,
    level: Level,
    section: &'static str,
    /// What an endpoint that is strict closes with; `None` where it does not fail the connection.
    close_code: Option<CloseCode>,
    sentence: &'static str,
}

macro_rules! catalogue {
    ($($rule:ident $id:literal $group:ident $level:ident $section:literal $code:expr, $sentence:literal;)+) => {
        /// A rule of RFC 6455 or RFC 7692 that a peer can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Rule {
            $(#[doc = $sentence] $rule,)+
        }

        impl Rule {
            /// Every rule, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$rule,)+];

            const fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$rule => &Entry {
                        id: $id,
                        group: Group::$group,
                        level: Level::$level,
                        section: $section,
                        close_code: $code,
                        sentence: $sentence,
                    },)+
                }
            }
        }
    };
}

const PROTOCOL: Option<CloseCode> = Some(CloseCode::PROTOCOL_ERROR);
const PAYLOAD: Option<CloseCode> = Some(CloseCode::INVALID_PAYLOAD);
const TOO_BIG: Option<CloseCode> = Some(CloseCode::MESSAGE_TOO_BIG);

catalogue! {
    UnmaskedClientFrame "unmasked-client-frame" Frames Must "RFC 6455 5.1" PROTOCOL,
        "A client masks every frame it sends; a server that gets an unmasked one closes the connection.";
    MaskedServerFrame "masked-server-frame" Frames Must "RFC 6455 5.1" PROTOCOL,
        "A server never masks the frames it sends; a client that gets a masked one closes the connection.";
    RsvWithoutExtension "rsv-without-extension" Frames Must "RFC 6455 5.2" PROTOCOL,
        "RSV1, RSV2 and RSV3 are 0 unless an extension that gives them a meaning was agreed on in the opening handshake.";
    ReservedOpcode "reserved-opcode" Frames Must "RFC 6455 5.2" PROTOCOL,
        "Opcodes 3 to 7 and 11 to 15 have no meaning yet; whoever gets one fails the connection.";
    FragmentedControl "fragmented-control" Frames Must "RFC 6455 5.5" PROTOCOL,
        "Close, ping and pong are never fragmented: their FIN bit is always 1.";
    ControlTooLong "control-too-long" Frames Must "RFC 6455 5.5" PROTOCOL,
        "Close, ping and pong carry at most 125 bytes, so that their length always fits the first two bytes.";
    LengthNotMinimal "length-not-minimal" Frames Must "RFC 6455 5.2" PROTOCOL,
        "The length is written in the fewest bytes that hold it: 7 bits up to 125, 16 bits up to 65535, then 64 bits.";
    LengthTopBit "length-top-bit" Frames Must "RFC 6455 5.2" PROTOCOL,
        "The top bit of a 64-bit length is 0. With it set nobody can tell where the frame ends, and the rest of the stream is lost.";
    MaskingKeyReused "masking-key-reused" Frames Should "RFC 6455 5.3" None,
        "Each frame has a fresh masking key that nobody can predict; one seen a few frames ago points at a fixed or counted key.";
    ContinuationWithoutStart "continuation-without-start" Order Must "RFC 6455 5.4" PROTOCOL,
        "A continuation frame goes on with a fragmented message; here none has been begun.";
    DataInsideMessage "data-inside-message" Order Must "RFC 6455 5.4" PROTOCOL,
        "Between the fragments of a message only control frames may come; a new message waits until the last fragment.";
    FrameAfterClose "frame-after-close" Order Must "RFC 6455 5.5.1" None,
        "After its close frame an endpoint sends nothing more; whatever follows is ignored.";
    InvalidUtf8 "invalid-utf8" Payload Must "RFC 6455 8.1" PAYLOAD,
        "A text message is valid UTF-8 from its first byte to its last, across all of its fragments.";
    CloseBodyOneByte "close-body-one-byte" Payload Must "RFC 6455 5.5.1" PROTOCOL,
        "The body of a close frame is empty or begins with a two-byte code; one byte is half a code.";
    CloseCodeForbidden "close-code-forbidden" Payload Must "RFC 6455 7.4" PROTOCOL,
        "Some codes are never sent: 0 to 999, from 5000 up, and 1004, 1005, 1006 and 1015, which programs use among themselves.";
    CloseCodeUnassigned "close-code-unassigned" Payload Must "RFC 6455 7.4.2" PROTOCOL,
        "Codes 1016 to 2999 are kept for the protocol itself and have no meaning yet; applications use 3000 to 4999.";
    CloseReasonInvalidUtf8 "close-reason-invalid-utf8" Payload Must "RFC 6455 5.5.1" PAYLOAD,
        "The reason after the code of a close frame is text in UTF-8.";
    PongUnsolicited "pong-unsolicited" Payload Advice "RFC 6455 5.5.3" None,
        "A pong that answers no ping is legal: a heartbeat in one direction, to which nobody replies.";
    Rsv1OnContinuation "rsv1-on-continuation" Compression Must "RFC 7692 6.1" PROTOCOL,
        "RSV1 of a message's first frame says whether all of it is compressed; on a continuation it is 0.";
    Rsv1OnControl "rsv1-on-control" Compression Must "RFC 7692 6.1" PROTOCOL,
        "Close, ping and pong are never compressed: their RSV1 is 0.";
    InflateFailed "inflate-failed" Compression Must "RFC 7692 7.2.2" PAYLOAD,
        "A compressed message, with 00 00 ff ff added to its end, is whole blocks of DEFLATE that refer to no more than was sent before.";
    RequestNotGet "request-not-get" Handshake Must "RFC 6455 4.1" None,
        "The opening handshake is a GET request.";
    RequestHttpVersion "request-http-version" Handshake Must "RFC 6455 4.1" None,
        "The opening handshake is HTTP/1.1 or a higher version of HTTP/1.";
    HostMissing "host-missing" Handshake Must "RFC 6455 4.1" None,
        "The request names the server that it is meant for in a Host header.";
    UpgradeMissing "upgrade-missing" Handshake Must "RFC 6455 4.1" None,
        "Request and response hold the header \"Upgrade: websocket\".";
    ConnectionMissing "connection-missing" Handshake Must "RFC 6455 4.1" None,
        "Request and response hold a Connection header with the token \"Upgrade\".";
    KeyMissing "key-missing" Handshake Must "RFC 6455 4.1" None,
        "The request holds a Sec-WebSocket-Key, whose answer proves that the server speaks WebSocket.";
    KeyNot16Bytes "key-not-16-bytes" Handshake Must "RFC 6455 4.1" None,
        "The Sec-WebSocket-Key is 16 random bytes in base64: 24 characters that end in \"==\".";
    VersionNot13 "version-not-13" Handshake Must "RFC 6455 4.1" None,
        "The request holds \"Sec-WebSocket-Version: 13\"; to any other version a server answers 426 and names 13.";
    AcceptMissing "accept-missing" Handshake Must "RFC 6455 4.1" None,
        "The response proves that it answers this request with a Sec-WebSocket-Accept header.";
    AcceptWrong "accept-wrong" Handshake Must "RFC 6455 4.1" None,
        "Sec-WebSocket-Accept is base64 of the SHA-1 of the key and a fixed GUID; any other value fails the connection.";
    StatusNot101 "status-not-101" Handshake Must "RFC 6455 4.1" None,
        "Only status 101 switches to WebSocket; any other is an ordinary HTTP answer, and no frame follows.";
    SubprotocolNotOffered "subprotocol-not-offered" Handshake Must "RFC 6455 4.1" None,
        "The server chooses at most one subprotocol, and only one that the client offered.";
    ExtensionNotOffered "extension-not-offered" Handshake Must "RFC 6455 4.1" None,
        "The server agrees only to extensions that the client offered.";
    ExtensionParameterInvalid "extension-parameter-invalid" Handshake Must "RFC 6455 9.1" None,
        "A list of extensions and their parameters follows the grammar and the extension's own rules.";
    HeaderMalformed "header-malformed" Handshake Must "RFC 6455 4.1" None,
        "The opening handshake is well-formed HTTP: lines that end in CR LF, names without blanks, a colon, no control characters.";
    FrameTooBig "frame-too-big" Limits Should "RFC 6455 10.4" TOO_BIG,
        "The frame declares more bytes than --max-frame allows.";
    MessageTooBig "message-too-big" Limits Should "RFC 6455 10.4" TOO_BIG,
        "The fragments of the message, inflated if it is compressed, add up to more bytes than --max-message allows.";
}

impl Rule {
    /// The name that scripts and filters use.
    pub const fn id(self) -> &'static str {
        self.entry().id
    }

    /// The rule with that name.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.id() == id)
    }

    /// What it is about.
    pub const fn group(self) -> Group {
        self.entry().group
    }

    /// Whether a message alone shows that it is broken: its opcode and its payload, whatever frames carried them.
    pub const fn concerns_message(self) -> bool {
        matches!(
            self,
            Self::ReservedOpcode
                | Self::ControlTooLong
                | Self::CloseBodyOneByte
                | Self::CloseCodeForbidden
                | Self::CloseCodeUnassigned
                | Self::CloseReasonInvalidUtf8
                | Self::MessageTooBig
        )
    }

    /// How strong it is.
    pub const fn level(self) -> Level {
        self.entry().level
    }

    /// Where it is written: `RFC 6455 5.1`, `RFC 7692 6.1`.
    pub const fn section(self) -> &'static str {
        self.entry().section
    }

    /// The close code with which a strict endpoint fails the connection (RFC 6455 7.1.7), if it fails it.
    pub const fn close_code(self) -> Option<CloseCode> {
        self.entry().close_code
    }

    /// The rule in a sentence.
    pub const fn sentence(self) -> &'static str {
        self.entry().sentence
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}
