//! Compressed messages → messages.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::IMPLIED_TAIL;

/// How far DEFLATE looks back at most, in bytes.
pub const MAX_WINDOW: usize = 32 * 1024;

/// Inflates the messages of one direction, in any number of pieces.
///
/// Within a message it holds about 40 KiB, and up to 64 KiB of what it put out last; between messages, no more than the
/// window that is carried over.
pub struct Inflater {
    takes_over: bool,
    limit: u64,
    /// `None` where it stands between two blocks and the next one begins anew.
    stream: Option<Decompress>,
    /// The last bytes put out, of which the last [`MAX_WINDOW`] count.
    window: Vec<u8>,
    /// How many bytes of that were there before the message at hand.
    carried: usize,
    /// Bytes that the message at hand gave so far.
    put_out: u64,
    /// Bytes that it took.
    taken: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Well,
    /// The message at hand is given up.
    Failed(InflateError),
    /// A message that later ones may refer to was not inflated to its end.
    Lost,
}

/// Why a message can't be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// It is not DEFLATE.
    Corrupt {
        /// The byte of the message's compressed payload that shows it.
        offset: u64,
    },
    /// It ends inside a block.
    Unfinished,
    /// It is more than the limit.
    TooBig {
        /// The limit in bytes.
        limit: u64,
    },
    /// An earlier message, which this one may refer to, was not inflated to its end.
    Lost,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { offset } => write!(f, "no DEFLATE from byte {offset} of the compressed message on"),
            Self::Unfinished => f.write_str("the compressed message ends inside a block"),
            Self::TooBig { limit } => write!(f, "more than {limit} bytes"),
            Self::Lost => f.write_str("an earlier message that it may refer to was not inflated to its end"),
        }
    }
}

impl std::error::Error for InflateError {}

impl Inflater {
    /// For messages of at most `limit` bytes inflated, each; `takes_over` if one may refer back to earlier ones.
    pub fn new(takes_over: bool, limit: u64) -> Self {
        Self {
            takes_over,
            limit,
            stream: None,
            window: Vec::new(),
            carried: 0,
            put_out: 0,
            taken: 0,
            state: State::Well,
        }
    }

    /// One that goes on behind a message after which the [`Inflater::window`] was this.
    pub fn resume(window: &[u8], limit: u64) -> Self {
        Self { window: window.to_vec(), carried: window.len(), ..Self::new(true, limit) }
    }

    /// Whether a message may refer back to earlier ones.
    pub const fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// What the next message, or the one at hand, may refer to: up to [`MAX_WINDOW`] bytes; `None` if that is not known
    /// because a message failed, or not any more because the one at hand gave much.
    pub fn window(&self) -> Option<&[u8]> {
        let is_all = self.window.len() as u64 == self.carried as u64 + self.put_out;
        (self.state == State::Well && is_all).then(|| &self.window[..self.carried])
    }

    /// Bytes that the message at hand gave so far.
    pub const fn put_out(&self) -> u64 {
        self.put_out
    }

    /// The next bytes of a message's payload, unmasked. What they give goes to `sink`, in pieces of up to 8 KiB.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<(), InflateError> {
        match self.state {
            State::Well => self.inflate(bytes, &mut sink).inspect_err(|&error| self.state = State::Failed(error)),
            State::Failed(error) => Err(error),
            State::Lost => Err(InflateError::Lost),
        }
    }

    /// The message is complete; all that it gives has been given.
    pub fn finish(&mut self) -> Result<(), InflateError> {
        let done = match self.state {
            State::Well => self.end_at_border(),
            State::Failed(error) => Err(error),
            State::Lost => Err(InflateError::Lost),
        };
        self.next_message(done.is_ok());
        done
    }

    /// The message will not be completed, or bytes of it were not seen.
    pub fn abandon(&mut self) {
        self.next_message(false);
    }

    /// The tail that is implied must be what it is, and not be taken for the rest of an unfinished block. That shows by an
    /// empty block after it, which says that it is the last one: there the stream ends, or else it was no border.
    fn end_at_border(&mut self) -> Result<(), InflateError> {
        const EMPTY_LAST_BLOCK: [u8; 2] = [0x03, 0x00];
        let put_out = self.put_out;
        let end = [IMPLIED_TAIL.as_slice(), &EMPTY_LAST_BLOCK].concat();
        let ended = self.inflate(&end, &mut |_| {}).is_ok() && self.stream.is_none();
        if ended && self.put_out == put_out { Ok(()) } else { Err(InflateError::Unfinished) }
    }

    fn next_message(&mut self, whole: bool) {
        self.put_out = 0;
        self.taken = 0;
        self.stream = None;
        if !(self.takes_over && whole) {
            self.window = Vec::new();
            self.state = if self.takes_over { State::Lost } else { State::Well };
        }
        self.window.drain(..self.window.len().saturating_sub(MAX_WINDOW));
        self.window.shrink_to(MAX_WINDOW);
        self.carried = self.window.len();
    }

    fn inflate(&mut self, mut bytes: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), InflateError> {
        let mut buffer = [0; 8 * 1024];
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None if bytes.is_empty() => return Ok(()),
                None => self.stream.insert(new_stream(&self.window)),
            };
            let (taken, put_out) = (stream.total_in(), stream.total_out());
            let result = stream.decompress(bytes, &mut buffer, FlushDecompress::Sync);
            let taken = (stream.total_in() - taken) as usize;
            let put_out = (stream.total_out() - put_out) as usize;
            self.taken += taken as u64;
            bytes = &bytes[taken..];
            let room = self.limit - self.put_out;
            let plain = &buffer[..put_out.min(usize::try_from(room).unwrap_or(usize::MAX))];
            self.put_out += plain.len() as u64;
            sink(plain);
            if plain.len() < put_out {
                return Err(InflateError::TooBig { limit: self.limit });
            }
            remember(&mut self.window, plain);
            match result {
                Err(_) => return Err(self.corrupt()),
                // a block may say that it is the last one; the stream then begins anew, the window stays (7.2.3.4)
                Ok(Status::StreamEnd) => self.stream = None,
                Ok(_) if bytes.is_empty() && put_out < buffer.len() => return Ok(()),
                Ok(_) if taken == 0 && put_out == 0 => return Err(self.corrupt()),
                Ok(_) => {}
            }
        }
    }

    const fn corrupt(&self) -> InflateError {
        InflateError::Corrupt { offset: self.taken.saturating_sub(1) }
    }
}

/// The sender's window may be smaller than 15 bits say; that makes no difference to who inflates.
fn new_stream(window: &[u8]) -> Decompress {
    let mut stream = Decompress::new_with_window_bits(false, 15);
    let window = &window[window.len().saturating_sub(MAX_WINDOW)..];
    if !window.is_empty() {
        stream.set_dictionary(window).expect("raw DEFLATE takes any dictionary at its beginning");
    }
    stream
}

fn remember(window: &mut Vec<u8>, plain: &[u8]) {
    if window.len() + plain.len() > 2 * MAX_WINDOW {
        let kept = MAX_WINDOW.saturating_sub(plain.len());
        window.drain(..window.len() - kept);
    }
    window.extend_from_slice(plain);
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("takes_over", &self.takes_over)
            .field("put_out", &self.put_out)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
