//! The connections, and all that is known of the selected one.

use std::fmt::Write as _;
use std::net::SocketAddr;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::frame::{finding_lines, indented};
use super::paint::Paint;
use super::pane::Pane;
use crate::capture::{Connection, ConnectionState, Did, Exchange, PingLedger, Timestamp};
use crate::formats::text::outcome;
use crate::formats::tls;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::snapshot::{MOST_EXCHANGES, Snapshot};
use crate::tui::text::{counted, duration, fit, grouped, left, right, size, wrap};
use crate::tui::theme::Theme;
use crate::wire::Side;

/// Draws the list.
pub(super) fn draw_list(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let focused = model.hears() && model.connection_pane == layout::Pane::List;
    let mut parts = Vec::new();
    if snapshot.connections_gone > 0 {
        parts.push(format!("{} gone", counted(snapshot.connections_gone, "older connection")));
    }
    let selected = Some(model.connections.selected).filter(|selected| *selected > 0);
    parts.extend(selected.map(|row| format!("row {} of {}", grouped(row), grouped(snapshot.connection_count))));
    let note = Line::raw(parts.join(", "));
    let inner = Pane { theme, focused, title: Line::raw("connections"), note }.draw(area, buffer);
    if snapshot.connections.is_empty() {
        let y = inner.y + inner.height / 2;
        let line = Line::styled("No connections yet.", Theme::quiet()).centered();
        line.paint(Rect { y, height: 1, ..inner }, buffer);
        return;
    }
    let for_any = snapshot.connections.iter().any(|one| one.asked_of().is_some());
    let columns = columns(inner.width.into(), for_any, theme);
    let headings: Vec<_> = columns.iter().map(|column| column.aligned(column.heading, theme)).collect();
    Line::styled(format!("  {}", headings.join(" ")), Theme::quiet()).paint(Rect { height: 1, ..inner }, buffer);
    let rows = (inner.y + 1..inner.bottom()).zip(&snapshot.connections);
    for ((y, connection), number) in rows.zip(model.connections.top.max(1)..) {
        let at_cursor = model.connections.selected == number;
        let mark = if at_cursor { theme.sign("▸", ">") } else { " " };
        let broken = connection.broken_frames > 0 || connection.handshake_findings.iter().any(|all| !all.is_empty());
        let cells: Vec<_> =
            columns.iter().map(|column| column.aligned(&(column.cell)(connection, snapshot.now), theme)).collect();
        let row = Rect { y, height: 1, ..inner };
        let (flag, rest) = (if broken { "!" } else { " " }, cells.join(" "));
        if at_cursor && focused {
            buffer.set_style(row, Theme::cursor());
            Line::styled(format!("{mark}{flag}{rest}"), Theme::cursor()).paint(row, buffer);
        } else {
            let style = if connection.ended.is_some() { Theme::quiet() } else { ratatui::style::Style::new() };
            Line::from(vec![Span::raw(mark), Span::styled(flag, theme.alarm()), Span::styled(rest, style)])
                .paint(row, buffer);
        }
    }
}

struct Column {
    heading: &'static str,
    width: usize,
    numeric: bool,
    cell: fn(&Connection, Timestamp) -> String,
}

impl Column {
    fn aligned(&self, text: &str, theme: Theme) -> String {
        let text = theme.clean(text);
        if self.numeric {
            right(&text, self.width, theme.ellipsis())
        } else {
            left(&text, self.width, theme.ellipsis())
        }
    }
}

