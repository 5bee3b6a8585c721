//! The state of the panel: all that decides what is drawn, beside the capture itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use ratatui::layout::Size;

use super::action::View;
use super::course::Course;
use super::incoming::Incoming;
use super::layout::{Layout, Pane};
use super::learning::Learning;
use super::list::Cursor;
use super::listing::{Anchor, Listing, Place};
use super::overlay::Overlay;
use super::spot::{BytesAs, Shown, Spot};
use super::theme::Theme;
use super::work::{Chosen, Task, Work};
use crate::capture::filter::Filter;
use crate::capture::{Capture, Connection, ConnectionId, ConnectionState, Index, ReadProgress, Statistics};
use crate::control::{Command, Outgoing};
use crate::formats::export::Selection;
use crate::lint::Rule;
use crate::wire::Side;

/// The state of the panel.
#[derive(Debug)]
pub(super) struct Model {
    /// What runs: `serve 127.0.0.1:9002`.
    pub(super) title: String,
    /// The name of the file that is recorded to, if the user gave it one.
    pub(super) recording: Option<String>,
    /// What is to be done with files next.
    pub(super) task: Option<Task>,
    /// What is being done with files.
    pub(super) work: Option<Work>,
    /// How far the file is read that was opened, if one was.
    pub(super) reading: Option<Arc<ReadProgress>>,
    /// Whether there is anyone to send to.
    pub(super) live: bool,
    pub(super) theme: Theme,
    /// The zone that times of day are shown in.
    pub(super) zone: TimeZone,
    pub(super) size: Size,
    pub(super) view: View,
    /// The pane of the frames view that hears the keys.
    pub(super) pane: Pane,
    /// The same of the connections view: the list or the details.
    pub(super) connection_pane: Pane,
    pub(super) maximised: bool,
    /// The cursor among the rows of `listing`.
    pub(super) frames: Cursor,
    /// Which frames or messages are rows.
    pub(super) listing: Listing,
    /// What is selected, and the row that it stood in last.
    pub(super) anchor: Anchor,
    pub(super) placed: u64,
    pub(super) place: Option<Place>,
    /// What is selected where that is a frame that is still coming in.
    pub(super) incoming_at: Option<Incoming>,
    /// The filters of this session, the newest last.
    pub(super) filters: Vec<String>,
    /// Frames up to this one are hidden.
    pub(super) hidden: u64,
    /// Rows are places among the connections that are shown, from 1.
    pub(super) connections: Cursor,
    /// The connection that is selected, and the row that it stood in last.
    connection: Option<ConnectionId>,
    connection_placed: u64,
    /// The first line in view of the frame pane, the bytes pane, a connection's details and the handshake.
    pub(super) frame_scroll: u64,
    pub(super) bytes_scroll: u64,
    pub(super) details_scroll: u64,
    pub(super) handshake_scroll: u64,
    pub(super) statistics_scroll: u64,
    /// Where in the selected frame the user is, and the frame as it was drawn last.
    pub(super) spot: Spot,
    pub(super) shown: Option<Shown>,
    pub(super) bytes_as: BytesAs,
    /// Bytes that are unmasked one by one are shown in binary.
    pub(super) binary: bool,
    /// Whether the ladder shows all connections.
    pub(super) others: bool,
    /// The rows that the lines of the ladder belong to, as it was drawn last.
    pub(super) ladder_lines: Vec<u64>,
    /// Rows are places in the catalogue of rules, from 1.
    pub(super) rules: Cursor,
    pub(super) rule_pane: Pane,
    pub(super) rule_scroll: u64,
    /// The view that led to the frames, where `Esc` goes back to.
    pub(super) from: Option<View>,
    /// Why there is no traffic and never will be, where that is so.
    pub(super) quiet: Option<&'static str>,
    /// The lessons there are.
    pub(super) course: Course,
    /// The lesson that is open: then all the rest is about its connection.
    pub(super) learning: Option<Learning>,
    /// The topmost is the last one.
    pub(super) overlays: Vec<Overlay>,
    pub(super) notice: Option<Notice>,
    pub(super) frozen: Option<Frozen>,
    pub(super) quit: bool,
    /// Pings and pongs sent so far, so that each has a payload of its own.
    pub(super) heartbeats: u64,
    /// Whom the next send goes to, where we stand in the middle.
    pub(super) towards: Option<Side>,
    /// Whom everything goes to where there is no choice: the other end, where one is ours.
    pub(super) peer: Side,
}

/// A line that says what was just done; it goes away by itself.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) until: Instant,
}

/// What was there when the view was frozen.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    pub(super) frames: u64,
    pub(super) connections: Arc<[Connection]>,
    pub(super) statistics: Arc<Statistics>,
    pub(super) rule_counts: Arc<[u64]>,
}

impl Notice {
    const TIME: Duration = Duration::from_secs(5);

    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), until: Instant::now() + Self::TIME }
    }
}

