//! What is written anew of connections when their beginning goes: the opening handshake, and the first bytes of the frame
//! at hand. The sequence numbers are such that the next packet in the file goes on right after it.

use std::net::SocketAddr;
use std::ops::Range;

use super::Capture;
use super::connection::Connection;
use super::direction::Halfway;
use super::event::{ConnectionId, SocketEnd, Timestamp, Vantage};
use super::file::Position;
use super::pcapng;
use super::remark::Remark;
use super::tcp::{Conversation, MAX_SEGMENT, Segment};
use super::tls::Tls;
use crate::wire::Side;

/// A connection that goes on after a border.
#[derive(Debug)]
pub(super) struct Going {
    pub(super) id: ConnectionId,
    /// The opening handshake is over.
    pub(super) is_over: bool,
    pub(super) sides: [Halfway; 2],
    /// The sequence numbers that come next.
    pub(super) sequence: [u32; 2],
    /// How each side has ended.
    pub(super) ended: [Option<SocketEnd>; 2],
    /// When the last event before the border was.
    pub(super) latest: Timestamp,
}

/// What is written anew.
#[derive(Debug, Default)]
pub(super) struct Anew {
    pub(super) packets: Vec<u8>,
    pub(super) moved: Vec<Moved>,
    /// There was no room for every connection.
    pub(super) is_short: bool,
}

/// Something that began before the border.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) connection: ConnectionId,
    pub(super) from: Side,
    /// A frame, or else a head.
    pub(super) is_frame: bool,
    pub(super) old: Position,
    /// Where it stands now, if anywhere.
    pub(super) new: Option<Position>,
}

/// The most bytes of an unfinished frame that are written anew. The rest is missing then.
const MOST: u64 = 1 << 20;
/// The longest header of a frame has 14 bytes.
const LEAST: u64 = 64;

/// How many bytes [`write`] takes for these, of which what is unfinished shares `unfinished`.
pub(super) fn length(going: &[Going], capture: &Capture, unfinished: u64) -> u64 {
    let most = most(going, unfinished);
    let mut length = 0;
    let mut anew = Anew::default();
    for one in going {
        let Some(connection) = capture.index().connection(one.id).cloned() else { continue };
        Opening::new(one, &connection, most, |_, _, length| vec![0; length as usize]).write(0, &mut anew);
        length += anew.packets.len() as u64;
        anew.packets.clear();
        anew.moved.clear();
    }
    length
}

/// The packets that are to stand in `room` in the file. Connections for which there is none are left out.
pub(super) fn write(going: &[Going], capture: &Capture, room: Range<u64>, unfinished: u64) -> Anew {
    let most = most(going, unfinished);
    let mut anew = Anew::default();
    for one in going {
        let Some(connection) = capture.index().connection(one.id).cloned() else { continue };
        let opening = Opening::new(one, &connection, most, |side, position, length| {
            let bytes = capture.reader().read(connection.addresses(), side, position, 0, length as usize);
            // what can't be read back is missing
            bytes.unwrap_or_default()
        });
        let (length, moved) = (anew.packets.len(), anew.moved.len());
        opening.write(room.start, &mut anew);
        if anew.packets.len() as u64 > room.end - room.start {
            anew.is_short = true;
            anew.packets.truncate(length);
            anew.moved[moved..].iter_mut().for_each(|one| one.new = None);
        }
    }
    anew
}

/// The most bytes of what is unfinished on a side of each of these.
fn most(going: &[Going], unfinished: u64) -> u64 {
    (unfinished / (2 * going.len()).max(1) as u64).clamp(LEAST, MOST)
}

/// What is known of a connection up to the border.
struct Opening<'a> {
    going: &'a Going,
    connection: &'a Connection,
    /// From where it was looked at, as far as the file is to say.
    vantage: Vantage,
    /// Where each side's head stands, and its bytes; none unless the handshake is over.
    heads: [Option<(Position, Vec<u8>)>; 2],
    /// What has come of what is unfinished, and how many bytes that was in all.
    tails: [(Vec<u8>, u64); 2],
}

impl<'a> Opening<'a> {
    /// `read` reads so many bytes of a side from a place in the file.
    fn new(
        going: &'a Going,
        connection: &'a Connection,
        most: u64,
        read: impl Fn(Side, Position, u64) -> Vec<u8>,
    ) -> Self {
        let heads = Side::BOTH.map(|side| {
            let (position, length) = connection.heads[side as usize].filter(|_| going.is_over)?;
            Some((position, read(side, position, length as u64))).filter(|(_, head)| head.len() == length)
        });
        let sent = Conversation::resumed(connection.client, connection.server, going.sequence);
        let tails = Side::BOTH.map(|side| {
            let halfway = &going.sides[side as usize];
            let ended = u32::from(going.ended[side as usize] == Some(SocketEnd::Fin));
            let come = if going.is_over { halfway.unfinished } else { (sent.sent(side).wrapping_sub(ended)).into() };
            let tail = halfway.begun.map_or_else(Vec::new, |position| read(side, position, come.min(most)));
            (tail, come)
        });
        // without both heads nobody could tell where frames begin
        let is_late = going.is_over && heads.iter().any(Option::is_none) && connection.unopened.is_none();
        let vantage = if is_late { Vantage::Late } else { connection.vantage };
        let heads = if is_late { [None, None] } else { heads };
        Self { going, connection, vantage, heads, tails }
    }

