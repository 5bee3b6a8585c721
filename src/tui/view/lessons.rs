//! The list of lessons with how far each is, and what the selected one consists of.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::paint::Paint;
use super::pane::Pane;
use crate::lessons::Lesson;
use crate::tui::course::Course;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::text::{counted, fit, left, wrap};
use crate::tui::theme::Theme;

/// Columns of a lesson's name, and of how far it is.
const NAME: usize = 14;
const STEPS: usize = 14;

/// Draws the list.
pub(super) fn draw_list(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (theme, course) = (model.theme, &model.course);
    let focused = course.pane == layout::Pane::List;
    let lessons = course.lessons();
    let done = lessons.iter().filter(|lesson| course.done(lesson) == lesson.steps.len()).count();
    let note = Line::raw(format!("{done} of {} done", counted(lessons.len() as u64, "lesson")));
    let inner = Pane { theme, focused, title: Line::raw("lessons"), note }.draw(area, buffer);
    let width = usize::from(inner.width);
    let row = |name: &str, steps: &str, title: &str| {
        let title = fit(title, width.saturating_sub(NAME + STEPS + 6), theme.ellipsis());
        format!("{}  {}  {title}", left(name, NAME, theme.ellipsis()), left(steps, STEPS, ""))
    };
    let headings = format!("  {}", row("lesson", "steps done", "about"));
    Line::styled(headings, Theme::quiet()).paint(Rect { height: 1, ..inner }, buffer);
    let top = course.cursor.top.max(1);
    for ((y, lesson), number) in (inner.y + 1..inner.bottom()).zip(lessons.iter().skip(top as usize - 1)).zip(top..) {
        let at_cursor = number == course.cursor.selected;
        let mark = if at_cursor { theme.sign("▸ ", "> ") } else { "  " };
        let text = row(&lesson.name, &steps(course, lesson), &theme.clean(&lesson.title));
        let row_area = Rect { y, height: 1, ..inner };
        let style = if at_cursor && focused { Theme::cursor() } else { Style::new() };
        buffer.set_style(row_area, style);
        Line::styled(format!("{mark}{text}"), style).paint(row_area, buffer);
    }
}

/// `3 of 9`, `9 of 9, done`
fn steps(course: &Course, lesson: &Lesson) -> String {
    let (done, steps) = (course.done(lesson), lesson.steps.len());
    let sign = if done == steps { ", done" } else { "" };
    format!("{done} of {steps}{sign}")
}

/// Draws what the selected lesson is about, and its steps.
pub(super) fn draw_details(model: &mut Model, area: Rect, buffer: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width.saturating_sub(4));
    let focused = model.course.pane != layout::Pane::List;
    let mut lines = Vec::new();
    if let Some(trouble) = model.course.trouble() {
        let trouble = wrap(&theme.clean(trouble), width);
        lines.extend(trouble.into_iter().map(|line| Line::styled(line, theme.alarm())));
    }
    let mut title = "lesson".to_owned();
    if let Some((_, lesson)) = model.course.selected() {
        title = theme.clean(&lesson.title);
        let about = wrap(&theme.clean(&lesson.about), width);
        lines.extend(about.into_iter().map(|line| Line::styled(line, Theme::strong())));
        let done = model.course.done(lesson);
        let enter = match done {
            0 => "Enter opens it".to_owned(),
            done if done == lesson.steps.len() => "Enter opens it from its beginning".to_owned(),
            _ => format!("Enter goes on with step {}", model.course.next(lesson) + 1),
        };
        lines.push(Line::styled(enter, Theme::quiet()));
        for (place, step) in lesson.steps.iter().enumerate() {
            let is_done = model.course.is_done(lesson, place);
            let sign = if is_done { theme.sign("✓", "x") } else { theme.dot() };
            let text = fit(&theme.clean(&step.title), width.saturating_sub(7), theme.ellipsis());
            let sign = Span::styled(format!("{sign} "), theme.field());
            lines.push(Line::from(vec![sign, Span::raw(format!("{:>2}  {text}", place + 1))]));
        }
    }
    let title = Line::raw(fit(&title, width.saturating_sub(24), theme.ellipsis()));
    let pane = Pane { theme, focused, title, note: Line::default() };
    pane.draw_lines(lines, &mut model.course.scroll, area, buffer);
}
