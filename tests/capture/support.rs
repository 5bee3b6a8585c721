//! A capture fed by hand, without any socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;
use wsinspect::capture::{
    self, Capture, Cause, Certificate, ConnectionId, Event, EventKind, Follower, Index, Item, Mark, Note, Recorder,
    RecorderThread, Recording, SocketEnd, Timestamp, Tls, Vantage,
};
use wsinspect::lint::Limits;
use wsinspect::wire::{Header, MaskingKey, Opcode, Side, frame};

pub(crate) const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Events, recorded one after the other.
pub(crate) struct Script {
    events: Vec<Event>,
    time: u64,
}

/// What came of a script.
pub(crate) struct Recorded {
    pub(crate) capture: Arc<Capture>,
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self { events: Vec::new(), time: 1_700_000_000_000_000_000 }
    }

    /// Connection `id`, with its opening handshake.
    pub(crate) fn opened(self, id: u32) -> Self {
        self.connected(id).chunk(id, Side::Client, REQUEST).chunk(id, Side::Server, RESPONSE)
    }

    /// The same by TLS on both legs, with secrets of it.
    pub(crate) fn opened_by_tls(self, id: u32) -> Self {
        let mut script = self.connected(id).event(id, EventKind::Secrets("CLIENT_RANDOM 01 02\n".into()));
        for with in Side::BOTH {
            let certificate = Certificate { subject: format!("CN={id} \"{with}\""), ..Certificate::default() };
            let chain = vec![certificate; Tls::MOST_CERTIFICATES];
            script = script.event(id, EventKind::Tls { with, tls: Tls { chain, ..Tls::default() }.into() });
        }
        script.chunk(id, Side::Client, REQUEST).chunk(id, Side::Server, RESPONSE)
    }

    pub(crate) fn connected(self, id: u32) -> Self {
        self.begun(id, Vantage::Beside)
    }

    /// Connection `id`, looked at from elsewhere; with its opening handshake unless it had begun before.
    pub(crate) fn seen_from(self, id: u32, vantage: Vantage) -> Self {
        let script = self.begun(id, vantage);
        if vantage == Vantage::Late {
            return script;
        }
        script.chunk(id, Side::Client, REQUEST).chunk(id, Side::Server, RESPONSE)
    }

    /// Bytes that were not seen; that shows when the next ones come.
    pub(crate) fn gap(mut self, id: u32, from: Side, bytes: u64) -> Self {
        self = self.event(id, EventKind::Gap { from, bytes });
        self.time -= 1_000_000;
        self
    }

    fn begun(self, id: u32, vantage: Vantage) -> Self {
        let client = SocketAddr::from(([127, 0, 0, 1], 50_000 + id as u16));
        self.event(id, EventKind::Opened { client, server: SocketAddr::from(([127, 0, 0, 1], 9002)), vantage })
    }

    pub(crate) fn chunk(self, id: u32, from: Side, bytes: &[u8]) -> Self {
        self.noted_chunk(id, from, bytes, Vec::new())
    }

    pub(crate) fn noted_chunk(self, id: u32, from: Side, bytes: &[u8], notes: Vec<Note>) -> Self {
        self.event(id, EventKind::Chunk { from, bytes: Bytes::copy_from_slice(bytes), notes })
    }

    pub(crate) fn ended(self, id: u32, from: Side, how: SocketEnd) -> Self {
        self.event(id, EventKind::Ended { from, how })
    }

    /// So many seconds in which nothing happens.
    pub(crate) fn later(mut self, seconds: u64) -> Self {
        self.time += seconds * 1_000_000_000 - 1_000_000;
        self
    }

    pub(crate) fn closed(self, id: u32, cause: Option<Cause>) -> Self {
        self.event(id, EventKind::Closed { cause })
    }

    fn event(mut self, id: u32, kind: EventKind) -> Self {
        self.time += 1_000_000;
        self.events.push(Event { connection: ConnectionId(id), time: Timestamp(self.time), kind });
        self
    }

    pub(crate) fn record(self) -> Recorded {
        self.record_with(64 << 20)
    }

    /// With so many bytes of memory for finding the way in compressed conversations.
    pub(crate) fn record_with(self, checkpoints: usize) -> Recorded {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capture.pcapng");
        let recording = Recording::create(Some(&path), false).unwrap();
        let capture = Capture::with_checkpoints(recording.reader(), checkpoints);
        let feed = Feed::into(capture, recording, folder);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for event in self.events {
            runtime.block_on(feed.recorder.record(event));
        }
        feed.done()
    }
}

/// A recording that is fed piece by piece.
pub(crate) struct Feed {
    pub(crate) recording: Recording,
    capture: Arc<Capture>,
    recorder: Recorder,
    thread: RecorderThread,
    folder: TempDir,
    /// Old frames go.
    is_kept: bool,
    time: u64,
}

impl Feed {
    fn new(recording: Recording, folder: TempDir) -> Self {
        Self::into(Capture::new(recording.reader()), recording, folder)
    }

    fn into(capture: Capture, recording: Recording, folder: TempDir) -> Self {
        let capture = Arc::new(capture);
        let writer = recording.writer("a test").unwrap();
        let (recorder, thread) = capture::start(writer, capture.clone(), Limits::default()).unwrap();
        Self { recording, capture, recorder, thread, folder, is_kept: false, time: Script::new().time }
    }

    /// Into a file without a name.
    pub(crate) fn unnamed() -> Self {
        Self::new(Recording::create(None, false).unwrap(), tempfile::tempdir().unwrap())
    }

