//! A cursor in a long list of which only a window is seen. Rows are numbered; the list may grow at its end at any time.

/// The cursor, the window and whether the cursor follows the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The selected row; below the first one if there are none.
    pub(super) selected: u64,
    /// The first row in the window.
    pub(super) top: u64,
    /// The selection is always the last row.
    pub(super) follow: bool,
    /// The window has to move to where the selection is.
    reveal: bool,
}

impl Cursor {
    /// At the first row.
    pub(super) const fn new(follow: bool) -> Self {
        Self { selected: 0, top: 0, follow, reveal: true }
    }

    /// Selects a row; what is out of range is put right by [`Cursor::settle`].
    pub(super) fn select(&mut self, row: u64) {
        self.selected = row;
        self.follow = false;
        self.reveal = true;
    }

    /// What is selected stands in another row by now: the window goes with it.
    pub(super) fn shift(&mut self, row: u64) {
        if row != self.selected {
            self.top = (self.top + row).saturating_sub(self.selected);
            self.selected = row;
            self.reveal = true;
        }
    }

    /// Moves the selection.
    pub(super) fn step(&mut self, rows: i64) {
        self.select(self.selected.saturating_add_signed(rows));
    }

    /// Moves the window and leaves the selection where it is.
    pub(super) fn scroll(&mut self, rows: i64) {
        self.top = self.top.saturating_add_signed(rows);
        self.follow = false;
        self.reveal = false;
    }

    /// The window shows the selection from now on.
    pub(super) fn reveal(&mut self) {
        self.reveal = true;
    }

    /// Puts selection and window in order for a list of rows `first` to `last` and a window of `height` rows.
    pub(super) fn settle(&mut self, first: u64, last: u64, height: usize) {
        self.settle_above(first, last, 0, height);
    }

    /// The same for a list with `below` more rows, which are not followed.
    pub(super) fn settle_above(&mut self, first: u64, last: u64, below: u64, height: usize) {
        let height = height.max(1) as u64;
        let end = last + below;
        if end < first {
            self.selected = first.saturating_sub(1);
            self.top = first;
            return;
        }
        self.selected = if self.follow { last.max(first) } else { self.selected.clamp(first, end) };
        if self.follow || self.reveal {
            let seen = if self.follow { end.min(self.selected + height - 1) } else { self.selected };
            let lowest = (seen + 1).saturating_sub(height);
            self.top = self.top.clamp(lowest, self.selected);
            self.reveal = false;
        }
        let lowest = (end + 1).saturating_sub(height).max(first);
        self.top = self.top.clamp(first, lowest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_keeps_the_last_row_at_the_bottom() {
        let mut cursor = Cursor::new(true);
        cursor.settle(1, 3, 10);
        assert_eq!((cursor.selected, cursor.top), (3, 1));
        cursor.settle(1, 1_000_000, 10);
        assert_eq!((cursor.selected, cursor.top), (1_000_000, 999_991));
    }

    #[test]
    fn new_rows_move_neither_selection_nor_window_unless_it_follows() {
        let mut cursor = Cursor::new(true);
        cursor.settle(1, 100, 10);
        cursor.step(-5);
        cursor.settle(1, 100, 10);
        let before = cursor;
        cursor.settle(1, 200, 10);
        assert_eq!(cursor, before);
        assert_eq!((cursor.selected, cursor.top), (95, 91));
    }

    #[test]
    fn scrolling_leaves_the_selection_and_stepping_brings_it_back_into_view() {
        let mut cursor = Cursor::new(false);
        cursor.settle(1, 100, 10);
        cursor.scroll(50);
        cursor.settle(1, 100, 10);
        assert_eq!((cursor.selected, cursor.top), (1, 51));
        cursor.step(1);
        cursor.settle(1, 100, 10);
        assert_eq!((cursor.selected, cursor.top), (2, 2));
        cursor.scroll(i64::MAX);
        cursor.settle(1, 100, 10);
        assert_eq!(cursor.top, 91);
    }

    #[test]
    fn an_empty_list_has_nothing_selected() {
        let mut cursor = Cursor::new(false);
        cursor.step(3);
        cursor.settle(8, 7, 10);
        assert_eq!(cursor.selected, 7);
        cursor.settle(8, 9, 10);
        assert_eq!(cursor.selected, 8);
    }
}
