//! The server's answer to a request (RFC 6455 4.2.2).

use super::Config;
use super::refusal::{Refusal, page_response};
use crate::lint::{Finding, Rule, check_request};
use crate::wire::handshake::{Accepted, Opening, Request, write_accepted};
use crate::wire::{DEFLATE, DeflateAgreement, DeflateOffer, Extension, parse_extensions};

/// What a request is answered with.
pub(super) enum Answer {
    /// The connection is OPEN.
    Accept { opening: Opening, accepted: Accepted, deflate: Option<DeflateAgreement>, response: Vec<u8> },
    /// The page is shown.
    Page(Vec<u8>),
    /// Nothing comes of it.
    Refuse(Refusal),
}

/// Judges `request`.
pub(super) fn answer(request: &Request, config: &Config) -> Answer {
    if !request.wants_upgrade() {
        return plain(request, config).map_or_else(Answer::Refuse, Answer::Page);
    }
    match upgrade(request, config) {
        Ok(opening) => {
            // the client's order is its preference (RFC 6455 4.1)
            let offered = opening.subprotocols.iter();
            let subprotocol = offered.into_iter().find(|&name| config.subprotocols.contains(name)).cloned();
            let deflate = config.deflate.and_then(|wishes| agree_on_deflate(&opening.extensions, wishes));
            let extensions = deflate.iter().map(DeflateAgreement::to_extension).collect();
            let accepted = Accepted { subprotocol, extensions };
            let response = write_accepted(&opening, &accepted, &config.headers);
            Answer::Accept { opening, accepted, deflate, response }
        }
        Err(refusal) => Answer::Refuse(refusal),
    }
}

/// The answer to the first offer that can be accepted: their order is the client's preference (RFC 7692 5).
fn agree_on_deflate(offers: &[Extension], wishes: DeflateAgreement) -> Option<DeflateAgreement> {
    let offers = offers.iter().filter(|extension| extension.name == DEFLATE);
    // an offer that makes no sense is declined (RFC 7692 7)
    offers.filter_map(|offer| DeflateOffer::parse(offer).ok()).find_map(|offer| offer.accept(wishes))
}

fn upgrade(request: &Request, config: &Config) -> Result<Opening, Refusal> {
    let opening = match request.opening() {
        Ok(opening) => opening,
        Err(_) if config.tolerant && request.head.value("Sec-WebSocket-Key").is_some() => as_well_as_can_be(request),
        Err(_) => return Err(gravest(request)),
    };
    if let Some(value) = request.head.joined("Sec-WebSocket-Extensions")
        && let Err(error) = parse_extensions(&value)
        && !config.tolerant
    {
        // what does not conform to the grammar fails the connection (RFC 6455 9.1)
        return Err(Refusal::new(400, format!("The list of Sec-WebSocket-Extensions cannot be read: {error}.")));
    }
    // several Origin lines make one that is in no list
    let origin = request.head.joined("Origin").filter(|_| !config.origins.is_empty());
    if let Some(origin) = origin
        && !config.origins.iter().any(|allowed| normal_origin(allowed) == normal_origin(&origin))
    {
        return Err(Refusal::new(403, "Pages of this Origin may not connect; the server lists those that may."));
    }
    Ok(opening)
}

/// The refusal for the first of the request's faults, which come with the gravest first.
fn gravest(request: &Request) -> Refusal {
    check_request(request).first().map_or_else(
        || Refusal::new(400, "This is no opening handshake."),
        |finding| Refusal::new(status(finding.rule), explained(finding)),
    )
}

const fn status(rule: Rule) -> u16 {
    match rule {
        Rule::RequestNotGet => 405,
        Rule::RequestHttpVersion => 505,
        Rule::VersionNot13 => 426,
        _ => 400,
    }
}

pub(super) fn explained(finding: &Finding) -> String {
    let rule = finding.rule;
    format!("{} {} ({}, rule {})", finding.sees(), rule.sentence(), rule.section(), rule.id())
}

/// The opening of a request that breaks rules which are not enforced.
fn as_well_as_can_be(request: &Request) -> Opening {
    let value = |name| request.head.value(name).map(std::borrow::Cow::into_owned);
    Opening {
        target: request.target.clone(),
        key: value("Sec-WebSocket-Key").unwrap_or_default(),
        origin: value("Origin"),
        subprotocols: request.subprotocols(),
        extensions: Vec::new(),
    }
}

/// A request for a page, not for a WebSocket.
fn plain(request: &Request, config: &Config) -> Result<Vec<u8>, Refusal> {
    let found = check_request(request);
    let finding = |rule| found.iter().find(|finding| finding.rule == rule);
    if let Some(malformed) = finding(Rule::HeaderMalformed) {
        return Err(Refusal::new(400, explained(malformed)));
    }
    if finding(Rule::RequestNotGet).is_some() {
        return Err(Refusal::new(405, "Only GET is answered here."));
    }
    let is_http_1_0 = request.version == "HTTP/1.0";
    if finding(Rule::RequestHttpVersion).is_some() && !is_http_1_0 {
        return Err(Refusal::new(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."));
    }
    if finding(Rule::HostMissing).is_some() && !is_http_1_0 {
        return Err(Refusal::new(400, "There is no Host header, which a request of HTTP/1.1 holds (RFC 7230 5.4)."));
    }
    if config.pages.is_empty() {
        return Err(Refusal::new(426, "This is a WebSocket server; an opening handshake was expected (RFC 6455 4.1)."));
    }
    match config.pages.iter().find(|page| page.path == path(&request.target)) {
        Some(page) => Ok(page_response(page)),
        None => Err(Refusal::new(404, "There is no page here, but one at /; a WebSocket may be opened at any path.")),
    }
}

/// The path of a target in origin or absolute form (RFC 7230 5.3), without its query.
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    match path.split_once('?').map_or(path, |(path, _)| path) {
        "" => "/",
        path => path,
    }
}

/// `scheme://host[:port]` in the one form in which browsers write it (RFC 6454 6.1).
fn normal_origin(origin: &str) -> String {
    let lower = origin.trim().trim_end_matches('/').to_ascii_lowercase();
    let default_port = match lower.split_once("://") {
        Some(("http", _)) => ":80",
        Some(("https", _)) => ":443",
        _ => return lower,
    };
    lower.strip_suffix(default_port).map_or(lower.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_asks_for_a_path_with_or_without_query_and_host() {
        for (target, expected) in [
            ("/", "/"),
            ("/?a=://", "/"),
            ("/chat?x", "/chat"),
            ("http://a:1/", "/"),
            ("http://a:1", "/"),
            ("http://a?x", "/"),
            ("http://a/b", "/b"),
        ] {
            assert_eq!(path(target), expected, "{target}");
        }
    }

    #[test]
    fn origins_are_compared_without_case_and_default_port() {
        for same in ["http://Example.com", "http://example.com:80", "HTTP://example.COM/"] {
            assert_eq!(normal_origin(same), "http://example.com");
        }
        assert_eq!(normal_origin("https://a:443"), "https://a");
        for other in ["https://example.com", "http://example.com:8080", "http://example.com.evil", "null", "file://"] {
            assert_ne!(normal_origin(other), "http://example.com");
        }
    }
}
