//! Where everything stands for a given size. The model scrolls by it, the mouse points by it, the view draws by it.
//!
//! ```text
//! header              header              header
//! ┌ frames ─────────┐ ┌ frame ──────────┐ ┌ frames ─────────┐
//! │                 │ │                 │ │                 │
//! │                 │ │                 │ └─────────────────┘
//! │                 │ └─────────────────┘ ┌ frame ┐┌ bytes ─┐
//! │                 │ ┌ bytes ──────────┐ │       ││        │
//! └─────────────────┘ └─────────────────┘ └───────┘└────────┘
//! footer              footer              footer
//! narrow              narrow, opened      wide
//! ```

use ratatui::layout::{Position, Rect, Size};

use super::action::View;

/// The smallest terminal that everything is usable on.
pub(super) const SMALLEST: Size = Size { width: 60, height: 15 };

/// The panes of the frames view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    /// The list.
    List,
    /// The selected frame's fields.
    Frame,
    /// Its bytes.
    Bytes,
}

/// Where everything stands. The rectangles of panes include their borders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The line at the top.
    pub(super) header: Rect,
    /// All between the first line and the last.
    pub(super) body: Rect,
    /// The line at the bottom.
    pub(super) footer: Rect,
    /// The list of frames, connections or rules, or all that a view shows in one pane.
    pub(super) list: Option<Rect>,
    /// The selected frame's fields, or the details of the selected connection or rule.
    pub(super) frame: Option<Rect>,
    /// The selected frame's bytes.
    pub(super) bytes: Option<Rect>,
    /// The lesson that is open.
    pub(super) lesson: Option<Rect>,
}

impl Layout {
    /// The layout; `None` where the terminal is too small for any.
    pub(super) fn new(size: Size, view: View, pane: Pane, maximised: bool) -> Option<Self> {
        if size.width < SMALLEST.width || size.height < SMALLEST.height {
            return None;
        }
        let row = |y| Rect { x: 0, y, width: size.width, height: 1 };
        let body = Rect { x: 0, y: 1, width: size.width, height: size.height - 2 };
        let footer = row(size.height - 1);
        let empty = Self { header: row(0), body, footer, list: None, frame: None, bytes: None, lesson: None };
        Some(Self { body, ..empty.view(body, view, pane, maximised) })
    }

    /// The layout while a lesson is open: its text beside the view, or above it where that is too narrow. `focused` if
    /// the text hears the keys.
    ///
    /// ```text
    /// header              header
    /// ┌ lesson ─────────┐ ┌ lesson ┐┌ frames ┐
    /// │                 │ │        ││        │
    /// └─────────────────┘ │        │└────────┘
    /// ┌ frames ─────────┐ │        │┌ frame ─┐
    /// │                 │ │        ││        │
    /// └─────────────────┘ └────────┘└────────┘
    /// footer              footer
    /// ```
    pub(super) fn with_lesson(size: Size, view: View, pane: Pane, maximised: bool, focused: bool) -> Option<Self> {
        let whole = Self::new(size, view, pane, maximised)?;
        let body = whole.body;
        let empty = Self { list: None, frame: None, bytes: None, ..whole };
        if maximised {
            return Some(if focused { Self { lesson: Some(body), ..empty } } else { whole });
        }
        let (lesson, room) = if body.width >= 110 {
            split_columns(body, (body.width * 2 / 5).min(76))
        } else {
            split_rows(body, body.height / 2)
        };
        Some(Self { body, lesson: Some(lesson), ..empty.view(room, view, pane, false) })
    }

    /// What is seen beside the lesson, whatever it is.
    pub(super) fn beside(&self) -> Rect {
        let panes = [self.list, self.frame, self.bytes];
        panes.into_iter().flatten().reduce(Rect::union).unwrap_or_default()
    }

