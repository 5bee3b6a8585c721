//! Messages out of frames (RFC 6455 5.4): a message is one data frame, or a first one and its continuations, with
//! control frames allowed in between.

use super::{Header, Opcode};

/// Follows which message each frame of one direction belongs to, without looking at payloads.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageSequence {
    unfinished: Option<Opcode>,
}

/// A frame's place in the sequence of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A control frame; it belongs to no message and interrupts none.
    Control,
    /// Begins a message.
    First,
    /// Goes on with one.
    Continuation,
    /// A continuation frame where no message had begun.
    Orphan,
    /// Begins a message although an earlier one was not finished; the earlier one is given up.
    Interrupting,
}

impl MessageSequence {
    /// Takes the next frame's header.
    pub fn place(&mut self, header: &Header) -> Place {
        if header.opcode.is_control() {
            return Place::Control;
        }
        let continues = header.opcode == Opcode::CONTINUATION;
        let place = match (continues, self.unfinished) {
            (true, Some(_)) => Place::Continuation,
            (true, None) => return Place::Orphan,
            (false, None) => Place::First,
            (false, Some(_)) => Place::Interrupting,
        };
        if header.fin {
            self.unfinished = None;
        } else if !continues {
            self.unfinished = Some(header.opcode);
        }
        place
    }

    /// The opcode of the message that has begun and not ended.
    pub const fn unfinished(&self) -> Option<Opcode> {
        self.unfinished
    }
}

/// Cuts a message into `count` fragments of about equal size (0 counts as 1): for each its opcode, FIN and payload. A
/// character may fall on a border, as RFC 6455 5.4 and 8.1 allow.
pub fn fragments(opcode: Opcode, payload: &[u8], count: u16) -> impl Iterator<Item = (Opcode, bool, &[u8])> {
    let count = usize::from(count.max(1));
    let border = move |i: usize| (payload.len() as u128 * i as u128 / count as u128) as usize;
    (0..count).map(move |i| {
        let opcode = if i == 0 { opcode } else { Opcode::CONTINUATION };
        (opcode, i + 1 == count, &payload[border(i)..border(i + 1)])
    })
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first frame's opcode: text, binary, or a reserved one.
    pub opcode: Opcode,
    /// The unmasked payloads of its frames, joined.
    pub payload: Vec<u8>,
    /// How many frames carried it.
    pub fragments: u64,
}

/// The message at hand would grow past the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageTooBig {
    /// Bytes that the message would have.
    pub length: u64,
}

/// Puts the messages of one direction together, none larger than a limit.
#[derive(Debug)]
pub struct Reassembler {
    sequence: MessageSequence,
    message: Option<Message>,
    /// The frame whose payload comes now belongs to `message`.
    collecting: bool,
    fin: bool,
    max: u64,
    /// Room for the next message.
    room: Vec<u8>,
}

impl Reassembler {
    /// The most room that is made for a message by what a header says alone.
    const FORESEEN: u64 = 64 * 1024;

    /// Messages may have up to `max` bytes.
    pub const fn new(max: u64) -> Self {
        let sequence = MessageSequence { unfinished: None };
        Self { sequence, message: None, collecting: false, fin: false, max, room: Vec::new() }
    }

    /// Room for a message, empty.
    pub fn take_room(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.room)
    }

    /// The payload of a message that is not needed any more: its room is for the next one, unless it is so large that
    /// few will need it.
    pub fn use_again(&mut self, mut room: Vec<u8>) {
        if room.capacity() > self.room.capacity() && room.capacity() as u64 <= 2 * Self::FORESEEN {
            room.clear();
            self.room = room;
        }
    }

    /// Keeps no more than that much room for the next message.
    pub fn shrink_room(&mut self, most: usize) {
        self.room.shrink_to(most);
    }

    /// A frame begins. Tells its place, or that its message would be too big: then the message is given up.
    pub fn header(&mut self, header: &Header) -> Result<Place, MessageTooBig> {
        let place = self.sequence.place(header);
        self.collecting = false;
        match place {
            Place::Control | Place::Orphan => return Ok(place),
            Place::First | Place::Interrupting => {
                let mut payload = self.take_room();
                payload.reserve(header.length.min(Self::FORESEEN).min(self.max) as usize);
                self.message = Some(Message { opcode: header.opcode, payload, fragments: 0 });
            }
            Place::Continuation => {}
        }
        // after a message was given up as too big, its continuations are passed over
        let Some(message) = &mut self.message else { return Ok(place) };
        let length = (message.payload.len() as u64).saturating_add(header.length);
        if length > self.max {
            self.message = None;
            return Err(MessageTooBig { length });
        }
        message.fragments += 1;
        self.collecting = true;
        self.fin = header.fin;
        Ok(place)
    }

    /// Payload bytes of that frame, unmasked.
    pub fn payload(&mut self, bytes: &[u8]) {
        if let (true, Some(message)) = (self.collecting, &mut self.message) {
            message.payload.extend_from_slice(bytes);
        }
    }

    /// That frame is complete; so is its message, if it was the last one.
    pub fn end(&mut self) -> Option<Message> {
        let whole = self.collecting && self.fin;
        self.collecting = false;
        if whole { self.message.take() } else { None }
    }
}
