//! What is in view, read from the capture with short looks: the rows of the lists, the selected frame, the numbers.

use std::sync::Arc;

use super::action::View;
use super::detail::{FrameDetail, HandshakeDetail, MessageDetail};
use super::dump::{Dump, DumpPlace, DumpRow};
use super::layout::inside;
use super::model::Model;
use super::pretty::{self, TextLine};
use super::rows::{self, Row, RowCache};
use super::spot::{BytesAs, Shown};
use super::theme::Theme;
use crate::capture::{Capture, Connection, ConnectionId, Exchange, MessageReader, Statistics, Timestamp, Totals};

/// All that a drawing needs beside the model.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) now: Timestamp,
    pub(super) totals: Totals,
    /// Bytes of the file that were read, and how many there are where that is known, while it is read.
    pub(super) reading: Option<(u64, Option<u64>)>,
    /// What kept the rest of a file from being read.
    pub(super) damage: Option<String>,
    /// The last frame that is shown.
    pub(super) last: u64,
    /// Frames up to this one are hidden, or gone.
    pub(super) unlisted: u64,
    /// The first and the last row of the list.
    pub(super) listed: (u64, u64),
    /// How many of the frames the filter has looked at, while it works.
    pub(super) looked_at: Option<u64>,
    pub(super) rows: Vec<Row>,
    pub(super) detail: Option<FrameDetail>,
    pub(super) dump: Vec<DumpRow>,
    pub(super) dump_rows: u64,
    /// The byte under the cursor.
    pub(super) byte: Option<DumpPlace>,
    /// The payload as text, as much of it as is in view, and whether it is JSON; how many bytes that is of how many.
    pub(super) text: Option<(Vec<TextLine>, bool)>,
    pub(super) text_bytes: (u64, u64),
    /// The connections in view, and how many there are.
    pub(super) connections: Vec<Connection>,
    pub(super) connection_count: u64,
    pub(super) connections_gone: u64,
    /// The selected connection.
    pub(super) connection: Option<Connection>,
    /// Its last requests that were no upgrade, the last one first.
    pub(super) exchanges: Vec<Exchange>,
    pub(super) handshake: Option<HandshakeDetail>,
    /// Something is left to be read for the next time.
    pub(super) waits: bool,
    /// The row above the first one of `rows`.
    pub(super) above: Option<Row>,
    pub(super) statistics: Option<Arc<Statistics>>,
    /// How often each rule was broken, in the order of the catalogue.
    pub(super) rule_counts: Option<Arc<[u64]>>,
    /// Whom the next send goes to.
    pub(super) target: Option<ConnectionId>,
    /// Whom a proxy's client asked for on the connection that the view is about.
    pub(super) asked_of: Option<String>,
}

/// The most requests of a connection that are listed.
pub(super) const MOST_EXCHANGES: usize = 100;

/// Takes snapshots, and keeps what the next one is likely to need again.
#[derive(Debug, Default)]
pub(super) struct SnapshotReader {
    rows: RowCache,
    detail: Option<FrameDetail>,
    messages: MessageReader,
    handshake: Option<HandshakeDetail>,
    text: Option<Text>,
}

/// A payload as text.
#[derive(Debug)]
struct Text {
    n: u64,
    width: usize,
    theme: Theme,
    lines: Vec<TextLine>,
    is_json: bool,
    bytes: (u64, u64),
}

