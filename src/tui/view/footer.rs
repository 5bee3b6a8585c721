//! The line at the bottom: the most useful keys and whom a send goes to, or what was just done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::paint::Paint;
use crate::tui::keymap;
use crate::tui::model::Model;
use crate::tui::snapshot::Snapshot;
use crate::tui::text::fit;
use crate::tui::theme::Theme;
use crate::wire::Side;

/// Draws it: as many keys as there is room for.
pub(super) fn draw(model: &Model, snapshot: &Snapshot, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let target = match (snapshot.target, model.towards) {
        _ if !model.live => String::new(),
        (Some(connection), None) => format!("to: {connection} "),
        (Some(connection), Some(Side::Client)) => format!("conn {connection}  to: client < "),
        (Some(connection), Some(Side::Server)) => format!("conn {connection}  to: server > "),
        (None, _) => "to: nobody ".to_owned(),
    };
    let room = width.saturating_sub(target.len() + 1);
    if let Some(work) = &model.work {
        let text =
            format!(" {}", fit(&model.theme.clean(&work.status()), room.saturating_sub(2), model.theme.ellipsis()));
        Line::styled(text, Theme::strong()).paint(area, buffer);
    } else if let Some(notice) = &model.notice {
        let text =
            format!(" {}", fit(&model.theme.clean(&notice.text), room.saturating_sub(2), model.theme.ellipsis()));
        Line::styled(text, Theme::strong()).paint(area, buffer);
    } else {
        keys(model, room).paint(area, buffer);
    }
    Line::styled(target, Theme::quiet()).right_aligned().paint(area, buffer);
}

fn keys(model: &Model, room: usize) -> Line<'static> {
    let mut line = Line::raw("");
    let of_lesson = model.learning.iter().flat_map(|_| keymap::lesson_footer(model.theme.ascii));
    for (key, short) in of_lesson.chain(keymap::footer(model.view, model.live, model.theme.ascii)) {
        let entry = [Span::styled(format!(" {key}"), Theme::strong()), Span::raw(format!(" {short} "))];
        let width: usize = entry.iter().map(Span::width).sum();
        if line.width() + width > room {
            break;
        }
        line.spans.extend(entry);
    }
    line
}