/// The columns that there is room for; of a proxy, whose connections are for any server, that rather than the client.
fn columns(width: usize, for_any: bool, theme: Theme) -> Vec<Column> {
    let text = |heading, width, cell| Column { heading, width, numeric: false, cell };
    let number = |heading, width, cell| Column { heading, width, numeric: true, cell };
    let sent = |side: Side| match (side, theme.ascii) {
        (Side::Client, false) => "▶ frames",
        (Side::Server, false) => "◀ frames",
        (Side::Client, true) => "> frames",
        (Side::Server, true) => "< frames",
    };
    let mut columns =
        vec![number("conn", 4, |one, _| one.id.to_string()), text("state", 10, |one, _| one.state.name().to_owned())];
    let ends = if width < 74 { 20 } else { 21 };
    if for_any {
        columns.push(text("server", ends, |one, _| one.asked_of().unwrap_or_default().to_owned()));
    }
    if !for_any || width >= 130 {
        columns.push(text("client", ends, |one, _| address(one.known_client())));
    }
    if width >= 74 {
        columns.push(number("age", 9, |one, now| duration(age(one, now))));
    }
    columns.push(number(sent(Side::Client), 8, |one, _| grouped(one.frames[0])));
    if width >= 100 {
        columns.push(number("bytes", 8, |one, _| bytes(one, Side::Client)));
    }
    columns.push(number(sent(Side::Server), 8, |one, _| grouped(one.frames[1])));
    if width >= 100 {
        columns.push(number("bytes", 8, |one, _| bytes(one, Side::Server)));
    }
    if width >= 84 {
        columns.push(number("ping", 8, |one, _| last_round_trip(one).map_or_else(String::new, duration)));
    }
    if width >= 130 {
        columns.push(number("findings", 8, |one, _| grouped(findings(one))));
        columns.push(text(theme.sign("deflate ▶ ◀", "deflate > <"), 15, ratios));
        columns.push(text("subprotocol", 14, |one, _| one.subprotocol.clone().unwrap_or_default()));
    }
    let used: usize = columns.iter().map(|column| column.width + 1).sum::<usize>() + 2;
    if width > used + 6 {
        columns.push(text("target", width - used, |one, _| path(one).to_owned()));
    }
    columns
}

/// What was asked for, without the server, which has a column of its own.
fn path(one: &Connection) -> &str {
    match (one.asked_of(), &one.tunnel) {
        (Some(server), Some(_)) if server == one.target => "",
        (Some(server), None) => one.target.split_once(server).map_or(&one.target, |(_, path)| path),
        _ => &one.target,
    }
}

/// What an archive does not say is `?`.
fn address(known: Option<SocketAddr>) -> String {
    known.map_or_else(|| "?".to_owned(), |address| address.to_string())
}

fn bytes(connection: &Connection, from: Side) -> String {
    if connection.is_archived() { "?".to_owned() } else { size(connection.bytes[from as usize]) }
}

/// How many times as much the compressed messages are inflated: of the client, of the server.
fn ratios(connection: &Connection, _: Timestamp) -> String {
    let ratio = |side: Side| connection.deflated[side as usize].ratio();
    match Side::BOTH.map(ratio) {
        [None, None] => connection.deflate.map_or_else(String::new, |_| "agreed on".to_owned()),
        ratios => ratios.map(|ratio| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}:1"))).join(" "),
    }
}

fn age(connection: &Connection, now: Timestamp) -> u64 {
    // at least a second is what a clock that ticks each second can tell of one that goes on
    let age = connection.ended.unwrap_or(now).0.saturating_sub(connection.began.0);
    if connection.ended.is_some() { age } else { age / 1_000_000_000 * 1_000_000_000 }
}

fn findings(connection: &Connection) -> u64 {
    connection.broken_frames + connection.handshake_findings.iter().map(|all| all.len() as u64).sum::<u64>()
}

/// Draws what is known of the selected connection.
pub(super) fn draw_details(model: &mut Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width.saturating_sub(4));
    let (title, lines) = match &snapshot.connection {
        Some(connection) => (format!("connection {}", connection.id), details(connection, snapshot, width, theme)),
        None => ("connection".to_owned(), Vec::new()),
    };
    let focused = model.hears() && model.connection_pane != layout::Pane::List;
    let pane = Pane { theme, focused, title: Line::raw(title), note: Line::default() };
    pane.draw_lines(lines, &mut model.details_scroll, area, buffer);
}

