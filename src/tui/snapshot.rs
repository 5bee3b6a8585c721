//! What is in view, read from the capture with short looks: the rows of the lists, the selected frame, the numbers.

use std::sync::Arc;

use super::action::View;
use super::detail::{FrameDetail, HandshakeDetail};
use super::dump::{Dump, DumpRow};
use super::layout::inside;
use super::model::Model;
use super::rows::{Row, RowCache};
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
        if known.map(|detail| detail.n) != selected {
            self.detail = selected.and_then(|n| FrameDetail::read(capture, n, &mut self.messages));
        }
        if let Some(detail) = &mut self.detail {
            detail.refresh(&capture.index());
        }
        snapshot.detail.clone_from(&self.detail);
        let (Some(area), Some(detail)) = (layout.bytes, &self.detail) else { return };
        let (height, width) = inside(area);
        let dump = Dump::new(&detail.entry, detail.message.as_ref(), bytes_per_row(width));
        snapshot.dump_rows = dump.len();
        model.bytes_scroll = model.bytes_scroll.min(dump.len().saturating_sub(height as u64));
        snapshot.dump = dump.rows(capture, &detail.entry, model.bytes_scroll, height);
    }
}

/// How many bytes fit a row of `width` columns: offset, hex in groups of eight, text.
const fn bytes_per_row(width: usize) -> usize {
    if width >= 76 { 16 } else { 8 }
}
