//! What happens, as packets: conversations are synthesised around it, and what bytes alone can't say is commented.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::direction::{Before, Unfinished};
use super::event::{ConnectionId, Delay, Event, EventKind, Note, Origin, SentOn, SocketEnd, Timestamp, Vantage};
use super::mark::Mark;
use super::pcapng;
use super::remark::Remark;
use super::tcp::{Conversation, MAX_SEGMENT, Segment, write_note};
use super::tls::Tls;
use super::tunnel::{Tunnel, Unopened};
use crate::wire::{Opcode, Side};

/// Makes the blocks of a pcapng file of what happens.
#[derive(Debug)]
pub struct PacketWriter {
    conversations: HashMap<ConnectionId, Tracked, RandomState>,
}

/// Bytes of blocks that are not copied, and where among the others they belong.
pub(super) type Apart = Vec<(usize, Bytes)>;

/// What is not there of a side's stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoneBefore {
    /// How many bytes after the opening handshake.
    pub bytes: u64,
    /// Whether they end within a compressed message.
    pub cuts_message: bool,
}

#[derive(Debug)]
struct Tracked {
    conversation: Conversation,
    vantage: Vantage,
    /// The side whose next packet acknowledges that the other one has ended.
    owes: Option<Side>,
    /// How long bytes of each side stayed with us, where no comment has told of it yet.
    delays: [Option<Delay>; 2],
    /// Bytes of each side that are in no packet, and that no comment has told of yet.
    missing: [u64; 2],
}

impl PacketWriter {
    /// From so many bytes on a copy costs more than another part of a write.
    const MANY: usize = 8 * 1024;

    /// Appends the beginning of a file to `out`; `command` says how the program was called.
    pub fn start(out: &mut Vec<u8>, command: &str) -> Self {
        pcapng::write_start(out, concat!("wsinspect ", env!("CARGO_PKG_VERSION")), command);
        Self { conversations: HashMap::default() }
    }

    /// Appends what became of an event to `out`, whose first byte will stand at `start` in the file. A chunk becomes a
    /// block for each 65 000 bytes of it; where those will begin is added to `blocks`. Returned is how many missing
    /// bytes the comments tell of.
    pub fn push(&mut self, event: &Event, start: u64, out: &mut Vec<u8>, blocks: &mut Vec<u64>) -> u64 {
        self.push_around(event, start, out, blocks, None)
    }

    /// The same; where there is `apart`, many bytes of a chunk are not copied to `out` but added there.
    pub(super) fn push_around(
        &mut self,
        event: &Event,
        start: u64,
        out: &mut Vec<u8>,
        blocks: &mut Vec<u64>,
        mut apart: Option<&mut Apart>,
    ) -> u64 {
        let time = event.time.0;
        match &event.kind {
            EventKind::Opened { client, server, vantage } => {
                self.open(out, event, *client, *server, *vantage);
                return 0;
            }
            EventKind::Mark(mark) => {
                write_mark(out, time, mark);
                return 0;
            }
            EventKind::Secrets(secrets) => {
                pcapng::write_secrets(out, secrets.as_bytes());
                return 0;
            }
            _ => {}
        }
        let Some(Tracked { conversation, vantage, owes, delays, missing }) =
            self.conversations.get_mut(&event.connection)
        else {
            return 0;
        };
        match &event.kind {
            EventKind::Opened { .. } | EventKind::Account(_) | EventKind::Mark(_) | EventKind::Secrets(_) => {}
            // of the client's conversation alone packets are made: here it learns that its request has come
            EventKind::SentOn(_)
            | EventKind::NotSentOn(_)
            | EventKind::Tunnelled(_)
            | EventKind::Unopened(_)
            | EventKind::Tls { .. }
            | EventKind::NoTls(_)
            | EventKind::Truncated { .. } => {
                let remark = match &event.kind {
                    EventKind::SentOn(sent) => Remark::SentOn(SentOn::clone(sent)),
                    EventKind::NotSentOn(why) => Remark::NotSentOn(why.to_string()),
                    EventKind::Tunnelled(tunnel) => Remark::Tunnel(Tunnel::clone(tunnel)),
                    EventKind::Unopened(unopened) => Remark::Unopened(Unopened::clone(unopened)),
                    EventKind::Tls { with, tls } => Remark::Tls { with: *with, tls: Tls::clone(tls) },
                    EventKind::NoTls(why) => Remark::NoTls(why.to_string()),
                    EventKind::Truncated { from } => Remark::Truncated { from: *from },
                    _ => return 0,
                };
                let comment = [remark.to_string()];
                pcapng::write_packet(out, time, &comment, |packet| {
                    conversation.write(packet, Side::Server, Segment::Ack);
                });
            }
            EventKind::Delayed { from, delay } => {
                delays[*from as usize] = Some(*delay);
            }
            EventKind::Chunk { from, bytes, notes } => {
                *owes = owes.filter(|side| side != from);
                let expected = vantage.origin_of(*from);
                let told = std::mem::take(&mut missing[*from as usize]);
                let mut length_apart = 0;
                for (i, segment) in bytes.chunks(MAX_SEGMENT).enumerate() {
                    blocks.push(start + (out.len() + length_apart) as u64);
                    let mut comments = comments(notes, i * MAX_SEGMENT, segment.len(), expected);
                    if i == 0 {
                        comments.extend(delay_comments(delays));
                    }
                    if i == 0 && told > 0 {
                        comments.insert(0, format!("wsinspect: {told} bytes missing"));
                    }
                    match &mut apart {
                        Some(apart) if segment.len() >= Self::MANY => {
                            let place = pcapng::write_packet_around(out, time, &comments, segment.len(), |packet| {
                                conversation.write(packet, *from, Segment::Apart(segment));
                            });
                            apart.push((place, bytes.slice_ref(segment)));
                            length_apart += segment.len();
                        }
                        _ => pcapng::write_packet(out, time, &comments, |packet| {
                            conversation.write(packet, *from, Segment::Data(segment));
                        }),
                    }
                }
                return told;
            }
            EventKind::Ended { from, how } => {
                let segment = match how {
                    SocketEnd::Fin => Segment::Fin,
                    SocketEnd::Reset => Segment::Rst,
                };
                pcapng::write_packet(out, time, &[], |packet| conversation.write(packet, *from, segment));
                *owes = (*how == SocketEnd::Fin).then_some(from.other());
            }
            // sequence numbers count round
            EventKind::Gap { from, bytes } => conversation.advance(*from, *bytes as u32),
            EventKind::Closed { cause } => {
                let mut comments: Vec<_> = delay_comments(delays).collect();
                comments.push(Remark::Closed { cause: *cause }.to_string());
                // the last end is acknowledged; where there was none, a side gave up
                let (from, segment) = owes.map_or((Side::Server, Segment::Rst), |side| (side, Segment::Ack));
                pcapng::write_packet(out, time, &comments, |packet| conversation.write(packet, from, segment));
                self.conversations.remove(&event.connection);
            }
        }
        0
    }

