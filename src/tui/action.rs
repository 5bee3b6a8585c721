//! What a key or the mouse asks of the panel.

use ratatui::layout::Position;

use crate::wire::Side;

/// One thing that the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Into the selected frame, to the selected connection's handshake, to the frames that break the selected rule.
    Enter,
    /// In a lesson, to the next step.
    NextStep,
    /// To the step before.
    PreviousStep,
    /// For a hint.
    Hint,
    /// For what happens in the step once more.
    Again,
    /// Back to where one came from.
    Back,
    /// To the field or byte before.
    Left,
    /// To the next field or byte.
    Right,
    /// The bytes are shown in another way.
    BytesAs,
    /// Bytes that are unmasked one by one are shown in binary, or in hex again.
    Binary,
    /// To the next pane.
    NextPane,
    /// The pane takes all the room, or gives it back.
    Maximise,
    /// Another view.
    Show(View),
    /// To the finding before.
    PreviousFinding,
    /// To the next finding.
    NextFinding,
    /// The selection follows the newest frame, or no longer does.
    Follow,
    /// The view stands still, or moves on.
    Freeze,
    /// The list begins anew, or shows everything again.
    Clear,
    /// Asks for a filter.
    Filter,
    /// Rows are messages, or frames again.
    Messages,
    /// The ladder shows one connection, or all of them.
    Others,
    /// Sends a ping.
    Ping,
    /// Sends a pong that nobody asked for.
    Pong,
    /// Asks for a code and a reason, then closes.
    Close,
    /// Asks for a text and sends it in fragments.
    Fragments,
    /// Asks for a text and sends it.
    Text,
    /// Opens the editor of a frame.
    Compose,
    /// Opens the selected frame in it.
    Edit,
    /// Sends the selected frame again.
    Resend,
    /// Whom the next send goes to, where there is a choice.
    Towards(Side),
    /// Marks the selected frame, or takes its mark away.
    Mark,
    /// Gives the recording a name and keeps it.
    Keep,
    /// Writes what there is, or a part of it, to a file of another kind.
    Export,
    /// Shows the keys.
    Help,
    /// Ends the panel.
    Quit,
    /// A click.
    Click(Position),
    /// The wheel was turned over a place by so many rows, down if positive.
    Wheel(Position, i32),
}

/// What the panel shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The frames of all connections.
    Frames,
    /// The connections.
    Connections,
    /// One connection's opening handshake.
    Handshake,
    /// The frames as arrows between those who sent them.
    Ladder,
    /// Numbers over all frames.
    Statistics,
    /// The catalogue of rules, and how often each was broken.
    Rules,
    /// The lessons; while one is open, its text.
    Lessons,
}

impl View {
    /// In the order of their keys.
    pub(super) const ALL: [Self; 7] =
        [Self::Frames, Self::Connections, Self::Handshake, Self::Ladder, Self::Statistics, Self::Rules, Self::Lessons];

    /// One word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Connections => "connections",
            Self::Handshake => "handshake",
            Self::Ladder => "ladder",
            Self::Statistics => "statistics",
            Self::Rules => "rules",
            Self::Lessons => "lessons",
        }
    }

    /// Whether its rows are frames, of which one is selected.
    pub(super) const fn lists_frames(self) -> bool {
        matches!(self, Self::Frames | Self::Ladder)
    }
}
