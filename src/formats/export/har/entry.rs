//! What a HAR says of a connection: its opening handshake, and how it ended.

use std::io;

use serde::Serialize;

use crate::capture::{Capture, Cause, Connection, Timestamp};
use crate::formats::jsonl::{FindingJson, finding_json};
use crate::wire::Side;
use crate::wire::handshake::{Head, Request};

/// An entry but for its messages.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    started_date_time: String,
    time: f64,
    request: RequestJson,
    response: ResponseJson,
    cache: Nothing,
    timings: Timings,
    #[serde(rename = "serverIPAddress")]
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ip_address: Option<String>,
    connection: String,
    #[serde(rename = "_resourceType")]
    resource_type: &'static str,
    #[serde(rename = "_wsinspect")]
    extras: Extras,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestJson {
    method: String,
    url: String,
    http_version: String,
    cookies: Vec<Pair>,
    headers: Vec<Pair>,
    query_string: Vec<Pair>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson {
    status: u16,
    status_text: String,
    http_version: String,
    cookies: Vec<Pair>,
    headers: Vec<Pair>,
    content: Content,
    #[serde(rename = "redirectURL")]
    redirect_url: String,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    size: u64,
    mime_type: String,
}

#[derive(Serialize)]
struct Nothing {}

/// Milliseconds; -1 where there is no such time.
#[derive(Serialize)]
struct Timings {
    blocked: f64,
    dns: f64,
    connect: f64,
    ssl: f64,
    send: f64,
    wait: f64,
    receive: f64,
}

#[derive(Serialize)]
struct Extras {
    conn: u32,
    client: Option<String>,
    server: Option<String>,
    /// From where it was looked at.
    vantage: &'static str,
    began: f64,
    answered: Option<f64>,
    ended: Option<f64>,
    /// How the sides of the TCP connection ended, in order.
    ends: Vec<End>,
    /// Why it ended, where the bytes don't tell.
    cause: Option<&'static str>,
    /// What the HAR that it is from says of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountJson>,
    state: &'static str,
    subprotocol: Option<String>,
    extensions: Option<String>,
    findings: Vec<FindingJson>,
    /// Why an opening handshake came to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    close: Option<Close>,
}

#[derive(Serialize)]
struct AccountJson {
    code: Option<u16>,
    reason: Option<String>,
    error: Option<String>,
}

#[derive(Serialize)]
struct End {
    from: &'static str,
    how: &'static str,
}

#[derive(Serialize)]
struct Close {
    time: f64,
    code: Option<u16>,
    reason: Option<String>,
    by: Option<&'static str>,
    clean: Option<bool>,
    how: Option<&'static str>,
    verdict: String,
}

/// The entry of a connection.
pub(super) fn entry(capture: &Capture, connection: &Connection) -> io::Result<Entry> {
    let head = |side| Ok::<_, io::Error>(capture.head(connection.id, side)?.map(Head::parse));
    let wait = connection.answered.map_or(0.0, |answered| milliseconds(connection.began, answered));
    let receive = match (connection.answered, connection.ended) {
        (Some(answered), Some(ended)) => milliseconds(answered, ended),
        _ => 0.0,
    };
    let nanoseconds = i128::from(connection.began.0);
    let started = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let refused = connection.answered.is_none_or(|_| connection.status != Some(101));
    Ok(Entry {
        // three digits of a second are all that some readers take
        started_date_time: format!("{started:.3}"),
        time: wait + receive,
        request: request(head(Side::Client)?, connection),
        response: response(head(Side::Server)?.as_ref(), connection),
        cache: Nothing {},
        timings: Timings { blocked: -1.0, dns: -1.0, connect: -1.0, ssl: -1.0, send: 0.0, wait, receive },
        server_ip_address: connection.known_server().map(|server| server.ip().to_string()),
        connection: connection.id.to_string(),
        resource_type: "websocket",
        extras: Extras {
            conn: connection.id.0,
            client: connection.known_client().map(|client| client.to_string()),
            server: connection.known_server().map(|server| server.to_string()),
            vantage: connection.vantage.name(),
            began: connection.began.seconds(),
            answered: connection.answered.map(Timestamp::seconds),
            ended: connection.ended.map(Timestamp::seconds),
            ends: ends(connection),
            cause: connection.cause.map(Cause::name),
            account: connection.account.as_deref().map(|account| AccountJson {
                code: account.code.map(|code| code.0),
                reason: account.reason.clone(),
                error: account.error.clone(),
            }),
            state: connection.state.name(),
            subprotocol: connection.subprotocol.clone(),
            extensions: connection.extensions.clone(),
            findings: connection.handshake_findings.iter().flatten().map(finding_json).collect(),
            refusal: (refused && connection.ended.is_some()).then(|| connection.refusal()),
            close: close(connection).filter(|_| !refused),
        },
    })
}

fn close(connection: &Connection) -> Option<Close> {
    let time = connection.ended?.seconds();
    if let Some(end) = connection.archived_end() {
        return Some(Close {
            time,
            code: end.code.map(|code| code.0),
            reason: end.reason,
            by: end.by.map(Side::name),
            clean: end.clean,
            how: None,
            verdict: end.sentence,
        });
    }
    let verdict = connection.verdict()?;
    Some(Close {
        time,
        code: verdict.code.map(|code| code.0),
        reason: verdict.reason,
        by: Some(verdict.by.name()),
        clean: Some(verdict.clean),
        how: Some(verdict.how.name()),
        verdict: verdict.sentence,
    })
}

fn ends(connection: &Connection) -> Vec<End> {
    let first = connection.socket_ended_first.unwrap_or(Side::Client);
    let end = |from: Side| Some(End { from: from.name(), how: connection.socket_ends[from as usize]?.name() });
    [first, first.other()].into_iter().filter_map(end).collect()
}

fn milliseconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.0.saturating_sub(from.0) / 1000) as f64 / 1e3
}

