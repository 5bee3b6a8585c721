//! The parameters of permessage-deflate (RFC 7692 7.1).

use std::fmt;

use crate::wire::{Extension, Parameter, Side};

/// The extension's registered name.
pub const DEFLATE: &str = "permessage-deflate";

const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// What a client offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateOffer {
    /// The server is asked to compress each message by itself.
    pub server_no_context_takeover: bool,
    /// The client will compress each message by itself, whether or not the answer says so.
    pub client_no_context_takeover: bool,
    /// The server is asked to look back no further than 2 to this power of bytes: 8 to 15.
    pub server_max_window_bits: Option<u8>,
    /// The client can keep to a window that the server chooses.
    pub client_max_window_bits: Option<WindowOffer>,
}

/// What a client says of a window that the server may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowOffer {
    /// Any will do.
    Any,
    /// It will use no more than 2 to this power of bytes in any case: 8 to 15.
    UpTo(u8),
}

/// What the server's answer settles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateAgreement {
    /// The server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself.
    pub client_no_context_takeover: bool,
    /// The server looks back no further than 2 to this power of bytes: 8 to 15, and 15 if it is not said.
    pub server_max_window_bits: Option<u8>,
    /// The same for the client.
    pub client_max_window_bits: Option<u8>,
}

/// What is wrong with a parameter. Names and values are as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeflateFault {
    /// A parameter stands twice.
    Twice(String),
    /// There is no such parameter.
    Unknown(String),
    /// The parameter takes no value.
    TakesNoValue(Parameter),
    /// The parameter takes a number from 8 to 15.
    NotAWindow(Parameter),
}

impl fmt::Display for DeflateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(name) => write!(f, "\"{name}\" stands twice"),
            Self::Unknown(name) => write!(f, "there is no parameter \"{name}\" of {DEFLATE}"),
            Self::TakesNoValue(Parameter { name, value }) => {
                write!(f, "\"{name}\" takes no value, but has \"{}\"", value.as_deref().unwrap_or_default())
            }
            Self::NotAWindow(Parameter { name, value: Some(value) }) => {
                write!(f, "\"{name}\" takes a number from 8 to 15, not \"{value}\"")
            }
            Self::NotAWindow(Parameter { name, value: None }) => {
                write!(f, "\"{name}\" takes a number from 8 to 15, but has none")
            }
        }
    }
}

impl std::error::Error for DeflateFault {}

/// Why an answer does not fit an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// The server was asked for `server_no_context_takeover` and did not confirm it (7.1.1.1).
    TakeoverNotAnswered,
    /// The server was asked for `server_max_window_bits` and did not confirm any (7.1.2.1).
    WindowNotAnswered,
    /// The client did not offer to keep to a window (7.1.2.2).
    WindowNotOffered,
    /// A window is larger than what was offered.
    WindowTooLarge {
        /// The parameter.
        name: &'static str,
        /// The power of 2 that was offered.
        offered: u8,
        /// And the one answered.
        answered: u8,
    },
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakeoverNotAnswered => write!(f, "\"{SERVER_NO_TAKEOVER}\" was offered and is missing in the answer"),
            Self::WindowNotAnswered => write!(f, "\"{SERVER_WINDOW}\" was offered and is missing in the answer"),
            Self::WindowNotOffered => write!(f, "\"{CLIENT_WINDOW}\" was not offered"),
            Self::WindowTooLarge { name, offered, answered } => {
                write!(f, "\"{name}\" was offered with {offered} and is answered with {answered}, which is more")
            }
        }
    }
}

impl std::error::Error for AnswerFault {}

impl DeflateOffer {
    /// Reads an offer; `extension` is one by the name of [`DEFLATE`].
    pub fn parse(extension: &Extension) -> Result<Self, DeflateFault> {
        let parameters = Parameters::parse(extension)?;
        Ok(Self {
            server_no_context_takeover: parameters.server_no_context_takeover,
            client_no_context_takeover: parameters.client_no_context_takeover,
            server_max_window_bits: settled(SERVER_WINDOW, parameters.server_max_window_bits)?,
            client_max_window_bits: parameters.client_max_window_bits,
        })
    }

