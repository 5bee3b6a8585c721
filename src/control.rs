//! Everything that a user can ask of live traffic.
//!
//! Whoever shows the traffic sends commands; whoever moves it carries them out. What comes of a command is seen where
//! all traffic is seen: in the capture.

use tokio::sync::mpsc;

use crate::capture::ConnectionId;
use crate::compose::Composed;
use crate::wire::{CloseCode, Message, Side};

/// A wish of the user's for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Which connection.
    pub connection: ConnectionId,
    /// Whom to send it to; where we are one end ourselves, it goes to the other one in any case.
    pub to: Side,
    /// What to send on it.
    pub send: Outgoing,
}

/// What the user sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message in one frame.
    Text(String),
    /// A text message in `count` frames, with a ping between them if asked.
    Fragments {
        /// The whole text.
        text: String,
        /// How many frames carry it, at least 1.
        count: usize,
        /// Whether a ping goes in after the first one.
        ping_between: bool,
    },
    /// A ping with up to 125 bytes.
    Ping(Vec<u8>),
    /// A pong that nobody asked for, with up to 125 bytes.
    Pong(Vec<u8>),
    /// A close frame; without a code it has no body.
    Close {
        /// The code.
        code: Option<CloseCode>,
        /// The reason, up to 123 bytes.
        reason: String,
    },
    /// Frames as they are, whatever they break: at the next border between two frames.
    Composed(Composed),
}

/// Where commands come out.
pub type Commands = mpsc::UnboundedReceiver<Command>;

/// Messages that are to be sent one after the other, from elsewhere than the screen; it ends after the last of them, or
/// with why there are no more, in a sentence. Whoever sends them waits until those before have been taken.
pub type Messages = mpsc::Receiver<Result<Vec<Message>, String>>;

/// The way from whoever shows the traffic to whoever moves it.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::UnboundedSender<Command>,
}

impl Control {
    /// Both ends of the way.
    pub fn new() -> (Self, Commands) {
        let (commands, receiver) = mpsc::unbounded_channel();
        (Self { commands }, receiver)
    }

    /// Asks for a command to be carried out. A connection that is over by then takes none.
    pub fn send(&self, command: Command) {
        // without a receiver the program is being taken down
        let _ = self.commands.send(command);
    }
}