    /// Into a file without a name, kept within `limit` bytes.
    pub(crate) fn within(limit: u64) -> Self {
        let (recording, folder) = (Recording::create(None, false).unwrap(), tempfile::tempdir().unwrap());
        let capture = Arc::new(Capture::new(recording.reader()));
        let writer = recording.writer("a test").unwrap().within(limit);
        let (recorder, thread) = capture::start(writer, capture.clone(), Limits::default()).unwrap();
        Self { recording, capture, recorder, thread, folder, is_kept: true, time: Script::new().time }
    }

    /// What was recorded so far.
    pub(crate) fn capture(&self) -> &Arc<Capture> {
        &self.capture
    }

    /// Records what the script says, and waits until there are `frames` in all and nothing more is done about them: where
    /// little is kept, old ones go after new ones have come.
    pub(crate) fn feed(&mut self, script: Script, frames: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for event in script.events {
            self.time += 1_000_000;
            runtime.block_on(self.recorder.record(Event { time: Timestamp(self.time), ..event }));
        }
        self.wait(|index| index.totals().frames == frames);
        if self.is_kept {
            self.settle();
        }
    }

    /// Marks frame `n`.
    pub(crate) fn mark(&mut self, n: u64, text: Option<&str>) {
        let (connection, (from, to)) = {
            let index = self.capture.index();
            let id = index.frame(n).unwrap().connection();
            (id, index.connection(id).unwrap().addresses())
        };
        let mark = Mark { frame: n, text: text.map(str::to_owned), from, to };
        assert!(self.recorder.marker().mark(connection, Timestamp(self.time), mark));
        self.wait(|index| index.mark(n) == text);
    }

    /// Records what the script says, and waits until that is done.
    pub(crate) fn play(&mut self, script: Script) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for event in script.events {
            self.time += 1_000_000;
            runtime.block_on(self.recorder.record(Event { time: Timestamp(self.time), ..event }));
        }
        let last = Timestamp(self.time);
        self.wait(|index| index.latest() == last);
    }

    /// Waits until all is done about what was recorded before this: what fills the room of what waits follows it, and the next
    /// like it has room once that is done with. Both are of no connection, so that nothing is written.
    pub(crate) fn settle(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..2 {
            let kind = EventKind::Chunk { from: Side::Client, bytes: vec![0; 64 << 20].into(), notes: Vec::new() };
            let event = Event { connection: ConnectionId(0), time: Timestamp(self.time), kind };
            runtime.block_on(self.recorder.record(event));
        }
    }

    /// The file as it is now.
    pub(crate) fn file(&self) -> Vec<u8> {
        std::fs::read(self.recording.reader().path()).unwrap()
    }

    fn wait(&self, condition: impl Fn(&Index) -> bool) {
        until(|| condition(&self.capture.index()));
    }

    pub(crate) fn done(self) -> Recorded {
        drop(self.recorder);
        self.thread.join();
        let path = self.capture.reader().path();
        self.recording.remove_unless_kept();
        Recorded { capture: self.capture, path, _folder: self.folder }
    }
}

impl Recorded {
    /// Everything that happened, in order.
    pub(crate) fn items(&self) -> Vec<Item> {
        Follower::default().next(&self.capture, usize::MAX)
    }

    /// The whole payload of frame `n`, unmasked.
    pub(crate) fn payload(&self, n: u64) -> Vec<u8> {
        let entry = self.capture.index().frame(n).unwrap();
        self.capture.payload(&entry, 0..u64::MAX).unwrap()
    }
}

/// A capture that grows while it is looked at: frames of one server.
pub(crate) struct Live {
    pub(crate) capture: Arc<Capture>,
    recorder: Recorder,
    runtime: tokio::runtime::Runtime,
    time: u64,
    _folder: TempDir,
}

impl Live {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording::create(Some(&folder.path().join("capture.pcapng")), false).unwrap();
        let capture = Arc::new(Capture::new(recording.reader()));
        let writer = recording.writer("a test").unwrap();
        let (recorder, _) = capture::start(writer, capture.clone(), Limits::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut live = Self { capture, recorder, runtime, time: 1_700_000_000_000_000_000, _folder: folder };
        Script::new().opened(1).events.into_iter().for_each(|event| live.event(event.kind));
        live
    }

    /// The server sends a frame.
    pub(crate) fn frame(&mut self, opcode: Opcode, fin: bool, payload: &[u8]) {
        let header = Header::new(opcode, None, payload.len() as u64).with_fin(fin);
        let bytes = Bytes::from(frame(&header, payload));
        self.event(EventKind::Chunk { from: Side::Server, bytes, notes: Vec::new() });
    }

    /// Waits until so many frames are recorded.
    pub(crate) fn wait(&self, frames: u64) {
        loop {
            let generation = self.capture.generation();
            if self.capture.index().totals().frames >= frames {
                return;
            }
            self.capture.wait(generation);
        }
    }

    fn event(&mut self, kind: EventKind) {
        self.time += 1_000_000;
        let event = Event { connection: ConnectionId(1), time: Timestamp(self.time), kind };
        self.runtime.block_on(self.recorder.record(event));
    }
}

/// A client's frame.
pub(crate) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = MaskingKey([0x37, 0xfa, 0x21, payload.len() as u8]);
    frame(&Header::new(opcode, Some(key), payload.len() as u64), payload)
}

/// A server's frame.
pub(crate) fn plain(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(&Header::new(opcode, None, payload.len() as u64), payload)
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited 20 seconds");
        std::thread::sleep(Duration::from_millis(1));
    }
}