    /// What a server that wants `wishes` answers; `None` if it can't accept. It keeps to what is offered (7.1.1.1, 7.1.2.1),
    /// and imposes a window on the client only where that offers to keep to one (7.1.2.2).
    pub fn accept(&self, wishes: DeflateAgreement) -> Option<DeflateAgreement> {
        // DEFLATE's usual compressor can't look back that little
        if self.server_max_window_bits == Some(8) {
            return None;
        }
        let smaller = |offer: Option<u8>, wish: Option<u8>| offer.into_iter().chain(wish).min();
        let client_max_window_bits = self.client_max_window_bits.and_then(|offer| match offer {
            WindowOffer::Any => wishes.client_max_window_bits,
            WindowOffer::UpTo(bits) => smaller(Some(bits), wishes.client_max_window_bits),
        });
        Some(DeflateAgreement {
            server_no_context_takeover: self.server_no_context_takeover || wishes.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || wishes.client_no_context_takeover,
            server_max_window_bits: smaller(self.server_max_window_bits, wishes.server_max_window_bits),
            client_max_window_bits,
        })
    }

    /// Whether `answer` may be given to this offer (7.1).
    pub fn allows(&self, answer: DeflateAgreement) -> Result<(), AnswerFault> {
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(AnswerFault::TakeoverNotAnswered);
        }
        match (self.server_max_window_bits, answer.server_max_window_bits) {
            (Some(_), None) => return Err(AnswerFault::WindowNotAnswered),
            (Some(offered), Some(answered)) if answered > offered => {
                return Err(AnswerFault::WindowTooLarge { name: SERVER_WINDOW, offered, answered });
            }
            _ => {}
        }
        match (self.client_max_window_bits, answer.client_max_window_bits) {
            (None, Some(_)) => Err(AnswerFault::WindowNotOffered),
            (Some(WindowOffer::UpTo(offered)), Some(answered)) if answered > offered => {
                Err(AnswerFault::WindowTooLarge { name: CLIENT_WINDOW, offered, answered })
            }
            _ => Ok(()),
        }
    }

    /// The offer as it is sent.
    pub fn to_extension(&self) -> Extension {
        write(&Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.map(WindowOffer::UpTo),
            client_max_window_bits: self.client_max_window_bits,
        })
    }
}

impl DeflateAgreement {
    /// Reads an answer; `extension` is one by the name of [`DEFLATE`].
    pub fn parse(extension: &Extension) -> Result<Self, DeflateFault> {
        let parameters = Parameters::parse(extension)?;
        Ok(Self {
            server_no_context_takeover: parameters.server_no_context_takeover,
            client_no_context_takeover: parameters.client_no_context_takeover,
            server_max_window_bits: settled(SERVER_WINDOW, parameters.server_max_window_bits)?,
            client_max_window_bits: settled(CLIENT_WINDOW, parameters.client_max_window_bits)?,
        })
    }

    /// The answer as it is sent.
    pub fn to_extension(&self) -> Extension {
        write(&Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.map(WindowOffer::UpTo),
            client_max_window_bits: self.client_max_window_bits.map(WindowOffer::UpTo),
        })
    }

    /// Whether a message of `from` may refer back to earlier ones: its window is carried over.
    pub const fn takes_over(&self, from: Side) -> bool {
        !match from {
            Side::Client => self.client_no_context_takeover,
            Side::Server => self.server_no_context_takeover,
        }
    }

    /// How far `from` looks back at most, as a power of 2: 8 to 15.
    pub fn window_bits(&self, from: Side) -> u8 {
        match from {
            Side::Client => self.client_max_window_bits,
            Side::Server => self.server_max_window_bits,
        }
        .unwrap_or(15)
    }
}

/// The parameters of an offer or an answer: what tells them apart is which may go without a value.
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowOffer>,
    client_max_window_bits: Option<WindowOffer>,
}

