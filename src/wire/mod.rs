//! Bytes ⇄ frames ⇄ messages, and the opening handshake, as RFC 6455 writes them.
//!
//! Sans-IO: bytes are handed in, values come out; masking keys are handed in too. Nothing here judges: whatever a peer
//! can send is represented as it is, and what is wrong with it is for [`crate::lint`] to say. The decoder gives up only
//! where the frame borders themselves are lost.

mod close;
mod decoder;
mod deflate;
mod encoder;
mod extension;
pub mod handshake;
mod header;
pub mod http;
mod mask;
mod message;
mod opcode;
mod utf8;

pub use close::{CloseBody, CloseCode, CloseCodeClass};
pub use decoder::{Decoder, Piece, whole_frame};
pub use deflate::{
    AnswerFault, DEFLATE, DeflateAgreement, DeflateFault, DeflateOffer, Deflater, IMPLIED_TAIL, InflateError, Inflater,
    MAX_WINDOW, WindowOffer,
};
pub use encoder::{encode_frame, encode_frame_into, encode_header, frame};
pub use extension::{Extension, ListError, Parameter, parse_extensions, parse_tokens};
pub use header::{Header, LengthForm, MAX_HEADER, Parsed, Rsv};
pub use mask::{MaskingKey, mask, mask_into, mask_onto};
pub use message::{Message, MessageSequence, MessageTooBig, Place, Reassembler, fragments};
pub use opcode::Opcode;
pub use utf8::{InvalidUtf8, Utf8Checker, is_text};

/// Which end of a connection sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The end that sent the opening handshake's request; it masks its frames (RFC 6455 5.1).
    Client,
    /// The end that answered; it does not mask.
    Server,
}

impl Side {
    /// Both ends, the client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// `"client"` or `"server"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