fn request(head: Option<Head>, connection: &Connection) -> RequestJson {
    let headers = pairs(head.as_ref());
    let headers_size = size(head.as_ref());
    let cookies = cookies(&headers, "cookie");
    let host = headers.iter().find(|pair| pair.name.eq_ignore_ascii_case("host"));
    let address = || connection.known_server().map_or_else(String::new, |server| server.to_string());
    let host = host.map_or_else(address, |pair| pair.value.clone());
    let line = head.as_ref().map(|head| head.start_line().into_owned()).unwrap_or_default();
    let mut words = line.split(' ');
    let method = words.next().filter(|method| !method.is_empty()).unwrap_or("GET").to_owned();
    let target = head.map(Request::read).map(|request| request.target).unwrap_or_default();
    // a target may be a whole URL (RFC 9112 3.2.2)
    let scheme = if connection.tls[Side::Client as usize].is_some() { "wss" } else { "ws" };
    let url = if target.contains("://") { target.clone() } else { format!("{scheme}://{host}{target}") };
    let http_version = words.next_back().filter(|word| word.starts_with("HTTP/")).unwrap_or("HTTP/1.1").to_owned();
    let query_string = query(&target);
    RequestJson { method, url, http_version, cookies, headers, query_string, headers_size, body_size: 0 }
}

fn response(head: Option<&Head>, connection: &Connection) -> ResponseJson {
    let headers = pairs(head);
    let line = head.map(|head| head.start_line().into_owned()).unwrap_or_default();
    let mut words = line.splitn(3, ' ');
    let http_version = words.next().unwrap_or_default().to_owned();
    let value = |name: &str| {
        let pair = headers.iter().find(|pair| pair.name.eq_ignore_ascii_case(name));
        pair.map(|pair| pair.value.clone()).unwrap_or_default()
    };
    ResponseJson {
        status: connection.status.unwrap_or(0),
        status_text: words.nth(1).unwrap_or_default().to_owned(),
        http_version,
        cookies: cookies(&headers, "set-cookie"),
        content: Content { size: 0, mime_type: value("content-type") },
        redirect_url: value("location"),
        headers_size: size(head),
        headers,
        // what comes after the head of a 101 are frames
        body_size: if connection.status == Some(101) { 0 } else { -1 },
    }
}

fn pairs(head: Option<&Head>) -> Vec<Pair> {
    let pairs = head.into_iter().flat_map(Head::pairs);
    pairs.map(|(name, value)| Pair { name: name.into_owned(), value: value.into_owned() }).collect()
}

fn size(head: Option<&Head>) -> i64 {
    head.and_then(|head| head.raw().len().try_into().ok()).unwrap_or(-1)
}

fn cookies(headers: &[Pair], header: &str) -> Vec<Pair> {
    let values = headers.iter().filter(|pair| pair.name.eq_ignore_ascii_case(header)).map(|pair| pair.value.as_str());
    // of a cookie that is set, what comes after the first semicolon says where and how long
    let taken = if header == "cookie" { usize::MAX } else { 1 };
    let cookies = values.flat_map(|value| value.split(';').take(taken));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .map(|(name, value)| Pair { name: name.to_owned(), value: value.to_owned() })
        .collect()
}

fn query(target: &str) -> Vec<Pair> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| Pair { name: name.to_owned(), value: value.to_owned() })
        .collect()
}
