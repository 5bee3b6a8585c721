//! Extensions in words (RFC 6455 9, RFC 7692 7.1).

use super::field::{count, quoted};
use crate::wire::{Extension, Parameter, Side};

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
