//! What the opening handshake can break (RFC 6455 4), from the faults that [`crate::wire::handshake`] finds.

use super::{Detail, Finding, Rule};
use crate::wire::handshake::{Head, Located, Opening, Request, RequestFault, Response, ResponseFault};
use crate::wire::{
    DEFLATE, DeflateAgreement, DeflateFault, DeflateOffer, Extension, Parameter, Side, parse_extensions, parse_tokens,
};

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
    if extension.name != DEFLATE {
        return None;
    }
    let fault = match by {
        Side::Client => DeflateOffer::parse(extension).err(),
        Side::Server => DeflateAgreement::parse(extension).err(),
    };
    fault.map(|fault| format!("The parameters of {DEFLATE} make no sense: {}.", shortened_fault(fault)))
}

/// What is wrong with an answer only because of what was offered (RFC 7692 5.1, 7.1).
fn answer_problem(agreed: &[Extension], opening: &Opening) -> Option<String> {
    let is_deflate = |extension: &&Extension| extension.name == DEFLATE;
    let mut answers = agreed.iter().filter(is_deflate);
    let answer = answers.next()?;
    if answers.next().is_some() {
        return Some(format!("The answer holds {DEFLATE} twice."));
    }
    let answer = DeflateAgreement::parse(answer).ok()?;
    let offers = opening.extensions.iter().filter(is_deflate).filter_map(|offer| DeflateOffer::parse(offer).ok());
    let faults: Result<Vec<_>, ()> = offers.map(|offer| offer.allows(answer).err().ok_or(())).collect();
    // one offer that allows it is enough
    match faults.as_deref() {
        Ok([fault]) => Some(format!("The answer does not fit the offer: {fault}.")),
        Ok([fault, ..]) => Some(format!("The answer fits none of the offers; for the first one, {fault}.")),
        Ok([]) | Err(()) => None,
    }
}

fn shortened_fault(fault: DeflateFault) -> DeflateFault {
    let parameter = |Parameter { name, value }: Parameter| Parameter { name, value: value.as_deref().map(shortened) };
    match fault {
        DeflateFault::Unknown(name) => DeflateFault::Unknown(shortened(&name)),
        DeflateFault::TakesNoValue(of) => DeflateFault::TakesNoValue(parameter(of)),
        DeflateFault::NotAWindow(of) => DeflateFault::NotAWindow(parameter(of)),
        // the name of one that there is
        twice @ DeflateFault::Twice(_) => twice,
    }
}

/// Enough of a line to recognise it: a peer chooses its length.
fn shortened(line: &str) -> String {
    let mut text: String = line.chars().take(100).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if line.chars().nth(100).is_some() {
        text.push('…');
    }
    text
}
