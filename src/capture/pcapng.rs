//! Blocks of a pcapng file, little-endian: section, interface, packet.
//!
//! The format is that of the IETF draft "PCAP Now Generic"; Wireshark, tshark and tcpdump read it.

use super::event::Timestamp;

/// Packets hold bare IP (LINKTYPE_RAW): the IP version stands in the first four bits.
pub(super) const LINKTYPE_RAW: u16 = 101;
/// More than any packet we write.
const SNAP_LENGTH: u32 = 256 * 1024;

pub(super) const SECTION_HEADER: u32 = 0x0A0D_0D0A;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
pub(super) const ENHANCED_PACKET: u32 = 6;
pub(super) const DECRYPTION_SECRETS: u32 = 10;
/// Secrets of TLS, as a key log has them.
const TLS_KEY_LOG: u32 = 0x544C_534B;

/// A block that we have put in the place of what is gone: of a type for local use, which others pass over.
pub(super) const GONE: u32 = 0x8000_0001;
/// Bytes of one that says how much is gone.
pub(super) const GONE_LENGTH: usize = 36;
const GONE_MAGIC: &[u8; 8] = b"wsinspec";

pub(super) const OPT_COMMENT: u16 = 1;
pub(super) const OPT_USER_APPLICATION: u16 = 4;
pub(super) const OPT_INTERFACE_NAME: u16 = 2;
pub(super) const OPT_TIMESTAMP_RESOLUTION: u16 = 9;

/// Bytes of an enhanced packet block before the packet's own.
pub(super) const PACKET_PREFIX: usize = 28;

/// Appends the beginning of a file: who wrote it, by which command, and one interface with nanosecond times.
pub(super) fn write_start(out: &mut Vec<u8>, program: &str, command: &str) {
    write_block(out, SECTION_HEADER, 0, |body| {
        body.extend_from_slice(&0x1A2B_3C4D_u32.to_le_bytes());
        body.extend_from_slice(&1_u16.to_le_bytes());
        body.extend_from_slice(&0_u16.to_le_bytes());
        // the section's length is not known while it is being written
        body.extend_from_slice(&(-1_i64).to_le_bytes());
        write_option(body, OPT_COMMENT, command.as_bytes());
        write_option(body, OPT_USER_APPLICATION, program.as_bytes());
        write_option(body, 0, b"");
    });
    write_block(out, INTERFACE_DESCRIPTION, 0, |body| {
        body.extend_from_slice(&LINKTYPE_RAW.to_le_bytes());
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&SNAP_LENGTH.to_le_bytes());
        write_option(body, OPT_INTERFACE_NAME, b"wsinspect");
        write_option(body, OPT_TIMESTAMP_RESOLUTION, &[9]);
        write_option(body, 0, b"");
    });
}

/// Appends lines of a key log, with which others decrypt what crossed the wire.
pub(super) fn write_secrets(out: &mut Vec<u8>, lines: &[u8]) {
    write_block(out, DECRYPTION_SECRETS, 0, |body| {
        body.extend_from_slice(&TLS_KEY_LOG.to_le_bytes());
        body.extend_from_slice(&(lines.len() as u32).to_le_bytes());
        body.extend_from_slice(lines);
    });
}

/// Appends a packet that was seen at `time` (nanoseconds since 1970); `write_packet` appends its bytes.
pub(super) fn write_packet(out: &mut Vec<u8>, time: u64, comments: &[String], write_packet: impl FnOnce(&mut Vec<u8>)) {
    write_packet_around(out, time, comments, 0, write_packet);
}

/// The same for a packet whose last `apart` bytes stand elsewhere: `write_headers` appends those before. Returned is where
/// in `out` the others belong.
pub(super) fn write_packet_around(
    out: &mut Vec<u8>,
    time: u64,
    comments: &[String],
    apart: usize,
    write_headers: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let mut place = 0;
    write_block(out, ENHANCED_PACKET, apart, |body| {
        body.extend_from_slice(&0_u32.to_le_bytes());
        body.extend_from_slice(&((time >> 32) as u32).to_le_bytes());
        body.extend_from_slice(&(time as u32).to_le_bytes());
        let lengths_at = body.len();
        body.extend_from_slice(&[0; 8]);
        let start = body.len();
        write_headers(body);
        place = body.len();
        let bytes = place - start + apart;
        let length = (bytes as u32).to_le_bytes();
        body[lengths_at..lengths_at + 4].copy_from_slice(&length);
        body[lengths_at + 4..lengths_at + 8].copy_from_slice(&length);
        pad(body, bytes);
        if !comments.is_empty() {
            for comment in comments {
                write_option(body, OPT_COMMENT, comment.as_bytes());
            }
            write_option(body, 0, b"");
        }
    });
    place
}

