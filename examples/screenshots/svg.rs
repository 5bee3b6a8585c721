//! A terminal's screen as an SVG picture.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

const CELL_WIDTH: f32 = 8.4;
const CELL_HEIGHT: f32 = 18.0;
const MARGIN: f32 = 12.0;
const BACKGROUND: &str = "#0c0e14";
const FOREGROUND: &str = "#d8dee9";
/// The sixteen colours that a terminal's theme chooses.
const PALETTE: [&str; 16] = [
    "#1c1f26", "#e05561", "#8cc265", "#d18f52", "#4aa5f0", "#c162de", "#42b3c2", "#d7dae0", "#666c7a", "#ff616e",
    "#a5e075", "#f0a45d", "#4dc4ff", "#de73ff", "#4cd1e0", "#ffffff",
];

/// How a run of cells looks.
#[derive(Clone, PartialEq)]
struct Look {
    foreground: String,
    background: String,
    bold: bool,
    italic: bool,
    underline: bool,
}

/// Draws `screen`.
pub(crate) fn draw(screen: &Screen) -> String {
    let still = Still::of(screen, "");
    let mut svg = still.start(0.0);
    still.rows.iter().for_each(|row| svg.push_str(row));
    svg.push_str("</svg>\n");
    svg
}

/// A screen as it was at one moment, each row drawn.
pub(crate) struct Still {
    rows: Vec<String>,
    size: (f32, f32),
}

impl Still {
    /// `caption` stands below the screen: what is done there.
    pub(crate) fn of(screen: &Screen, caption: &str) -> Self {
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let width = f32::from(columns) * CELL_WIDTH + 2.0 * MARGIN;
        let height = f32::from(rows) * CELL_HEIGHT + 2.0 * MARGIN;
        let mut drawn: Vec<String> = (0..rows)
            .map(|row| {
                let cells: Vec<&Cell> = (0..columns).filter_map(|column| screen.cell(row, column)).collect();
                let mut looks: Vec<Look> = cells.iter().map(|cell| Look::of(cell)).collect();
                // the second half of a wide character looks as its first half does
                for i in 1..cells.len() {
                    if cells[i].is_wide_continuation() {
                        looks[i] = looks[i - 1].clone();
                    }
                }
                let mut svg = String::new();
                draw_row(&mut svg, row, &cells, &looks);
                svg
            })
            .collect();
        if !caption.is_empty() {
            let look = Look {
                foreground: PALETTE[3].to_owned(),
                background: BACKGROUND.to_owned(),
                bold: true,
                italic: false,
                underline: false,
            };
            let mut svg = String::new();
            draw_text(&mut svg, MARGIN + CELL_WIDTH, height, caption, &look);
            drawn.push(svg + "\n");
        }
        Self { rows: drawn, size: (width, height) }
    }

    /// The beginning of a picture that is so much higher than the screen.
    fn start(&self, below: f32) -> String {
        let (width, height) = (self.size.0, self.size.1 + below);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\" font-size=\"14\">\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
        )
    }
}

