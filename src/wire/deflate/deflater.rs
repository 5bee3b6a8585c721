//! Messages → compressed messages.

use flate2::{Compress, Compression, FlushCompress};

use super::IMPLIED_TAIL;

/// Compresses the messages of one direction.
pub struct Deflater {
    takes_over: bool,
    window_bits: u8,
    /// About 270 KiB: made with the first message, and kept only if it is taken over.
    stream: Option<Compress>,
}

impl Deflater {
    /// `takes_over` if a message may refer back to earlier ones. The window is 2 to the power of `window_bits`; `None` for
    /// 8, which DEFLATE's usual compressor can't keep to: messages then go out as they are, as RFC 7692 6 allows.
    pub fn new(takes_over: bool, window_bits: u8) -> Option<Self> {
        (9..=15).contains(&window_bits).then_some(Self { takes_over, window_bits, stream: None })
    }

    /// The next message refers to nothing that was sent before it.
    pub fn forget(&mut self) {
        self.stream = None;
    }

    /// Adds the compressed form of a whole message to `out`, without [`IMPLIED_TAIL`]: the payload of its frames, however
    /// it is divided among them.
    #[expect(clippy::missing_panics_doc, reason = "it does not panic")]
    pub fn message(&mut self, message: &[u8], out: &mut Vec<u8>) {
        if message.is_empty() {
            // an empty block without compression, less its tail (RFC 7692 7.2.3.6)
            out.push(0x00);
            return;
        }
        let bits = self.window_bits;
        let stream =
            self.stream.get_or_insert_with(|| Compress::new_with_window_bits(Compression::default(), false, bits));
        let (start, from) = (out.len(), stream.total_in());
        out.reserve(message.len() / 2 + 64);
        loop {
            let taken = (stream.total_in() - from) as usize;
            if out.capacity() - out.len() < 64 {
                out.reserve(out.len() - start + 256);
            }
            stream
                .compress_vec(&message[taken..], out, FlushCompress::Sync)
                .expect("a compressor without an end has no wrong order of calls");
            // room that is left over means that the flush is complete
            if (stream.total_in() - from) as usize == message.len() && out.len() < out.capacity() {
                break;
            }
        }
        debug_assert!(out[start..].ends_with(&IMPLIED_TAIL));
        out.truncate(out.len() - IMPLIED_TAIL.len());
        if !self.takes_over {
            self.stream = None;
        }
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater")
            .field("takes_over", &self.takes_over)
            .field("window_bits", &self.window_bits)
            .finish_non_exhaustive()
    }
}