    /// Says of an open connection that of what each side has sent since the opening handshake so much is not there, and with
    /// it what its compressed messages refer to.
    pub fn push_gone(
        &mut self,
        connection: ConnectionId,
        time: Timestamp,
        beginnings: [GoneBefore; 2],
        out: &mut Vec<u8>,
    ) {
        let Some(tracked) = self.conversations.get_mut(&connection) else { return };
        let comments = Side::BOTH.map(|from| {
            let GoneBefore { bytes, cuts_message } = beginnings[from as usize];
            // of which kind it was is of no account to whoever can't inflate it
            let message = if cuts_message { Unfinished::Message(Opcode::BINARY, true) } else { Unfinished::No };
            Remark::Gone { from, before: Before { frames: 0, bytes, chunks: 0, message } }.to_string()
        });
        pcapng::write_packet(out, time.0, &comments, |packet| {
            tracked.conversation.write(packet, Side::Client, Segment::Ack);
        });
    }

    /// The conversation of an open connection, as far as it has come.
    pub(super) fn conversation(&self, connection: ConnectionId) -> Option<&Conversation> {
        self.conversations.get(&connection).map(|tracked| &tracked.conversation)
    }

    /// So many bytes of `from` did not reach the file: the next packet of that direction says so.
    pub(super) fn lost(&mut self, connection: ConnectionId, from: Side, bytes: u64) {
        if let Some(tracked) = self.conversations.get_mut(&connection) {
            tracked.missing[from as usize] += bytes;
        }
    }

    fn open(&mut self, out: &mut Vec<u8>, event: &Event, client: SocketAddr, server: SocketAddr, vantage: Vantage) {
        let (id, time) = (event.connection, event.time.0);
        let mut conversation = Conversation::new(client, server);
        let comment = [Remark::Connection { number: id.0, vantage }.to_string()];
        for (from, segment, comments) in [
            (Side::Client, Segment::Syn, &comment[..]),
            (Side::Server, Segment::SynAck, &[]),
            (Side::Client, Segment::Ack, &[]),
        ] {
            pcapng::write_packet(out, time, comments, |packet| conversation.write(packet, from, segment));
        }
        self.conversations
            .insert(id, Tracked { conversation, vantage, owes: None, delays: [None, None], missing: [0, 0] });
    }
}

/// A packet beside the conversation, which its sequence numbers know nothing of.
fn write_mark(out: &mut Vec<u8>, time: u64, mark: &Mark) {
    pcapng::write_packet(out, time, &[mark.comment()], |packet| write_note(packet, mark.from.ip(), mark.to.ip()));
}

/// What is to be told of delays.
fn delay_comments(delays: &mut [Option<Delay>; 2]) -> impl Iterator<Item = String> {
    Side::BOTH.into_iter().filter_map(|from| {
        let delay = delays[from as usize].take()?;
        Some(Remark::Delayed { from, delay }.to_string())
    })
}

/// What bytes alone can't say, for the frames that begin in `[start, start + length)` of a chunk: who made them, where
/// that is not `expected`.
fn comments(notes: &[Note], start: usize, length: usize, expected: Origin) -> Vec<String> {
    notes
        .iter()
        .filter(|note| note.origin != expected && (start..start + length).contains(&note.offset))
        .map(|note| Remark::Origin { origin: note.origin, offset: note.offset - start }.to_string())
        .collect()
}