fn details(connection: &Connection, snapshot: &Snapshot, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let open = if connection.is_archived() {
        "The HAR does not say whether it ended, or how."
    } else {
        state_sentence(connection.state)
    };
    let sentence = connection.ending().unwrap_or_else(|| match connection.state {
        ConnectionState::Refused => connection.refusal(),
        _ => open.to_owned(),
    });
    lines.extend(wrap(&theme.clean(&sentence), width).into_iter().map(|line| Line::styled(line, Theme::strong())));
    for reaction in connection.reactions() {
        let (sign, style) = match reaction.did {
            Did::Failed => ("", Style::new()),
            _ => ("! ", theme.alarm()),
        };
        let sentence = format!("{sign}{}", theme.clean(&reaction.sentence));
        lines.extend(wrap(&sentence, width).into_iter().map(|line| Line::styled(line, style)));
    }
    let mut pair = |name: &str, value: String| {
        let value = fit(&theme.clean(&value), width.saturating_sub(14), theme.ellipsis());
        lines.push(Line::from(vec![Span::styled(left(name, 14, ""), theme.field()), Span::raw(value)]));
    };
    let arrow = theme.sign("──▶", "-->");
    let ends = (address(connection.known_client()), address(connection.known_server()));
    pair("addresses", format!("{} {arrow} {}", ends.0, ends.1));
    if let Some(tunnel) = &connection.tunnel {
        pair("tunnel", format!("to {}, by {} {arrow} {}", tunnel.target, tunnel.from, tunnel.to));
    }
    if let Some(unopened) = &connection.unopened {
        pair("not opened", unopened.why.to_string());
    }
    if let Some(sent) = &connection.sent_on {
        pair("sent on", format!("{} {arrow} {}", sent.from, sent.to));
        pair(
            "",
            match sent.lines.len() + sent.removed.len() {
                0 => "the request byte for byte".to_owned(),
                1 => "with another line: see the handshake".to_owned(),
                lines => format!("with {lines} other lines: see the handshake"),
            },
        );
    }
    for side in Side::BOTH {
        let delay = connection.delays[side as usize];
        if let Some(mean) = delay.mean() {
            let name = if side == Side::Client { "delay" } else { "" };
            let (mean, most) = (duration(mean), duration(delay.most));
            pair(name, format!("from the {side} {mean} on the average, {most} at most"));
        }
    }
    for (i, tls) in tls::summary(connection).into_iter().enumerate() {
        pair(if i == 0 { "TLS" } else { "" }, tls);
    }
    pair("target", connection.target.clone());
    pair("age", duration(age(connection, snapshot.now)));
    for side in Side::BOTH {
        let count = connection.frames[side as usize];
        let sent = if connection.is_archived() {
            format!("{}, in frames that are unknown", counted(count, "message"))
        } else {
            format!("{}, {}", counted(count, "frame"), counted(connection.bytes[side as usize], "byte"))
        };
        pair(side.name(), sent);
    }
    pair("subprotocol", connection.subprotocol.clone().unwrap_or_else(|| "none".to_owned()));
    pair("extensions", connection.extensions.clone().unwrap_or_else(|| "none".to_owned()));
    compressed(connection, &mut pair);
    for side in Side::BOTH {
        let ledger = &connection.pings[side as usize];
        let sentences = ping_sentences(ledger, side);
        for (i, sentence) in sentences.into_iter().enumerate() {
            pair(if i == 0 { "pings" } else { "" }, sentence);
        }
    }
    for side in Side::BOTH {
        if let Some(close) = &connection.closes[side as usize] {
            let code = close.code.map_or_else(|| "without a code".to_owned(), |code| code.to_string());
            let reason = if close.reason.is_empty() { String::new() } else { format!(" \"{}\"", close.reason) };
            pair("close", format!("{side}: {code}{reason}"));
        }
    }
    if let Some(unclear) = connection.unclear {
        let sentence = format!("What follows is passed over, and not looked into: {}.", unclear.says());
        lines.extend(wrap(&sentence, width).into_iter().map(|line| Line::styled(line, theme.alarm())));
    }
    if connection.broken_frames > 0 {
        lines.extend(indented(&format!("{} broke a rule.", counted(connection.broken_frames, "frame")), width));
    }
    for finding in connection.handshake_findings.iter().flatten() {
        lines.extend(finding_lines(finding, width, theme, true));
    }
    lines.extend(requests(connection, &snapshot.exchanges, width, theme));
    lines
}