impl SnapshotReader {
    /// What `model` has in view.
    pub(super) fn take(&mut self, model: &mut Model, capture: &Arc<Capture>, now: Timestamp) -> Snapshot {
        model.sift(capture);
        model.settle(capture);
        let Some(layout) = model.layout() else { return Snapshot::default() };
        let rows = layout.list_rows() as u64;
        let index = capture.index();
        let mut snapshot = Snapshot {
            now,
            totals: index.totals(),
            reading: model.reading.as_ref().and_then(|reading| reading.so_far()),
            damage: index.damage().map(str::to_owned),
            last: model.last_frame(&index),
            unlisted: model.unlisted(&index),
            target: model.target(&index),
            ..Snapshot::default()
        };
        let about = model.selected_connection(&index).and_then(|id| index.connection(id));
        snapshot.asked_of = about.and_then(Connection::asked_of).map(str::to_owned);
        if !model.view.lists_frames() {
            let all = model.shown_connections(&index);
            let start = (model.connections.top.saturating_sub(1) as usize).min(all.len());
            let end = all.len().min(start + rows as usize);
            snapshot.connections = all[start..end].to_vec();
            snapshot.connection_count = all.len() as u64;
            snapshot.connections_gone = index.connections_gone();
            snapshot.connection = model.connection_row().and_then(|row| all.get(row).cloned());
            if let (View::Connections, Some(connection)) = (model.view, &snapshot.connection) {
                snapshot.exchanges = index.exchanges_of(connection).take(MOST_EXCHANGES).cloned().collect();
            }
        }
        match model.view {
            View::Ladder => {
                let id = model.listing.only().or_else(|| model.selected_connection(&index));
                let shown = model.shown_connections(&index);
                let place = id.and_then(|id| shown.binary_search_by_key(&id, |one| one.id).ok());
                snapshot.connection = place.map(|place| shown[place].clone());
            }
            View::Statistics => snapshot.statistics = Some(model.statistics(&index)),
            View::Rules => snapshot.rule_counts = Some(model.rule_counts(&index)),
            View::Frames | View::Connections | View::Handshake | View::Lessons => {}
        }
        drop(index);
        match model.view {
            View::Frames => self.frames(model, capture, &mut snapshot),
            View::Ladder => self.ladder(model, capture, &mut snapshot),
            View::Connections | View::Statistics | View::Rules | View::Lessons => {}
            View::Handshake => {
                self.handshake(capture, snapshot.connection.as_ref());
                snapshot.handshake.clone_from(&self.handshake);
            }
        }
        snapshot
    }

    /// A handshake of which both halves are there does not change any more.
    fn handshake(&mut self, capture: &Capture, connection: Option<&Connection>) {
        let known = self.handshake.as_ref().filter(|detail| detail.heads.iter().all(Option::is_some));
        if known.map(|detail| detail.connection.id) != connection.map(|connection| connection.id) || known.is_none() {
            self.handshake = connection.map(|connection| HandshakeDetail::read(capture, connection.clone()));
        }
    }

    /// The rows in view and what there is to say of all of them; from the `above`th before the window on.
    fn listed(&mut self, model: &Model, capture: &Capture, above: u64, snapshot: &mut Snapshot) {
        let Some(layout) = model.layout() else { return };
        snapshot.listed = model.listing.rows(snapshot.unlisted, snapshot.last);
        snapshot.looked_at = model.listing.looked_at().filter(|looked_at| looked_at * 100 < snapshot.last * 99);
        if layout.list.is_some() {
            let end = (model.frames.top + layout.list_rows() as u64).min(snapshot.listed.1 + 1);
            let start = model.frames.top.saturating_sub(above).max(snapshot.listed.0);
            snapshot.rows = self.rows.rows(capture, &model.listing, start.max(1)..end);
            snapshot.waits = self.rows.waits;
            let incoming = model.incoming(&capture.index());
            let room = layout.list_rows().saturating_sub(snapshot.rows.len());
            let above = model.frames.top.saturating_sub(snapshot.listed.1 + 1);
            for (n, (entry, growing)) in (snapshot.listed.1 + 1..).zip(incoming).skip(above as usize).take(room) {
                snapshot.rows.push(rows::incoming(capture, n, entry, growing.came));
            }
        }
    }

    fn ladder(&mut self, model: &Model, capture: &Capture, snapshot: &mut Snapshot) {
        self.listed(model, capture, 1, snapshot);
        if model.frames.top > snapshot.listed.0 && !snapshot.rows.is_empty() {
            snapshot.above = Some(snapshot.rows.remove(0));
        }
    }