/// A block that says how many frames and connections are gone.
pub(super) fn gone([frames, connections]: [u64; 2]) -> [u8; GONE_LENGTH] {
    let mut block = [0; GONE_LENGTH];
    block[..4].copy_from_slice(&GONE.to_le_bytes());
    block[4..8].copy_from_slice(&(GONE_LENGTH as u32).to_le_bytes());
    block[8..16].copy_from_slice(GONE_MAGIC);
    block[16..24].copy_from_slice(&frames.to_le_bytes());
    block[24..32].copy_from_slice(&connections.to_le_bytes());
    block[32..].copy_from_slice(&(GONE_LENGTH as u32).to_le_bytes());
    block
}

/// Reads back what follows the length of such a block: how many frames and connections are gone.
pub(super) fn read_gone(body: &[u8]) -> Option<[u64; 2]> {
    let (frames, connections) = body.strip_prefix(GONE_MAGIC)?.split_first_chunk::<8>()?;
    Some([u64::from_le_bytes(*frames), u64::from_le_bytes(*connections.first_chunk::<8>()?)])
}

/// The start of a block, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockPrefix {
    /// Bytes of the whole block: the next one begins after them.
    pub(super) block_length: u32,
    /// Whether it is an enhanced packet block.
    pub(super) is_packet: bool,
    /// Bytes of the packet.
    pub(super) packet_length: u32,
    /// When it was seen.
    pub(super) time: Timestamp,
}

impl BlockPrefix {
    /// Reads the first [`PACKET_PREFIX`] bytes from a block on; `None` where there is none of ours.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (kind, block_length) = (word(0)?, word(4)?);
        if kind != ENHANCED_PACKET {
            // the smallest block has 12 bytes; shorter ones would be passed over forever
            let time = Timestamp::default();
            return (block_length >= 12).then_some(Self { block_length, is_packet: false, packet_length: 0, time });
        }
        let time = Timestamp(u64::from(word(12)?) << 32 | u64::from(word(16)?));
        let packet_length = word(20)?;
        let fits = packet_length <= SNAP_LENGTH && block_length > packet_length;
        fits.then_some(Self { block_length, is_packet: true, packet_length, time })
    }
}

/// Appends a block of which `apart` bytes stand elsewhere.
fn write_block(out: &mut Vec<u8>, kind: u32, apart: usize, write_body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    write_body(out);
    pad(out, out.len() - start + apart);
    let length = ((out.len() - start + apart + 4) as u32).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

fn write_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    // an option's length has 16 bits; comments come from the command line too
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// Fills `bytes` bytes up to a multiple of four.
fn pad(out: &mut Vec<u8>, bytes: usize) {
    let missing = bytes.next_multiple_of(4) - bytes;
    out.extend_from_slice(&[0; 3][..missing]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_block_is_laid_out_as_the_draft_says() {
        let mut out = Vec::new();
        write_packet(&mut out, 0x0000_0001_0000_0002, &["hi".to_owned()], |packet| packet.extend_from_slice(b"abcde"));
        let expected = [
            &6_u32.to_le_bytes()[..],
            &52_u32.to_le_bytes(),
            &0_u32.to_le_bytes(),
            &1_u32.to_le_bytes(),
            &2_u32.to_le_bytes(),
            &5_u32.to_le_bytes(),
            &5_u32.to_le_bytes(),
            b"abcde\0\0\0",
            &[1, 0, 2, 0, b'h', b'i', 0, 0],
            &[0, 0, 0, 0],
            &52_u32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(out, expected);
        assert_eq!(
            BlockPrefix::parse(&out),
            Some(BlockPrefix {
                block_length: 52,
                is_packet: true,
                packet_length: 5,
                time: Timestamp(0x0000_0001_0000_0002)
            })
        );
    }

    #[test]
    fn every_block_is_a_multiple_of_four_bytes_and_says_its_length_twice() {
        let mut out = Vec::new();
        write_start(&mut out, "wsinspect 1", "wsinspect serve 9002");
        let mut at = 0;
        while at < out.len() {
            let length = u32::from_le_bytes(out[at + 4..at + 8].try_into().unwrap());
            assert_eq!(length % 4, 0);
            at += length as usize;
            assert_eq!(out[at - 4..at], length.to_le_bytes());
        }
        assert_eq!(at, out.len());
    }
}
