//! What is said of how a connection ended.

use serde::de::MapAccess;

use super::json::{Fields, Scalar};
use crate::capture::event::Account;
use crate::wire::CloseCode;

/// The most bytes that are kept of what a HAR says of an end.
const MAX_WORDS: usize = 500;

/// HTTP Toolkit's `_webSocketClose`: code and reason, or `"aborted"`; its time counts from when that program began. Our
/// own exports say what another HAR said.
#[derive(Default)]
pub(super) struct Closed {
    pub(super) account: Option<Account>,
}

impl Fields for Closed {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let value: Scalar = map.next_value()?;
        let account = self.account.get_or_insert_default();
        match name {
            "code" => account.code = value.unsigned().and_then(|code| u16::try_from(code).ok()).map(CloseCode),
            "reason" => account.reason = value.text().map(words),
            "error" => account.error = value.text().map(words),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.account = Some(Account { error: Some(words(text.to_owned())), ..Account::default() });
    }
}

/// No more than is worth keeping.
pub(super) fn words(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_WORDS));
    text
}