impl Model {
    /// At the start: the frames, following the newest.
    pub(super) fn new(title: String, recording: Option<String>, theme: Theme, size: Size) -> Self {
        Self {
            title,
            recording,
            task: None,
            work: None,
            reading: None,
            live: true,
            theme,
            zone: TimeZone::system(),
            size,
            view: View::Frames,
            pane: Pane::List,
            connection_pane: Pane::List,
            maximised: false,
            frames: Cursor::new(true),
            listing: Listing::default(),
            anchor: Anchor::default(),
            placed: 0,
            place: None,
            incoming_at: None,
            filters: Vec::new(),
            hidden: 0,
            connections: Cursor::new(false),
            connection: None,
            connection_placed: 0,
            frame_scroll: 0,
            bytes_scroll: 0,
            details_scroll: 0,
            handshake_scroll: 0,
            statistics_scroll: 0,
            spot: Spot::default(),
            shown: None,
            bytes_as: BytesAs::Dump,
            binary: false,
            others: false,
            ladder_lines: Vec::new(),
            rules: Cursor::new(false),
            rule_pane: Pane::List,
            rule_scroll: 0,
            from: None,
            quiet: None,
            course: Course::default(),
            learning: None,
            overlays: Vec::new(),
            notice: None,
            frozen: None,
            quit: false,
            heartbeats: 0,
            towards: None,
            peer: Side::Client,
        }
    }

    /// The command that sends something on `connection`.
    pub(super) fn command(&self, connection: ConnectionId, send: Outgoing) -> Command {
        Command { connection, to: self.towards.unwrap_or(self.peer), send }
    }

    /// Where everything stands; `None` where the terminal is too small.
    pub(super) fn layout(&self) -> Option<Layout> {
        let (size, view, pane, maximised) = (self.size, self.view, self.front(), self.maximised);
        match &self.learning {
            Some(learning) => Layout::with_lesson(size, view, pane, maximised, learning.focused),
            None => Layout::new(size, view, pane, maximised),
        }
    }

    /// The pane that hears the keys.
    pub(super) const fn front(&self) -> Pane {
        match self.view {
            View::Frames => self.pane,
            View::Connections => self.connection_pane,
            View::Rules => self.rule_pane,
            View::Lessons => self.course.pane,
            View::Handshake | View::Ladder | View::Statistics => Pane::List,
        }
    }

    /// Whether the panes hear the keys, and not the text of a lesson.
    pub(super) fn hears(&self) -> bool {
        self.learning.as_ref().is_none_or(|learning| !learning.focused)
    }

    /// The terminal has another size.
    pub(super) fn resize(&mut self, size: Size) {
        self.size = size;
        self.reveal();
    }

    /// The windows show the selections from now on.
    pub(super) fn reveal(&mut self) {
        self.frames.reveal();
        self.connections.reveal();
        self.rules.reveal();
        self.course.cursor.reveal();
    }

