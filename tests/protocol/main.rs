//! The protocol core seen from outside: bytes in, values out, and the same values whatever chunks the bytes come in.

mod catalogue;
mod decoder;
mod deflate;
mod frame_rules;
mod handshake_rules;
mod messages;
mod traffic;
mod utf8;
