//! Draws the model and a snapshot. One pane a file.

mod bits;
mod bytes;
mod chart;
mod composer;
mod connections;
mod footer;
mod form;
mod frame;
mod frames;
mod handshake;
mod header;
mod help;
mod ladder;
mod lesson;
mod lessons;
mod paint;
mod pane;
mod prompt;
mod rails;
mod row;
mod rules;
mod statistics;
mod tls;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use self::paint::Paint;
use super::action::View;
use super::layout::{Layout, SMALLEST};
use super::model::Model;
use super::overlay::Overlay;
use super::snapshot::Snapshot;

/// Draws everything. The scroll offsets of the model are put right for what there is to scroll. Where the terminal's
/// cursor belongs is returned.
pub(super) fn draw(model: &mut Model, snapshot: &Snapshot, buffer: &mut Buffer) -> Option<Position> {
    let Some(layout) = model.layout() else {
        too_small(model, buffer);
        return None;
    };
    header::draw(model, snapshot, layout.header, buffer);
    let mut answer = None;
    if let Some(area) = layout.lesson {
        answer = lesson::draw(model, area, buffer);
    }
    draw_view(model, snapshot, &layout, buffer);
    footer::draw(model, snapshot, layout.footer, buffer);
    let mut cursor = None;
    let (between, learns) = (model.towards.is_some(), model.learning.is_some());
    for overlay in &mut model.overlays {
        cursor = match overlay {
            Overlay::Help(scroll) => {
                help::draw(scroll, model.theme, (model.live, between, learns), layout.body, buffer);
                None
            }
            Overlay::Form(form) => form::draw(form, model.theme, layout.body, buffer),
            Overlay::Composer(composer) => composer::draw(composer, model.theme, layout.body, buffer),
            Overlay::Filter(prompt) => Some(prompt::draw(prompt, model.theme, layout.body, buffer)),
            // it is part of the lesson's pane
            Overlay::Answer(_) => answer,
        };
    }
    cursor
}

/// Draws the panes of the view.
fn draw_view(model: &mut Model, snapshot: &Snapshot, layout: &Layout, buffer: &mut Buffer) {
    match model.view {
        _ if model.learning.as_ref().is_some_and(|learning| learning.session.hides()) => {
            lesson::draw_hidden(model.theme, layout.beside(), buffer);
        }
        View::Frames => {
            if let Some(area) = layout.list {
                frames::draw(model, snapshot, area, buffer);
            }
            if let Some(area) = layout.frame {
                frame::draw(model, snapshot, area, buffer);
            }
            if let Some(area) = layout.bytes {
                bytes::draw(model, snapshot, area, buffer);
            }
        }
        View::Connections => {
            if let Some(area) = layout.list {
                connections::draw_list(model, snapshot, area, buffer);
            }
            if let Some(area) = layout.frame {
                connections::draw_details(model, snapshot, area, buffer);
            }
        }
        View::Handshake | View::Ladder | View::Statistics => {
            let Some(area) = layout.list else { return };
            match model.view {
                View::Handshake => handshake::draw(model, snapshot, area, buffer),
                View::Ladder => ladder::draw(model, snapshot, area, buffer),
                _ => statistics::draw(model, snapshot, area, buffer),
            }
        }
        View::Rules => {
            if let Some(area) = layout.list {
                rules::draw_list(model, snapshot, area, buffer);
            }
            if let Some(area) = layout.frame {
                rules::draw_details(model, snapshot, area, buffer);
            }
        }
        View::Lessons => {
            if let Some(area) = layout.list {
                lessons::draw_list(model, area, buffer);
            }
            if let Some(area) = layout.frame {
                lessons::draw_details(model, area, buffer);
            }
        }
    }
}

fn too_small(model: &Model, buffer: &mut Buffer) {
    let area = *buffer.area();
    let by = model.theme.sign("×", "x");
    let text = format!(
        "wsinspect needs at least {}{by}{}, this terminal is {}{by}{}",
        SMALLEST.width, SMALLEST.height, area.width, area.height
    );
    let lines = super::text::wrap(&text, usize::from(area.width));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        Line::raw(line).paint(Rect { y, height: 1, ..area }, buffer);
    }
}
