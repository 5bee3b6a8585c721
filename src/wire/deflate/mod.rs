//! permessage-deflate (RFC 7692): what two ends agree on, and the compression of messages.
//!
//! A compressed message is a piece of a DEFLATE stream (RFC 1951) that ends at a byte border, less the four bytes
//! `00 00 ff ff` that would end every one of them (7.2.1). RSV1 of its first frame marks it.

mod deflater;
mod inflater;
mod negotiation;

pub use deflater::Deflater;
pub use inflater::{InflateError, Inflater, MAX_WINDOW};
pub use negotiation::{AnswerFault, DEFLATE, DeflateAgreement, DeflateFault, DeflateOffer, WindowOffer};

/// What is left off the end of every compressed message (RFC 7692 7.2.1): an empty block without compression, whose
/// first three bits are still there.
pub const IMPLIED_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