impl Parameters {
    fn parse(extension: &Extension) -> Result<Self, DeflateFault> {
        let mut parsed = Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: None,
        };
        for parameter in &extension.parameters {
            let again = match parameter.name.as_str() {
                SERVER_NO_TAKEOVER => flag(parameter, &mut parsed.server_no_context_takeover)?,
                CLIENT_NO_TAKEOVER => flag(parameter, &mut parsed.client_no_context_takeover)?,
                SERVER_WINDOW => parsed.server_max_window_bits.replace(window(parameter)?).is_some(),
                CLIENT_WINDOW => parsed.client_max_window_bits.replace(window(parameter)?).is_some(),
                name => return Err(DeflateFault::Unknown(name.to_owned())),
            };
            if again {
                return Err(DeflateFault::Twice(parameter.name.clone()));
            }
        }
        Ok(parsed)
    }
}

/// A window that must have a number if it is there.
fn settled(name: &str, window: Option<WindowOffer>) -> Result<Option<u8>, DeflateFault> {
    match window {
        None => Ok(None),
        Some(WindowOffer::UpTo(bits)) => Ok(Some(bits)),
        Some(WindowOffer::Any) => Err(DeflateFault::NotAWindow(Parameter { name: name.to_owned(), value: None })),
    }
}

/// Sets the flag; returns whether it was set before.
fn flag(parameter: &Parameter, set: &mut bool) -> Result<bool, DeflateFault> {
    if parameter.value.is_some() {
        return Err(DeflateFault::TakesNoValue(parameter.clone()));
    }
    Ok(std::mem::replace(set, true))
}

/// 8 to 15 without leading zeros (7.1.2.1), or no value.
fn window(parameter: &Parameter) -> Result<WindowOffer, DeflateFault> {
    let Some(value) = parameter.value.as_deref() else { return Ok(WindowOffer::Any) };
    let digits = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    match value.parse() {
        Ok(bits @ 8..=15) if digits => Ok(WindowOffer::UpTo(bits)),
        _ => Err(DeflateFault::NotAWindow(parameter.clone())),
    }
}

