//! What the opening handshake can break (RFC 6455 4), from the faults that [`crate::wire::handshake`] finds.

use super::{Detail, Finding, Rule};
use crate::wire::handshake::{Head, Located, Opening, Request, RequestFault, Response, ResponseFault};
use crate::wire::{Extension, Side, parse_extensions, parse_tokens};

/// Everything wrong with `request` as an opening handshake.
pub fn check_request(request: &Request) -> Vec<Finding> {
    let head = &request.head;
    let mut found: Vec<_> = request
        .faults()
        .iter()
        .map(|located| finding(request_rule(located.fault), head, located, |line| sees_request(located.fault, line)))
        .collect();
    if let Some(value) = head.joined("Sec-WebSocket-Extensions") {
        let line = head.lines("Sec-WebSocket-Extensions").next().map_or(0..0, |line| line.line.clone());
        let problem = match parse_extensions(&value) {
            Err(error) => Some(format!("The list of extensions cannot be read: {error}.")),
            Ok(extensions) => extensions.iter().find_map(|extension| problem(extension, Side::Client)),
        };
        found.extend(problem.map(|text| invalid_parameter(line, text)));
    }
    found
}

/// Everything wrong with `response` as an acceptance of `opening`.
pub fn check_response(response: &Response, opening: &Opening) -> Vec<Finding> {
    let head = &response.head;
    let mut found: Vec<_> = response
        .faults(opening)
        .iter()
        .map(|located| {
            finding(response_rule(&located.fault), head, located, |line| sees_response(&located.fault, line))
        })
        .collect();
    let line = head.lines("Sec-WebSocket-Extensions").next().map_or(0..0, |line| line.line.clone());
    let agreed = response.agreement().extensions;
    let problem = agreed.iter().find_map(|extension| problem(extension, Side::Server));
    found.extend(problem.or_else(|| answer_problem(&agreed, opening)).map(|text| invalid_parameter(line, text)));
    found
}

/// The rule that a fault in a request breaks.
pub const fn request_rule(fault: RequestFault) -> Rule {
    match fault {
        RequestFault::Malformed(_) => Rule::HeaderMalformed,
        RequestFault::MethodNotGet => Rule::RequestNotGet,
        RequestFault::HttpVersion => Rule::RequestHttpVersion,
        RequestFault::HostMissing => Rule::HostMissing,
        RequestFault::UpgradeMissing => Rule::UpgradeMissing,
        RequestFault::ConnectionMissing => Rule::ConnectionMissing,
        RequestFault::KeyMissing => Rule::KeyMissing,
        RequestFault::KeyNot16Bytes => Rule::KeyNot16Bytes,
        RequestFault::VersionNot13 => Rule::VersionNot13,
    }
}

const fn response_rule(fault: &ResponseFault) -> Rule {
    match fault {
        ResponseFault::Malformed(_) => Rule::HeaderMalformed,
        ResponseFault::StatusNot101 => Rule::StatusNot101,
        ResponseFault::UpgradeMissing => Rule::UpgradeMissing,
        ResponseFault::ConnectionMissing => Rule::ConnectionMissing,
        ResponseFault::AcceptMissing => Rule::AcceptMissing,
        ResponseFault::AcceptWrong { .. } => Rule::AcceptWrong,
        ResponseFault::SubprotocolNotOffered => Rule::SubprotocolNotOffered,
        ResponseFault::ExtensionNotOffered(_) => Rule::ExtensionNotOffered,
        ResponseFault::ExtensionsUnreadable(_) => Rule::ExtensionParameterInvalid,
    }
}

fn finding<F>(rule: Rule, head: &Head, located: &Located<F>, sees: impl FnOnce(&str) -> String) -> Finding {
    let text = shortened(&head.text(&located.at));
    let detail = Detail::Text(sees(&text).into());
    Finding { rule, at: located.at.start as u64..located.at.end as u64, detail }
}

fn sees_request(fault: RequestFault, line: &str) -> String {
    match fault {
        RequestFault::Malformed(fault) => format!("The line \"{line}\" {}.", fault.says()),
        RequestFault::MethodNotGet => format!("The method is \"{line}\"."),
        RequestFault::HttpVersion => format!("The version is \"{line}\"."),
        RequestFault::HostMissing => "There is no Host header.".to_owned(),
        RequestFault::KeyMissing => "There is no Sec-WebSocket-Key header.".to_owned(),
        RequestFault::VersionNot13 if line.is_empty() => "There is no Sec-WebSocket-Version header.".to_owned(),
        RequestFault::UpgradeMissing if line.is_empty() => "There is no Upgrade header.".to_owned(),
        RequestFault::ConnectionMissing if line.is_empty() => "There is no Connection header.".to_owned(),
        RequestFault::UpgradeMissing
        | RequestFault::ConnectionMissing
        | RequestFault::VersionNot13
        | RequestFault::KeyNot16Bytes => format!("The line is \"{line}\"."),
    }
}