    /// A view in the `room` that there is for it.
    fn view(self, room: Rect, view: View, pane: Pane, maximised: bool) -> Self {
        let (body, empty) = (room, self);
        let size = Size { width: room.width, height: room.height + 2 };
        match view {
            View::Handshake | View::Ladder | View::Statistics => Self { list: Some(body), ..empty },
            View::Connections | View::Rules | View::Lessons if maximised => match pane {
                Pane::List => Self { list: Some(body), ..empty },
                Pane::Frame | Pane::Bytes => Self { frame: Some(body), ..empty },
            },
            View::Connections | View::Rules | View::Lessons => {
                let (list, details) = split_rows(body, body.height.saturating_sub(details_height(body.height)));
                Self { list: Some(list), frame: Some(details), ..empty }
            }
            View::Frames if maximised => match pane {
                Pane::List => Self { list: Some(body), ..empty },
                Pane::Frame => Self { frame: Some(body), ..empty },
                Pane::Bytes => Self { bytes: Some(body), ..empty },
            },
            // beside a lesson, where it is high enough for both
            View::Frames if room.width < self.body.width && room.height >= 30 && !is_wide(size) => {
                let (list, below) = split_rows(body, body.height / 3);
                let (frame, bytes) = if pane == Pane::Bytes { (None, Some(below)) } else { (Some(below), None) };
                Self { list: Some(list), frame, bytes, ..empty }
            }
            View::Frames if is_wide(size) => {
                let (list, below) = split_rows(body, list_height(body.height));
                let (frame, bytes) = split_columns(below, below.width - bytes_width(size.width));
                Self { list: Some(list), frame: Some(frame), bytes: Some(bytes), ..empty }
            }
            View::Frames => match pane {
                Pane::List => Self { list: Some(body), ..empty },
                _ if body.height >= 20 => {
                    // the one that hears the keys gets more room
                    let frame = if matches!(pane, Pane::Frame) { body.height * 3 / 4 } else { body.height * 2 / 5 };
                    let (frame, bytes) = split_rows(body, frame);
                    Self { frame: Some(frame), bytes: Some(bytes), ..empty }
                }
                Pane::Frame => Self { frame: Some(body), ..empty },
                Pane::Bytes => Self { bytes: Some(body), ..empty },
            },
        }
    }

    /// The pane at `position`.
    pub(super) fn pane_at(&self, position: Position) -> Option<Pane> {
        let panes = [(Pane::List, self.list), (Pane::Frame, self.frame), (Pane::Bytes, self.bytes)];
        panes.into_iter().find_map(|(pane, area)| area?.contains(position).then_some(pane))
    }

    /// Rows of the list, without its borders and its headings.
    pub(super) fn list_rows(&self) -> usize {
        self.list.map_or(0, |area| usize::from(area.height.saturating_sub(3)))
    }
}

/// Rows and columns inside the borders of a pane.
pub(super) fn inside(area: Rect) -> (usize, usize) {
    (usize::from(area.height.saturating_sub(2)), usize::from(area.width.saturating_sub(4)))
}

const fn is_wide(size: Size) -> bool {
    size.width >= 100 && size.height >= 28
}

/// Sixteen bytes a row where there is room for them beside the fields, else eight.
const fn bytes_width(width: u16) -> u16 {
    if width >= 150 { 81 } else { 47 }
}

/// The lower panes need room for all fields of a frame before the list gets more.
const fn list_height(height: u16) -> u16 {
    if height >= 40 { height * 2 / 5 } else { height * 9 / 20 }
}

const fn details_height(height: u16) -> u16 {
    if height >= 30 { 14 } else { height * 2 / 5 }
}

const fn split_rows(area: Rect, first: u16) -> (Rect, Rect) {
    let rest = Rect { y: area.y + first, height: area.height - first, ..area };
    (Rect { height: first, ..area }, rest)
}

const fn split_columns(area: Rect, first: u16) -> (Rect, Rect) {
    let rest = Rect { x: area.x + first, width: area.width - first, ..area };
    (Rect { width: first, ..area }, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_60_by_15_up_the_panes_fill_the_body_and_do_not_overlap() {
        for (width, height) in [(60, 15), (80, 24), (99, 60), (100, 28), (120, 36), (200, 50), (300, 16)] {
            for view in View::ALL {
                for pane in [Pane::List, Pane::Frame, Pane::Bytes] {
                    for maximised in [false, true] {
                        let layout = Layout::new(Size { width, height }, view, pane, maximised).unwrap();
                        let panes = [layout.list, layout.frame, layout.bytes];
                        let covered: u32 = panes.into_iter().flatten().map(Rect::area).sum();
                        assert_eq!(covered, layout.body.area(), "{width}×{height} {view:?} {pane:?}");
                        assert!(panes.into_iter().flatten().all(|area| area.height >= 5 && area.width >= 40));
                    }
                }
            }
        }
        assert_eq!(Layout::new(Size { width: 59, height: 40 }, View::Frames, Pane::List, false), None);
    }

    #[test]
    fn beside_a_lesson_the_panes_fill_the_rest_and_nothing_overlaps() {
        for (width, height) in [(60, 15), (80, 24), (99, 60), (110, 15), (120, 36), (200, 50), (300, 16)] {
            for view in View::ALL {
                for pane in [Pane::List, Pane::Frame, Pane::Bytes] {
                    for (maximised, focused) in [(false, false), (false, true), (true, false), (true, true)] {
                        let size = Size { width, height };
                        let layout = Layout::with_lesson(size, view, pane, maximised, focused).unwrap();
                        let panes = [layout.lesson, layout.list, layout.frame, layout.bytes];
                        let covered: u32 = panes.into_iter().flatten().map(Rect::area).sum();
                        assert_eq!(covered, layout.body.area(), "{width}×{height} {view:?} {pane:?}");
                        assert!(layout.lesson.is_none_or(|lesson| lesson.height >= 5 && lesson.width >= 40));
                    }
                }
            }
        }
    }
}