/// What became of its compressed messages, as names and values.
fn compressed(connection: &Connection, pair: &mut impl FnMut(&str, String)) {
    for side in Side::BOTH {
        let deflated = connection.deflated[side as usize];
        if let Some(ratio) = deflated.ratio() {
            let messages = counted(deflated.messages, "message");
            let (wire, inflated) = (size(deflated.wire), size(deflated.inflated));
            pair("deflate", format!("{side}: {messages}, {wire} inflated to {inflated}, {ratio:.1}:1"));
        }
        if deflated.failed > 0 {
            pair("not inflated", format!("{side}: {}", counted(deflated.failed, "message")));
        }
    }
}

/// The requests on it that were no upgrade, the last one first.
fn requests(connection: &Connection, exchanges: &[Exchange], width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if connection.requests == 0 {
        return lines;
    }
    let waiting = connection.requests.saturating_sub(exchanges.len() as u64);
    let waiting = if connection.ended.is_some() || waiting == 0 || exchanges.len() == MOST_EXCHANGES {
        String::new()
    } else {
        format!(", {waiting} not answered yet")
    };
    let heading = format!("{}{waiting}", counted(connection.requests, "HTTP request"));
    lines.push(Line::styled(heading, Theme::strong()));
    for exchange in exchanges {
        let outcome = format!("{}, {}", outcome(exchange), duration(exchange.took()));
        let room = width.saturating_sub(outcome.len() + 3);
        let request = theme.clean(&format!("{} {}", exchange.method, exchange.target));
        let request = fit(&request, room.max(10), theme.ellipsis());
        lines.push(Line::from(vec![Span::raw(format!("  {request} ")), Span::styled(outcome, Theme::quiet())]));
    }
    lines
}

/// The last round trip of either side's pings.
fn last_round_trip(connection: &Connection) -> Option<u64> {
    connection.pings.iter().find_map(|ledger| ledger.last)
}

/// What became of the pings of `side`, a sentence a line; none if it sent none and nobody answered any.
fn ping_sentences(ledger: &PingLedger, side: Side) -> Vec<String> {
    let mut sentences = Vec::new();
    if ledger.sent > 0 {
        let mut counts = format!("of the {side}: {}, {} answered", ledger.sent, ledger.answered);
        for (count, what) in [(ledger.passed_over, "passed over"), (ledger.unanswered(), "unanswered")] {
            if count > 0 {
                let _ = write!(counts, ", {count} {what}");
            }
        }
        sentences.push(counts);
    }
    if let (Some(last), Some(mean)) = (ledger.last, ledger.mean()) {
        let (least, most) = (duration(ledger.least), duration(ledger.most));
        sentences.push(format!("last {}, mean {}, {least} to {most}", duration(last), duration(mean)));
    }
    if ledger.unsolicited > 0 {
        sentences.push(format!(
            "{} of the {} that nobody asked for",
            counted(ledger.unsolicited, "pong"),
            side.other()
        ));
    }
    sentences
}

const fn state_sentence(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Connecting => "The opening handshake is not over.",
        ConnectionState::Open => "Open: frames may come from both sides.",
        ConnectionState::Closing => "One side has sent its close frame; the other one's is awaited.",
        ConnectionState::Closed => "Closed.",
        ConnectionState::Refused => "The opening handshake came to nothing.",
        ConnectionState::Http => "Ordinary HTTP, not a WebSocket.",
        ConnectionState::Tunnel => "A tunnel that is passed on, and not looked into.",
    }
}