    fn write(&self, start: u64, anew: &mut Anew) {
        let (connection, going) = (self.connection, self.going);
        let mut conversation = self.conversation();
        let began = connection.began.0;
        let number = Remark::Connection { number: connection.id.0, vantage: self.vantage }.to_string();
        let gone: Vec<String> = Side::BOTH
            .iter()
            .filter(|_| going.is_over && connection.unopened.is_none())
            .map(|from| Remark::Gone { from: *from, before: going.sides[*from as usize].before }.to_string())
            .collect();
        let tls: Vec<String> = Side::BOTH
            .iter()
            .filter_map(|&with| {
                let tls = Tls::clone(connection.tls[with as usize].as_deref()?);
                Some(Remark::Tls { with, tls }.to_string())
            })
            .collect();
        let has_heads = self.heads[0].is_some();
        let mut first: Vec<String> = Vec::new();
        first.extend(connection.tunnel.as_deref().map(|tunnel| Remark::Tunnel(tunnel.clone()).to_string()));
        first.extend(connection.unopened.as_deref().map(|unopened| Remark::Unopened(unopened.clone()).to_string()));
        if !has_heads {
            first.extend_from_slice(&gone);
        }
        let out = &mut anew.packets;
        for (from, segment, comments) in [
            (Side::Client, Segment::Syn, &[number][..]),
            (Side::Server, Segment::SynAck, &[]),
            (Side::Client, Segment::Ack, &first[..]),
        ] {
            pcapng::write_packet(out, began, comments, |packet| conversation.write(packet, from, segment));
        }
        for comment in tls.chunks(1) {
            pcapng::write_packet(out, began, comment, |packet| {
                conversation.write(packet, Side::Server, Segment::Ack);
            });
        }
        let answered = connection.answered.unwrap_or(connection.began).0;
        for (from, time) in [(Side::Client, began), (Side::Server, answered)] {
            let old = connection.heads[from as usize].map(|(position, _)| position).filter(|_| going.is_over);
            let block = start + out.len() as u64;
            let new = self.heads[from as usize].as_ref().map(|_| Position { block, skip: 0 });
            anew.moved.extend(old.map(|old| Moved { connection: connection.id, from, is_frame: false, old, new }));
            if let Some((_, head)) = &self.heads[from as usize] {
                write_bytes(out, &mut conversation, from, time, head, &[]);
            }
        }
        if has_heads {
            pcapng::write_packet(out, answered, &gone, |packet| {
                conversation.write(packet, Side::Client, Segment::Ack);
            });
        }
        for from in Side::BOTH {
            let halfway = &going.sides[from as usize];
            let (tail, come) = &self.tails[from as usize];
            let block = start + out.len() as u64;
            let new = (!tail.is_empty()).then_some(Position { block, skip: 0 });
            anew.moved.extend(halfway.begun.map(|old| Moved {
                connection: connection.id,
                from,
                is_frame: going.is_over,
                old,
                new,
            }));
            let is_noted = going.is_over && halfway.origin != self.vantage.origin_of(from);
            let comments: Vec<_> = is_noted
                .then(|| Remark::Origin { origin: halfway.origin, offset: 0 }.to_string())
                .into_iter()
                .collect();
            write_bytes(out, &mut conversation, from, going.latest.0, tail, &comments);
            conversation.advance(from, (*come as u32).wrapping_sub(tail.len() as u32));
        }
        for from in Side::BOTH {
            let segment = match going.ended[from as usize] {
                Some(SocketEnd::Fin) => Segment::Fin,
                Some(SocketEnd::Reset) => Segment::Rst,
                None => continue,
            };
            pcapng::write_packet(out, going.latest.0, &[], |packet| conversation.write(packet, from, segment));
        }
        debug_assert_eq!(conversation.sequence(), going.sequence, "the next packet goes on right after this");
    }

    /// A conversation that will have come to the border's sequence numbers when all is written.
    fn conversation(&self) -> Conversation {
        let first = Side::BOTH.map(|side| {
            let head = self.heads[side as usize].as_ref().map_or(0, |(_, head)| head.len() as u32);
            let fin = u32::from(self.going.ended[side as usize] == Some(SocketEnd::Fin));
            let counted = head.wrapping_add(self.tails[side as usize].1 as u32).wrapping_add(fin + 1);
            self.going.sequence[side as usize].wrapping_sub(counted)
        });
        let (client, server): (SocketAddr, SocketAddr) = self.connection.addresses();
        Conversation::resumed(client, server, first)
    }
}

fn write_bytes(
    out: &mut Vec<u8>,
    conversation: &mut Conversation,
    from: Side,
    time: u64,
    bytes: &[u8],
    comments: &[String],
) {
    for (i, segment) in bytes.chunks(MAX_SEGMENT).enumerate() {
        let comments = if i == 0 { comments } else { &[] };
        pcapng::write_packet(out, time, comments, |packet| conversation.write(packet, from, Segment::Data(segment)));
    }
}