    fn frames(&mut self, model: &mut Model, capture: &Capture, snapshot: &mut Snapshot) {
        let Some(layout) = model.layout() else { return };
        self.listed(model, capture, 0, snapshot);
        let selected = model.selected_frame();
        let known = self.detail.as_ref().filter(|detail| !detail.may_grow());
        let incoming = model.selected_incoming(&capture.index());
        if let (Some((entry, growing)), Some(place)) = (incoming, model.selected_place()) {
            self.detail = Some(FrameDetail::incoming(capture, place.n, entry, growing.came, &mut self.messages));
        } else if known.map(|detail| detail.n) != selected {
            self.detail = selected.and_then(|n| FrameDetail::read(capture, n, &mut self.messages));
        }
        if let Some(detail) = &mut self.detail {
            detail.refresh(&capture.index());
        }
        snapshot.detail.clone_from(&self.detail);
        let (Some(area), Some(detail)) = (layout.bytes, &self.detail) else { return };
        let (height, width) = inside(area);
        let dump = match model.bytes_as {
            BytesAs::Unmasking => Dump::of_payload(&detail.entry),
            BytesAs::Dump | BytesAs::Text => Dump::new(&detail.entry, detail.message.as_ref(), bytes_per_row(width)),
        };
        let fields = detail.anatomy.fields.iter().map(|field| (field.name.clone(), field.bytes.clone())).collect();
        model.shows(Shown { n: detail.n, dump: dump.clone(), fields });
        if model.bytes_as == BytesAs::Text {
            let Some(text) = text(&mut self.text, capture, detail, (width, model.theme)) else { return };
            snapshot.dump_rows = text.lines.len() as u64;
            model.bytes_scroll = model.bytes_scroll.min(snapshot.dump_rows.saturating_sub(height as u64));
            let lines = text.lines.iter().skip(model.bytes_scroll as usize).take(height).cloned().collect();
            snapshot.text = Some((lines, text.is_json));
            snapshot.text_bytes = text.bytes;
            return;
        }
        snapshot.dump_rows = dump.len();
        snapshot.byte = dump.at(model.spot.byte);
        if let Some(place) = snapshot.byte.filter(|_| std::mem::take(&mut model.spot.reveal_byte)) {
            // the heading above the first row comes with it
            let top = if place.row == 1 { 0 } else { place.row };
            model.bytes_scroll = model.bytes_scroll.clamp((place.row + 1).saturating_sub(height as u64), top);
        }
        model.bytes_scroll = model.bytes_scroll.min(dump.len().saturating_sub(height as u64));
        snapshot.dump = dump.rows(capture, &detail.entry, model.bytes_scroll, height);
    }
}

/// The payload of a frame as text, or the message that was inflated; what was laid out last is laid out no more.
fn text<'a>(
    known: &'a mut Option<Text>,
    capture: &Capture,
    detail: &FrameDetail,
    (width, theme): (usize, Theme),
) -> Option<&'a Text> {
    let same = |text: &Text| (text.n, text.width, text.theme) == (detail.n, width, theme) && !detail.may_grow();
    let read = || {
        let (bytes, length) = if let Some(message) = &detail.message {
            (message.bytes.to_vec(), message.inflated.length)
        } else {
            let payload = capture.payload(&detail.entry, 0..MessageDetail::MOST as u64).unwrap_or_default();
            (payload, detail.entry.header().length)
        };
        let (lines, is_json) = pretty::lines(&bytes, width, theme);
        Text { n: detail.n, width, theme, lines, is_json, bytes: (bytes.len() as u64, length) }
    };
    *known = Some(known.take().filter(same).unwrap_or_else(read));
    known.as_ref()
}

/// How many bytes fit a row of `width` columns: offset, hex in groups of eight, text.
const fn bytes_per_row(width: usize) -> usize {
    if width >= 76 { 16 } else { 8 }
}
