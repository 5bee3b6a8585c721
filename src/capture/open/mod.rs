//! Captures opened again: our own recordings in place, captures and archives of other programs by recording what is in
//! them.

mod block;
mod ends;
mod foreign;
mod har;
mod link;
mod ours;
mod packets;
mod progress;
mod readahead;
mod reassembly;
mod scribe;
mod senders;
mod shower;
mod window;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use super::event::Timestamp;
use super::file::CaptureReader;
use super::recorder::Deriver;
use super::recording::{Recording, RecordingError};
use super::{Capture, CaptureWriter};
use crate::lint::Limits;
use foreign::Foreign;
use har::Har;
use ours::Ours;
use packets::{Packets, Stop};
pub use progress::ReadProgress;
use progress::{FileFrom, Pipe};
use scribe::Scribe;
use shower::{Shower, Shown};
use window::{Input, Stream};

/// A capture that is about to be read.
pub struct Opened {
    /// What was read of it so far.
    pub capture: Arc<Capture>,
    /// Where what is read lies, if that is not the file itself.
    pub recording: Option<Recording>,
    /// Reads it.
    pub reading: Reading,
    /// How far that is.
    pub progress: Arc<ReadProgress>,
}

/// Reads a capture from its beginning to its end.
pub struct Reading {
    packets: Packets,
    kind: Kind,
    capture: Arc<Capture>,
    progress: Arc<ReadProgress>,
    /// More may be written to the file.
    grows: bool,
    /// Packets of a link type that is not known.
    unknown_links: u64,
    /// Where much is read, what shows it meanwhile.
    shower: Option<Shower>,
}

enum Kind {
    Ours(Box<Ours>),
    Foreign(Box<Foreign>),
    /// It has no packets.
    Har(Box<Har>),
}

/// How many packets, and bytes, are read before they are shown.
const BATCH: usize = 16 * 1024;
const BATCH_BYTES: u64 = 8 << 20;
/// How often a file is looked at that may have grown.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens the file at `path`, or standard input if that is `-`. `command` says how the program was called.
pub fn open(path: &Path, limits: Limits, command: &str) -> Result<Opened, OpenError> {
    let failed = |source| OpenError::Failed(path.display().to_string(), source);
    let progress = Arc::new(ReadProgress::default());
    let source = Source::open(path, &progress).map_err(failed)?;
    let (in_place, grows) = (source.file.clone(), source.file.is_some());
    let mut packets = Packets::new(source.input);
    let is_capture = packets.begin().map_err(|stop| match stop {
        Stop::Failed(error) => failed(error),
        stop => failed(io::Error::other(stop.to_string())),
    })?;
    let is_har = !is_capture && packets.window.beginning(har::BEGINNING).is_some_and(har::is_har);
    if !is_capture && !is_har {
        return Err(OpenError::NoCapture(path.display().to_string()));
    }
    let deriver = Deriver::new(limits);
    let is_ours = packets.is_ours();
    if let (true, Some(file)) = (is_ours, in_place) {
        packets.window.keep(None).map_err(failed)?;
        let capture = Arc::new(Capture::new(CaptureReader::new(file, path.to_owned())));
        let kind = Kind::Ours(Box::new(Ours::new(deriver)));
        let reading = Reading::new(packets, kind, capture.clone(), progress.clone(), grows);
        return Ok(Opened { capture, recording: None, reading, progress });
    }
    let recording = Recording::create(None, false).map_err(OpenError::NoRoom)?;
    let capture = Arc::new(Capture::new(recording.reader()));
    let kind = if is_har {
        let writer = recording.writer(command).map_err(OpenError::NoRoom)?;
        let input = packets.window.give_back();
        Kind::Har(Box::new(Har::new(input, deriver, writer).map_err(OpenError::NoRoom)?))
    } else if is_ours {
        packets.window.keep(Some(recording.file())).map_err(failed)?;
        Kind::Ours(Box::new(Ours::new(deriver)))
    } else {
        packets.window.keep(None).map_err(failed)?;
        let writer: CaptureWriter = recording.writer(command).map_err(OpenError::NoRoom)?;
        Kind::Foreign(Box::new(Foreign::new(Scribe::start(deriver, writer, capture.clone()).map_err(failed)?)))
    };
    let reading = Reading::new(packets, kind, capture.clone(), progress.clone(), grows);
    Ok(Opened { capture, recording: Some(recording), reading, progress })
}

impl Reading {
    fn new(packets: Packets, kind: Kind, capture: Arc<Capture>, progress: Arc<ReadProgress>, grows: bool) -> Self {
        Self { packets, kind, capture, progress, grows, unknown_links: 0, shower: None }
    }

