//! What RFC 6455 forbids, and what in given bytes breaks it.
//!
//! Sans-IO, and a judge only: a [`Finding`] stands beside the frame or handshake that it speaks of and changes nothing.
//! The endpoint enforces by the same [`Rule`] table that every view prints.

mod compression_checks;
mod finding;
mod handshake_checks;
mod header_checks;
mod linter;
mod payload_checks;
mod rule;
mod sequence_checks;

pub use finding::{Detail, Finding};
pub use handshake_checks::{check_request, check_response, request_rule};
pub use header_checks::RecentKeys;
pub use linter::{Limits, Linter};
pub use rule::{Group, Level, Rule};