    /// Says what was just done.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice::new(text));
    }

    /// The number of the last frame that is shown.
    pub(super) fn last_frame(&self, index: &Index) -> u64 {
        self.frozen.as_ref().map_or_else(|| index.totals().frames, |frozen| frozen.frames)
    }

    /// Frames up to this one are not listed: they are hidden, or gone.
    pub(super) fn unlisted(&self, index: &Index) -> u64 {
        self.hidden.max(index.gone())
    }

    /// The connections that are shown.
    pub(super) fn shown_connections<'a>(&'a self, index: &'a Index) -> &'a [Connection] {
        self.frozen.as_ref().map_or_else(|| index.connections(), |frozen| &frozen.connections)
    }

    /// The numbers that are shown.
    pub(super) fn statistics(&self, index: &Index) -> Arc<Statistics> {
        self.frozen.as_ref().map_or_else(|| Arc::new(index.statistics().clone()), |frozen| frozen.statistics.clone())
    }

    /// How often each rule was broken, as far as that is shown.
    pub(super) fn rule_counts(&self, index: &Index) -> Arc<[u64]> {
        self.frozen.as_ref().map_or_else(|| index.rule_counts().into(), |frozen| frozen.rule_counts.clone())
    }

    /// Puts selections and windows in order for what the capture holds by now.
    pub(super) fn settle(&mut self, capture: &Capture) {
        let index = capture.index();
        let last = self.last_frame(&index);
        let unlisted = self.unlisted(&index);
        let shown = self.shown_connections(&index);
        let connections = shown.len() as u64;
        let place = |id: ConnectionId| shown.binary_search_by_key(&id, |one| one.id).ok();
        // unless the cursor was moved, it goes where what it was on has gone
        let row = self.connection.filter(|_| self.connections.selected == self.connection_placed).and_then(place);
        drop(index);
        let rows = self.layout().map_or(0, |layout| layout.list_rows());
        let before = (self.selected_frame(), self.incoming_at);
        self.settle_frames(capture, unlisted, last, rows);
        if (self.selected_frame(), self.incoming_at) != before {
            self.frame_scroll = 0;
            self.bytes_scroll = 0;
        }
        if let Some(row) = row {
            self.connections.shift(row as u64 + 1);
        }
        let selected = self.connections.selected;
        self.connections.settle(1, connections, rows);
        if self.connections.selected != selected {
            self.details_scroll = 0;
        }
        self.connection_placed = self.connections.selected;
        let index = capture.index();
        self.connection = self.connection_row().and_then(|row| Some(self.shown_connections(&index).get(row)?.id));
        drop(index);
        let selected = self.rules.selected;
        self.rules.settle(1, Rule::ALL.len() as u64, rows);
        if self.rules.selected != selected {
            self.rule_scroll = 0;
        }
        self.course.settle(rows);
    }

    fn settle_frames(&mut self, capture: &Capture, unlisted: u64, last: u64, rows: usize) {
        self.listing.refresh(capture);
        let (first, last) = self.listing.rows(unlisted, last);
        self.settle_rows(capture, (first, last), rows);
    }

    /// What stands in the row under the cursor.
    pub(super) const fn selected_place(&self) -> Option<Place> {
        self.place
    }

    /// The frame under the cursor, if there is any that is complete, or never will be.
    pub(super) fn selected_frame(&self) -> Option<u64> {
        self.place.filter(|_| self.incoming_at.is_none()).map(|place| place.n)
    }

    /// The frame that stays selected while rows come and go.
    pub(super) const fn anchored(&self) -> u64 {
        self.anchor.n
    }

    /// Selects a frame that is listed.
    pub(super) fn select_frame(&mut self, n: u64) {
        self.anchor = Anchor::frame(n);
        self.placed = self.frames.selected;
        self.frames.follow = false;
        self.frames.reveal();
    }

    /// Only what passes `filter` is listed from now on. It is among those that can be recalled.
    pub(super) fn filter(&mut self, expression: String, filter: Option<Filter>) {
        if !expression.is_empty() {
            self.filters.retain(|earlier| *earlier != expression);
            self.filters.push(expression.clone());
        }
        self.listing.filter(expression, filter);
    }

    /// Begins to look for what the list is to show, if that is something else by now.
    pub(super) fn sift(&mut self, capture: &Arc<Capture>) {
        let only = match self.view {
            // what it shows stays, also where nothing of that is listed
            View::Ladder if !self.others => {
                self.listing.only().or_else(|| Some(capture.index().frame(self.anchor.n)?.connection()))
            }
            _ => None,
        };
        self.listing.narrow(only);
        if let Err(error) = self.listing.start(capture) {
            self.say(format!("cannot start the filter: {error}"));
        }
    }

    /// The frames that the list shows, or will show once the filter has looked at all that there are by now.
    pub(super) fn listed(&self, index: &Index) -> Chosen {
        let (hidden, last) = (self.unlisted(index), self.last_frame(index));
        match self.listing.filtering() {
            Some(sieve) => Chosen::Sifted { sieve, hidden, last },
            None if !self.listing.is_sifted()
                || self.listing.expression.is_empty() && self.listing.only().is_none() =>
            {
                Chosen::Known(Selection::Frames((hidden + 1..=last).collect()))
            }
            // it could not be started, and nothing is listed
            None => Chosen::Known(Selection::Frames(Vec::new())),
        }
    }

    /// How many frames the list shows by now.
    pub(super) fn listed_count(&self, index: &Index) -> u64 {
        let (unlisted, last) = (self.unlisted(index), self.last_frame(index));
        let matching = self.listing.matching(unlisted, last);
        matching.unwrap_or_else(|| last.saturating_sub(unlisted))
    }

    /// The connection that the view is about: the selected frame's, or the selected one.
    pub(super) fn selected_connection(&self, index: &Index) -> Option<ConnectionId> {
        match self.view {
            View::Frames | View::Ladder => match self.selected_incoming(index) {
                Some((entry, _)) => Some(entry.connection()),
                None => Some(index.frame(self.selected_frame()?)?.connection()),
            },
            View::Connections | View::Handshake | View::Statistics | View::Rules | View::Lessons => {
                self.shown_connections(index).get(self.connection_row()?).map(|one| one.id)
            }
        }
    }

    /// The rule under the cursor.
    pub(super) fn selected_rule(&self) -> Option<Rule> {
        Rule::ALL.get(usize::try_from(self.rules.selected).ok()?.checked_sub(1)?).copied()
    }

    /// The place of the selected connection among all.
    pub(super) fn connection_row(&self) -> Option<usize> {
        usize::try_from(self.connections.selected).ok()?.checked_sub(1)
    }

    /// The connection that the next send goes to: the one that the view is about if it is open, else the newest one
    /// that is.
    pub(super) fn target(&self, index: &Index) -> Option<ConnectionId> {
        let open = |connection: &Connection| connection.state == ConnectionState::Open;
        if index.totals().open == 0 {
            return None;
        }
        self.selected_connection(index)
            .and_then(|id| index.connection(id))
            .filter(|connection| open(connection))
            .or_else(|| index.connections().iter().rev().find(|connection| open(connection)))
            .map(|connection| connection.id)
    }
}