fn write(parameters: &Parameters) -> Extension {
    let flag = |name: &str, set: bool| set.then(|| Parameter { name: name.to_owned(), value: None });
    let window = |name: &str, bits: Option<WindowOffer>| {
        let value = |bits| match bits {
            WindowOffer::Any => None,
            WindowOffer::UpTo(bits) => Some(bits.to_string()),
        };
        bits.map(|bits| Parameter { name: name.to_owned(), value: value(bits) })
    };
    let parameters = [
        flag(SERVER_NO_TAKEOVER, parameters.server_no_context_takeover),
        flag(CLIENT_NO_TAKEOVER, parameters.client_no_context_takeover),
        window(SERVER_WINDOW, parameters.server_max_window_bits),
        window(CLIENT_WINDOW, parameters.client_max_window_bits),
    ];
    Extension { name: DEFLATE.to_owned(), parameters: parameters.into_iter().flatten().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::parse_extensions;

    fn offer(value: &str) -> Result<DeflateOffer, DeflateFault> {
        DeflateOffer::parse(&parse_extensions(value).unwrap()[0])
    }

    fn answer(value: &str) -> Result<DeflateAgreement, DeflateFault> {
        DeflateAgreement::parse(&parse_extensions(value).unwrap()[0])
    }

    #[test]
    fn offers_and_answers_are_read_and_written() {
        for value in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; \
             client_max_window_bits=15",
        ] {
            assert_eq!(offer(value).unwrap().to_extension().to_string(), value);
        }
        let agreed = answer("permessage-deflate; client_no_context_takeover; server_max_window_bits=10").unwrap();
        assert!(agreed.takes_over(Side::Server) && !agreed.takes_over(Side::Client));
        assert_eq!((agreed.window_bits(Side::Server), agreed.window_bits(Side::Client)), (10, 15));
        assert_eq!(
            agreed.to_extension().to_string(),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"
        );
    }

    #[test]
    fn an_offer_is_answered_with_what_it_asks_for_and_what_the_server_wants() {
        let none = "permessage-deflate";
        for (offered, wished, answered) in [
            ("", "", ""),
            ("; client_max_window_bits", "", ""),
            ("; client_max_window_bits=10", "", "; client_max_window_bits=10"),
            ("; client_max_window_bits=8", "", "; client_max_window_bits=8"),
            ("; server_max_window_bits=15", "", "; server_max_window_bits=15"),
            ("; server_max_window_bits=9", "; server_max_window_bits=12", "; server_max_window_bits=9"),
            ("; server_max_window_bits=12", "; server_max_window_bits=9", "; server_max_window_bits=9"),
            ("", "; server_max_window_bits=9", "; server_max_window_bits=9"),
            ("", "; client_max_window_bits=9", ""),
            ("; client_max_window_bits", "; client_max_window_bits=9", "; client_max_window_bits=9"),
            ("; client_max_window_bits=8", "; client_max_window_bits=9", "; client_max_window_bits=8"),
            ("; client_max_window_bits=12", "; client_max_window_bits=9", "; client_max_window_bits=9"),
            ("; server_no_context_takeover", "", "; server_no_context_takeover"),
            ("; client_no_context_takeover", "", "; client_no_context_takeover"),
            ("", "; server_no_context_takeover", "; server_no_context_takeover"),
            ("", "; client_no_context_takeover", "; client_no_context_takeover"),
        ] {
            let offer = offer(&format!("{none}{offered}")).unwrap();
            let agreed = offer.accept(answer(&format!("{none}{wished}")).unwrap()).unwrap();
            assert_eq!(agreed.to_extension().to_string(), format!("{none}{answered}"), "{offered} and {wished}");
            assert_eq!(offer.allows(agreed), Ok(()), "{offered} and {wished}");
        }
        let tiny = offer("permessage-deflate; server_max_window_bits=8").unwrap();
        assert_eq!(tiny.accept(DeflateAgreement::default()), None);
    }

    #[test]
    fn an_answer_that_does_not_fit_its_offer_is_told() {
        for (offered, answered, fault) in [
            (
                "; server_no_context_takeover",
                "",
                "\"server_no_context_takeover\" was offered and is missing in the answer",
            ),
            ("; server_max_window_bits=12", "", "\"server_max_window_bits\" was offered and is missing in the answer"),
            (
                "; server_max_window_bits=12",
                "; server_max_window_bits=13",
                "\"server_max_window_bits\" was offered with 12 and is answered with 13, which is more",
            ),
            ("", "; client_max_window_bits=13", "\"client_max_window_bits\" was not offered"),
            (
                "; client_max_window_bits=12",
                "; client_max_window_bits=13",
                "\"client_max_window_bits\" was offered with 12 and is answered with 13, which is more",
            ),
        ] {
            let offer = offer(&format!("permessage-deflate{offered}")).unwrap();
            let answer = answer(&format!("permessage-deflate{answered}")).unwrap();
            assert_eq!(offer.allows(answer).unwrap_err().to_string(), fault);
        }
    }

    #[test]
    fn only_an_offer_leaves_the_clients_window_open() {
        assert_eq!(
            offer("permessage-deflate; client_max_window_bits").unwrap().client_max_window_bits,
            Some(WindowOffer::Any)
        );
        assert!(answer("permessage-deflate; client_max_window_bits").is_err());
        assert!(offer("permessage-deflate; server_max_window_bits").is_err());
    }

    #[test]
    fn parameters_that_make_no_sense_are_named() {
        for (value, says) in [
            ("server_max_window_bits=16", "\"server_max_window_bits\" takes a number from 8 to 15, not \"16\""),
            ("server_max_window_bits=7", "\"server_max_window_bits\" takes a number from 8 to 15, not \"7\""),
            ("client_max_window_bits=09", "\"client_max_window_bits\" takes a number from 8 to 15, not \"09\""),
            ("client_max_window_bits=+9", "\"client_max_window_bits\" takes a number from 8 to 15, not \"+9\""),
            ("server_max_window_bits", "\"server_max_window_bits\" takes a number from 8 to 15, but has none"),
            ("client_no_context_takeover=1", "\"client_no_context_takeover\" takes no value, but has \"1\""),
            ("client_no_context_takeover; client_no_context_takeover", "\"client_no_context_takeover\" stands twice"),
            ("x=y", "there is no parameter \"x\" of permessage-deflate"),
        ] {
            assert_eq!(offer(&format!("permessage-deflate; {value}")).unwrap_err().to_string(), says);
        }
    }
}
