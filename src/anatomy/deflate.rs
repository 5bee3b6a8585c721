//! Extensions in words (RFC 6455 9, RFC 7692 7.1).

use super::field::{count, quoted};
use crate::wire::{DeflateAgreement, Extension, Parameter, Side};

/// What `extension` asks for or agrees to: `by` the client as an offer, or by the server as an answer.
pub fn extension_in_words(extension: &Extension, by: Side) -> String {
    if extension.name != "permessage-deflate" {
        let parameters = match extension.parameters.len() as u64 {
            0 => String::new(),
            n => format!(" with {}", count(n, "parameter")),
        };
        return format!("The extension {}{parameters}, which is not a registered one.", quoted(&extension.name));
    }
    let mut words = match by {
        Side::Client => "Messages may be compressed with DEFLATE".to_owned(),
        Side::Server => "Messages may be compressed with DEFLATE from now on".to_owned(),
    };
    for parameter in &extension.parameters {
        words.push_str("; ");
        words.push_str(&parameter_in_words(parameter, by));
    }
    words.push('.');
    if by == Side::Server
        && let Ok(agreement) = DeflateAgreement::parse(extension)
    {
        words.push_str(&unsaid_in_words(agreement));
    }
    words
}

/// What it means that a parameter is not there (RFC 7692 7.1).
fn unsaid_in_words(agreement: DeflateAgreement) -> String {
    let carried: Vec<_> =
        Side::BOTH.into_iter().filter(|side| agreement.takes_over(*side)).map(|side| format!("the {side}'s")).collect();
    let window = |side: Side| match side {
        Side::Client => agreement.client_max_window_bits,
        Side::Server => agreement.server_max_window_bits,
    };
    let widest: Vec<_> =
        Side::BOTH.into_iter().filter(|side| window(*side).is_none()).map(|side| format!("the {side}")).collect();
    let carried = match &carried[..] {
        [] => String::new(),
        [one] => format!(" Nothing is said against it, so {one} window is carried over from message to message."),
        all => {
            let whose = all.join(" and ");
            format!(" Nothing is said against it, so {whose} windows are carried over from message to message.")
        }
    };
    let widest = match &widest[..] {
        [] => String::new(),
        all => format!(" No window is named for {}: there it is 32768 bytes.", all.join(" and ")),
    };
    carried + &widest
}

/// A compressed message: its payload bytes on the wire, its bytes inflated if it could be, and, if that is known, whether
/// its sender's window is carried over from message to message.
pub fn compressed_message_in_words(wire: u64, inflated: Option<u64>, takes_over: Option<bool>) -> Vec<String> {
    let mut words = vec![format!(
        "{} of DEFLATE data on the wire; the bytes 00 00 ff ff, which every compressed message would end with, are left off \
         and put back to inflate it (RFC 7692 7.2).",
        count(wire, "byte")
    )];
    if let Some(inflated) = inflated {
        let ratio = if wire > 0 { format!(": {:.1} to 1", inflated as f64 / wire as f64) } else { String::new() };
        words.push(format!("{} inflated{ratio}.", count(inflated, "byte")));
    }
    words.extend(takes_over.map(|takes_over| {
        let whether = if takes_over {
            "The window is carried over: it may refer back to what earlier messages of its sender were inflated to."
        } else {
            "It stands for itself: the window is not carried over from message to message."
        };
        whether.to_owned()
    }));
    words
}

fn parameter_in_words(parameter: &Parameter, by: Side) -> String {
    let window = parameter.value.as_deref().and_then(|value| value.parse::<u32>().ok());
    let window = window.filter(|bits| (8..=15).contains(bits)).map(|bits| format!("{} bytes", 1_u32 << bits));
    match (parameter.name.as_str(), &parameter.value, window) {
        ("server_no_context_takeover", None, _) => "the server compresses each message by itself".to_owned(),
        ("client_no_context_takeover", None, _) => "the client compresses each message by itself".to_owned(),
        ("server_max_window_bits", _, Some(window)) => format!("the server looks back no further than {window}"),
        ("client_max_window_bits", _, Some(window)) => format!("the client looks back no further than {window}"),
        ("client_max_window_bits", None, _) if by == Side::Client => {
            "the client can look back less far if the server asks for it".to_owned()
        }
        (name, None, _) => format!("the parameter {}, which makes no sense here", quoted(name)),
        (name, Some(value), _) => {
            format!("the parameter {} with the value {}, which makes no sense here", quoted(name), quoted(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::parse_extensions;

    fn words(value: &str, by: Side) -> String {
        extension_in_words(&parse_extensions(value).unwrap()[0], by)
    }

    #[test]
    fn the_four_parameters_of_rfc_7692_are_put_in_words() {
        assert_eq!(
            words("permessage-deflate; client_max_window_bits; server_no_context_takeover", Side::Client),
            "Messages may be compressed with DEFLATE; the client can look back less far if the server asks for it; \
             the server compresses each message by itself."
        );
        assert!(
            words("permessage-deflate; server_max_window_bits=10", Side::Server).contains("no further than 1024 bytes")
        );
    }

    #[test]
    fn what_an_answer_leaves_unsaid_is_put_in_words_too() {
        assert_eq!(
            words("permessage-deflate", Side::Server),
            "Messages may be compressed with DEFLATE from now on. Nothing is said against it, so the client's and the \
             server's windows are carried over from message to message. No window is named for the client and the server: \
             there it is 32768 bytes."
        );
        let all = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
            server_max_window_bits=15; client_max_window_bits=9";
        assert!(words(all, Side::Server).ends_with("the client looks back no further than 512 bytes."));
        assert!(
            words("permessage-deflate; client_no_context_takeover", Side::Server).contains("so the server's window")
        );
    }

    #[test]
    fn a_compressed_message_is_put_in_words() {
        let words = compressed_message_in_words(10, Some(32), Some(false)).join(" ");
        assert!(words.starts_with("10 bytes of DEFLATE data") && words.contains("00 00 ff ff"), "{words}");
        assert!(words.contains("32 bytes inflated: 3.2 to 1.") && words.contains("stands for itself"), "{words}");
        assert_eq!(compressed_message_in_words(10, None, None).len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_said_to_make_none() {
        for value in [
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_no_context_takeover=1",
            "permessage-deflate; x=y",
        ] {
            assert!(words(value, Side::Server).contains("makes no sense"), "{value}");
        }
        assert!(words("x-foo; a", Side::Client).contains("with 1 parameter"));
    }
}