fn sees_response(fault: &ResponseFault, line: &str) -> String {
    match fault {
        ResponseFault::Malformed(fault) => format!("The line \"{line}\" {}.", fault.says()),
        ResponseFault::StatusNot101 => format!("The status line is \"{line}\"."),
        ResponseFault::AcceptMissing => "There is no Sec-WebSocket-Accept header.".to_owned(),
        ResponseFault::AcceptWrong { expected } => format!("The line is \"{line}\"; {expected} would be right."),
        ResponseFault::ExtensionNotOffered(name) => format!("\"{}\" was not offered.", shortened(name)),
        ResponseFault::ExtensionsUnreadable(error) => format!("The list of extensions cannot be read: {error}."),
        ResponseFault::UpgradeMissing if line.is_empty() => "There is no Upgrade header.".to_owned(),
        ResponseFault::ConnectionMissing if line.is_empty() => "There is no Connection header.".to_owned(),
        ResponseFault::UpgradeMissing | ResponseFault::ConnectionMissing | ResponseFault::SubprotocolNotOffered => {
            format!("The line is \"{line}\".")
        }
    }
}

fn invalid_parameter(line: std::ops::Range<usize>, text: String) -> Finding {
    let at = line.start as u64..line.end as u64;
    Finding { rule: Rule::ExtensionParameterInvalid, at, detail: Detail::Text(text.into()) }
}

/// What is wrong with an extension as offered by the client or answered by the server.
fn problem(extension: &Extension, by: Side) -> Option<String> {
    let is_token = |value: &str| parse_tokens(value).is_ok_and(|tokens| tokens == [value]);
    let values = || extension.parameters.iter().filter_map(|parameter| parameter.value.as_deref());
    if let Some(value) = values().find(|value| !is_token(value)) {
        return Some(format!("A parameter has the value \"{}\", which is no token.", shortened(value)));
    }
    if extension.name == DEFLATE { deflate_problem(extension, by) } else { None }
}

/// What is wrong with an answer only because of what was offered (RFC 7692 5.1, 7.1.2.2).
fn answer_problem(agreed: &[Extension], opening: &Opening) -> Option<String> {
    let mut answers = agreed.iter().filter(|extension| extension.name == DEFLATE);
    let answer = answers.next()?;
    if answers.next().is_some() {
        return Some(format!("The answer holds {DEFLATE} twice."));
    }
    let has_window = |extension: &Extension| extension.parameters.iter().any(|p| p.name == CLIENT_WINDOW);
    let mut offers = opening.extensions.iter().filter(|extension| extension.name == DEFLATE);
    (has_window(answer) && !offers.any(has_window)).then(|| format!("\"{CLIENT_WINDOW}\" was not offered."))
}

/// The one extension that is registered.
const DEFLATE: &str = "permessage-deflate";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// What is wrong with the parameters of permessage-deflate (RFC 7692 7.1).
fn deflate_problem(extension: &Extension, by: Side) -> Option<String> {
    let parameters = &extension.parameters;
    parameters.iter().enumerate().find_map(|(i, parameter)| {
        let name = parameter.name.as_str();
        if parameters[..i].iter().any(|earlier| earlier.name == parameter.name) {
            return Some(format!("\"{name}\" stands twice."));
        }
        let window = |value: &str| {
            let well_formed = value.bytes().all(|b| b.is_ascii_digit()) && !value.starts_with('0');
            well_formed && value.parse::<u8>().is_ok_and(|bits| (8..=15).contains(&bits))
        };
        match (name, parameter.value.as_deref()) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => None,
            // only an offer leaves the size to the other side
            (CLIENT_WINDOW, None) if by == Side::Client => None,
            ("server_no_context_takeover" | "client_no_context_takeover", Some(value)) => {
                Some(format!("\"{name}\" takes no value; here it has \"{}\".", shortened(value)))
            }
            ("server_max_window_bits" | CLIENT_WINDOW, Some(value)) if window(value) => None,
            ("server_max_window_bits" | CLIENT_WINDOW, Some(value)) => {
                Some(format!("\"{name}\" takes 8 to 15; here it has \"{}\".", shortened(value)))
            }
            ("server_max_window_bits" | CLIENT_WINDOW, None) => {
                Some(format!("\"{name}\" takes 8 to 15; here it has no value."))
            }
            _ => Some(format!("There is no parameter \"{}\" of {DEFLATE}.", shortened(name))),
        }
    })
}

/// Enough of a line to recognise it: a peer chooses its length.
fn shortened(line: &str) -> String {
    let mut text: String = line.chars().take(100).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if line.chars().nth(100).is_some() {
        text.push('…');
    }
    text
}