    /// Reads to the end, or with `follow` on until `stop` is set; or until [`ReadProgress::stop`] says that the rest is not
    /// wanted. Returns sentences on what was not read.
    pub fn run(mut self, follow: bool, stop: &AtomicBool) -> Vec<String> {
        if let Kind::Har(har) = self.kind {
            let (mut sentences, damage) = har.run(&self.capture, stop);
            self.capture.update(|index| index.damage.clone_from(&damage));
            sentences.extend(damage);
            return sentences;
        }
        let mut unseen = 0;
        let mut shown = 0;
        let mut position = 0;
        self.packets.window.waits = false;
        let ended = loop {
            if unseen >= BATCH || self.packets.window.position() - shown > BATCH_BYTES || self.is_full() {
                self.show();
                if self.shower.is_none() && matches!(self.kind, Kind::Ours(_)) {
                    // if it can't be, it is shown without
                    self.shower = Shower::start(self.capture.clone()).ok();
                }
                unseen = 0;
                shown = self.packets.window.position();
                if self.is_unwanted(stop) {
                    break self.stopped();
                }
            }
            if let Kind::Ours(ours) = &mut self.kind {
                let taken = ours.usual(&mut self.packets, BATCH - unseen);
                if taken > 0 {
                    unseen += taken;
                    continue;
                }
            }
            match self.packets.next() {
                Ok(packet) => {
                    self.packet(&packet);
                    unseen += 1;
                }
                Err(Stop::Nothing) => {
                    // what came is shown, however slowly it goes on
                    if unseen > 0 {
                        self.show();
                        unseen = 0;
                    }
                    if self.is_unwanted(stop) {
                        break self.stopped();
                    }
                }
                Err(Stop::End | Stop::Torn(_)) if follow && self.grows => {
                    self.progress.end();
                    // only if nothing came for a while is a chunk whole of which more might come
                    if let (Kind::Ours(ours), true) = (&mut self.kind, position == self.packets.window.position()) {
                        ours.settle();
                        unseen += 1;
                    }
                    if unseen > 0 {
                        self.show();
                        unseen = 0;
                    }
                    if self.is_unwanted(stop) {
                        break self.stopped();
                    }
                    position = self.packets.window.position();
                    thread::sleep(PAUSE);
                }
                Err(stop) => break stop,
            }
        };
        self.finish(&ended)
    }

    fn is_unwanted(&self, stop: &AtomicBool) -> bool {
        stop.load(Ordering::Acquire) || self.progress.is_stopped()
    }

    /// Why there is nothing more to read: the user has seen enough, or the program ends.
    fn stopped(&self) -> Stop {
        if self.progress.is_stopped() { Stop::Unwanted(self.packets.window.position()) } else { Stop::End }
    }

    fn packet(&mut self, packet: &packets::Packet) {
        match &mut self.kind {
            Kind::Ours(ours) => ours.packet(&self.packets, packet),
            Kind::Foreign(foreign) => {
                if let Some(segment) = link::segment(packet.link, self.packets.data(packet)) {
                    foreign.segment(&segment, Timestamp(packet.time));
                } else if !link::is_known(packet.link) {
                    self.unknown_links += 1;
                }
            }
            Kind::Har(_) => {}
        }
    }

    fn is_full(&self) -> bool {
        matches!(&self.kind, Kind::Foreign(foreign) if foreign.is_full())
    }

    fn show(&mut self) {
        match &mut self.kind {
            Kind::Ours(ours) => {
                let mut news = self.shower.as_ref().map(Shower::room).unwrap_or_default();
                ours.deriver.take(&mut news);
                let (length, holes) = (self.packets.window.position(), self.packets.holes.clone());
                let shown = Shown { news, length, missing: ours.missing, holes };
                match &self.shower {
                    Some(shower) => shower.show(shown),
                    None => drop(shown.show(&self.capture)),
                }
            }
            Kind::Foreign(foreign) => foreign.flush(),
            Kind::Har(_) => {}
        }
    }

    fn finish(mut self, ended: &Stop) -> Vec<String> {
        let mut sentences = Vec::new();
        match &mut self.kind {
            Kind::Ours(ours) => ours.settle(),
            Kind::Foreign(foreign) => {
                foreign.finish();
                let left_out =
                    [(foreign.found.encrypted, "encrypted"), (foreign.found.others, "something other than HTTP")];
                for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
                    sentences.push(format!("TCP connections that are {what}, and left out: {count}"));
                }
            }
            Kind::Har(_) => {}
        }
        if self.unknown_links > 0 {
            sentences.push(format!("packets of a link type that is not known, and left out: {}", self.unknown_links));
        }
        if let Some(shower) = self.shower.take() {
            shower.finish();
        }
        self.progress.end();
        self.show();
        if !matches!(ended, Stop::End) {
            let damage = ended.to_string();
            self.capture.update(|index| index.damage = Some(damage.clone()));
            sentences.push(damage);
        }
        sentences
    }
}

/// Where bytes come from.
struct Source {
    input: Box<dyn Input>,
    /// The file, if what is read stands in it as it is.
    file: Option<Arc<File>>,
}

impl Source {
    fn open(path: &Path, progress: &Arc<ReadProgress>) -> io::Result<Self> {
        if path == Path::new("-") {
            // not the standard library's, which reads in small pieces
            return Self::stream(File::from(io::stdin().as_fd().try_clone_to_owned()?), progress);
        }
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Self::stream(file, progress);
        }
        let file = Arc::new(file);
        let mut magic = [0; 2];
        let input = FileFrom::start(file.clone(), progress.clone())?;
        if file.read_at(&mut magic, 0)? == 2 && magic == GZIP {
            return Ok(Self { input: Box::new(Stream(MultiGzDecoder::new(BufReader::new(input)))), file: None });
        }
        Ok(Self { input: Box::new(input), file: Some(file) })
    }

    fn stream(mut file: File, progress: &Arc<ReadProgress>) -> io::Result<Self> {
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(2).read_to_end(&mut magic)?;
        let is_compressed = magic == GZIP;
        let pipe = Pipe::after(magic.len(), file, progress.clone());
        let input = Cursor::new(magic).chain(pipe);
        let input: Box<dyn Input> = if is_compressed {
            Box::new(Stream(MultiGzDecoder::new(BufReader::new(input))))
        } else {
            Box::new(Stream(input))
        };
        Ok(Self { input, file: None })
    }
}

const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Why a file was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// It can't be read.
    Failed(String, io::Error),
    /// It is something else.
    NoCapture(String),
    /// What is in it can't be recorded.
    NoRoom(RecordingError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(path, error) => write!(f, "cannot open {path}: {error}"),
            Self::NoCapture(path) => {
                write!(f, "cannot open {path}: expected a pcapng or pcap capture or a HAR, found something else")
            }
            Self::NoRoom(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