/// Stills, each shown for so many seconds, over and over. A row that stays as it is is drawn once.
pub(crate) fn animate(stills: &[(Still, f32)]) -> String {
    let Some((first, _)) = stills.first() else { return String::new() };
    let whole: f32 = stills.iter().map(|(_, seconds)| seconds).sum();
    let mut svg = first.start(CELL_HEIGHT + MARGIN);
    let rows = stills.iter().map(|(still, _)| still.rows.len()).max().unwrap_or(0);
    for row in 0..rows {
        // each look of the row, and for which stills it is seen
        let mut looks: Vec<(&str, Vec<bool>)> = Vec::new();
        for (n, (still, _)) in stills.iter().enumerate() {
            let Some(look) = still.rows.get(row).map(String::as_str).filter(|look| look.trim() != "") else { continue };
            let at = looks.iter().position(|(known, _)| *known == look).unwrap_or_else(|| {
                looks.push((look, vec![false; stills.len()]));
                looks.len() - 1
            });
            looks[at].1[n] = true;
        }
        for (look, seen) in looks {
            if seen.iter().all(|seen| *seen) {
                svg.push_str(look);
                continue;
            }
            let (mut values, mut times, mut at) = (Vec::new(), Vec::new(), 0.0);
            for (n, (_, seconds)) in stills.iter().enumerate() {
                if n == 0 || seen[n] != seen[n - 1] {
                    values.push(if seen[n] { "visible" } else { "hidden" });
                    times.push(format!("{:.4}", at / whole));
                }
                at += seconds;
            }
            let (values, times) = (values.join(";"), times.join(";"));
            let start = if seen[0] { "visible" } else { "hidden" };
            let _ = writeln!(
                svg,
                "<g visibility=\"{start}\"><animate attributeName=\"visibility\" calcMode=\"discrete\" dur=\"{whole:.1}s\" \
                 repeatCount=\"indefinite\" values=\"{values}\" keyTimes=\"{times}\"/>{}</g>",
                look.trim_end()
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_row(svg: &mut String, row: u16, cells: &[&Cell], looks: &[Look]) {
    let top = MARGIN + f32::from(row) * CELL_HEIGHT;
    let mut at = 0;
    while at < cells.len() {
        let look = &looks[at];
        let run = looks[at..].iter().take_while(|other| *other == look).count();
        let left = MARGIN + at as f32 * CELL_WIDTH;
        if look.background != BACKGROUND {
            let width = run as f32 * CELL_WIDTH;
            let fill = &look.background;
            let _ = write!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT}\" fill=\"{fill}\"/>"
            );
        }
        for (offset, piece) in pieces(&cells[at..at + run]) {
            draw_text(svg, left + offset as f32 * CELL_WIDTH, top, &piece, look);
        }
        at += run;
    }
    svg.push('\n');
}

/// The texts of a run of cells and where they begin: blanks split it, and a wide character stands alone.
fn pieces(cells: &[&Cell]) -> Vec<(usize, String)> {
    let mut pieces: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (i, cell) in cells.iter().enumerate() {
        let text = cell.contents();
        if text.trim().is_empty() || cell.is_wide_continuation() {
            open = false;
        } else if open && !cell.is_wide() {
            if let Some((_, piece)) = pieces.last_mut() {
                piece.push_str(text);
            }
        } else {
            pieces.push((i, text.to_owned()));
            open = !cell.is_wide();
        }
    }
    pieces
}

fn draw_text(svg: &mut String, x: f32, top: f32, text: &str, look: &Look) {
    let y = top + 13.5;
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let attribute = |on, text: &'static str| if on { text } else { "" };
    let count = text.chars().count();
    // keeps columns aligned whatever font the viewer has
    let length = count as f32 * CELL_WIDTH;
    let fit = if count > 1 { format!(" textLength=\"{length:.1}\"") } else { String::new() };
    let _ = write!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\"{fit} fill=\"{}\"{}{}{}>{escaped}</text>",
        look.foreground,
        attribute(look.bold, " font-weight=\"bold\""),
        attribute(look.italic, " font-style=\"italic\""),
        attribute(look.underline, " text-decoration=\"underline\""),
    );
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let mut foreground = color(cell.fgcolor(), FOREGROUND);
        let mut background = color(cell.bgcolor(), BACKGROUND);
        if cell.inverse() {
            std::mem::swap(&mut foreground, &mut background);
        }
        if cell.dim() {
            foreground = mixed(&foreground, &background);
        }
        Self { foreground, background, bold: cell.bold(), italic: cell.italic(), underline: cell.underline() }
    }
}

fn color(color: Color, default: &str) -> String {
    match color {
        Color::Default => default.to_owned(),
        Color::Idx(i @ 0..16) => PALETTE[usize::from(i)].to_owned(),
        Color::Idx(i @ 232..) => {
            let level = 8 + (i - 232) * 10;
            format!("#{level:02x}{level:02x}{level:02x}")
        }
        Color::Idx(i) => {
            let part = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
            let i = i - 16;
            format!("#{:02x}{:02x}{:02x}", part(i / 36), part(i / 6 % 6), part(i % 6))
        }
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

/// The colour a little more than half way from `background` to `foreground`.
fn mixed(foreground: &str, background: &str) -> String {
    let part = |color: &str, at: usize| u16::from_str_radix(&color[at..at + 2], 16).unwrap_or(0);
    let mix = |at| (part(foreground, at) * 11 + part(background, at) * 9) / 20;
    format!("#{:02x}{:02x}{:02x}", mix(1), mix(3), mix(5))
}
