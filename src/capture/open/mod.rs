//! Captures opened again: our own recordings in place, those of other programs by recording what is in them.

mod block;
mod foreign;
mod link;
mod ours;
mod packets;
mod reassembly;

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
use ours::Ours;
use packets::{Input, Packets, Stop};

/// A capture that is about to be read.
pub struct Opened {
    /// What was read of it so far.
    pub capture: Arc<Capture>,
    /// Where what is read lies, if that is not the file itself.
    pub recording: Option<Recording>,
    /// Reads it.
    pub reading: Reading,
}

/// Reads a capture from its beginning to its end.
pub struct Reading {
    packets: Packets,
    kind: Kind,
    capture: Arc<Capture>,
    /// More may be written to the file.
    grows: bool,
    /// Packets of a link type that is not known.
    unknown_links: u64,
}

enum Kind {
    Ours(Box<Ours>),
    Foreign(Box<Foreign>),
}

/// How many packets are read before they are shown.
const BATCH: usize = 16 * 1024;
/// How often a file is looked at that may have grown.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens the file at `path`, or standard input if that is `-`. `command` says how the program was called.
pub fn open(path: &Path, limits: Limits, command: &str) -> Result<Opened, OpenError> {
    let failed = |source| OpenError::Failed(path.display().to_string(), source);
    let source = Source::open(path).map_err(failed)?;
    let (in_place, grows) = (source.file.clone(), source.file.is_some());
    let mut packets = Packets::new(source.input);
    let is_capture = packets.begin().map_err(|stop| match stop {
        Stop::Failed(error) => failed(error),
        stop => failed(io::Error::other(stop.to_string())),
    })?;
    if !is_capture {
        return Err(OpenError::NoCapture(path.display().to_string()));
    }
    let deriver = Deriver::new(limits);
    let is_ours = packets.is_ours();
    if let (true, Some(file)) = (is_ours, in_place) {
        packets.keep(None).map_err(failed)?;
        let capture = Arc::new(Capture::new(CaptureReader::new(file, path.to_owned())));
        let kind = Kind::Ours(Box::new(Ours::new(deriver)));
        let reading = Reading { packets, kind, capture: capture.clone(), grows, unknown_links: 0 };
        return Ok(Opened { capture, recording: None, reading });
    }
    let recording = Recording::create(None, false).map_err(OpenError::NoRoom)?;
    let capture = Arc::new(Capture::new(recording.reader()));
    let kind = if is_ours {
        packets.keep(Some(recording.file())).map_err(failed)?;
        Kind::Ours(Box::new(Ours::new(deriver)))
    } else {
        packets.keep(None).map_err(failed)?;
        let writer: CaptureWriter = recording.writer(command).map_err(OpenError::NoRoom)?;
        Kind::Foreign(Box::new(Foreign::new(deriver, writer)))
    };
    let reading = Reading { packets, kind, capture: capture.clone(), grows, unknown_links: 0 };
    Ok(Opened { capture, recording: Some(recording), reading })
}

impl Reading {
    /// Reads to the end, or with `follow` on until `stop` is set. Returns sentences on what could not be read.
    pub fn run(mut self, follow: bool, stop: &AtomicBool) -> Vec<String> {
        let mut unseen = 0;
        let mut position = 0;
        let ended = loop {
            if unseen == BATCH || self.is_full() {
                self.show();
                unseen = 0;
                if stop.load(Ordering::Acquire) {
                    break Stop::End;
                }
            }
            match self.packets.next() {
                Ok(packet) => {
                    self.packet(&packet);
                    unseen += 1;
                }
                Err(Stop::End | Stop::Torn(_)) if follow && self.grows => {
                    // only if nothing came for a while is a chunk whole of which more might come
                    if let (Kind::Ours(ours), true) = (&mut self.kind, position == self.packets.position()) {
                        ours.settle();
                        unseen += 1;
                    }
                    if unseen > 0 {
                        self.show();
                        unseen = 0;
                    }
                    if stop.load(Ordering::Acquire) {
                        break Stop::End;
                    }
                    position = self.packets.position();
                    thread::sleep(PAUSE);
                }
                Err(stop) => break stop,
            }
        };
        self.finish(&ended)
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
        }
    }

    fn is_full(&self) -> bool {
        matches!(&self.kind, Kind::Foreign(foreign) if foreign.is_full())
    }

    fn show(&mut self) {
        let length = self.packets.position();
        match &mut self.kind {
            Kind::Ours(ours) => self.capture.update(|index| {
                ours.deriver.apply(index, length, ours.missing);
                if !self.packets.holes.is_empty() {
                    index.set_holes(self.packets.holes.clone());
                }
            }),
            Kind::Foreign(foreign) => foreign.flush(&self.capture),
        }
    }

    fn finish(mut self, ended: &Stop) -> Vec<String> {
        let mut sentences = Vec::new();
        match &mut self.kind {
            Kind::Ours(ours) => ours.settle(),
            Kind::Foreign(foreign) => {
                foreign.finish(&self.capture);
                let left_out = [(foreign.encrypted, "encrypted"), (foreign.others, "something other than HTTP")];
                for (count, what) in left_out.into_iter().filter(|(count, _)| *count > 0) {
                    sentences.push(format!("TCP connections that are {what}, and left out: {count}"));
                }
            }
        }
        if self.unknown_links > 0 {
            sentences.push(format!("packets of a link type that is not known, and left out: {}", self.unknown_links));
        }
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
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            // not the standard library's, which reads in small pieces
            return Self::stream(File::from(io::stdin().as_fd().try_clone_to_owned()?));
        }
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Self::stream(file);
        }
        let file = Arc::new(file);
        let mut magic = [0; 2];
        let input = FileFrom { file: file.clone(), at: 0 };
        if file.read_at(&mut magic, 0)? == 2 && magic == GZIP {
            return Ok(Self { input: Box::new(Stream(MultiGzDecoder::new(BufReader::new(input)))), file: None });
        }
        Ok(Self { input: Box::new(input), file: Some(file) })
    }

    fn stream(mut file: File) -> io::Result<Self> {
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(2).read_to_end(&mut magic)?;
        let is_compressed = magic == GZIP;
        let input = Cursor::new(magic).chain(file);
        let input: Box<dyn Input> = if is_compressed {
            Box::new(Stream(MultiGzDecoder::new(BufReader::new(input))))
        } else {
            Box::new(Stream(input))
        };
        Ok(Self { input, file: None })
    }
}

const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Reads a file whose own position others may move.
struct FileFrom {
    file: Arc<File>,
    at: u64,
}

impl Read for FileFrom {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(bytes, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl Input for FileFrom {
    fn skip(&mut self, length: u64) -> u64 {
        // no further than it goes: what is cut short is to be seen
        let end = self.file.metadata().map_or(self.at, |file| file.len());
        let skipped = length.min(end.saturating_sub(self.at));
        self.at += skipped;
        skipped
    }
}

/// What can only be read.
struct Stream<R>(R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl<R: Read + Send> Input for Stream<R> {
    fn skip(&mut self, _: u64) -> u64 {
        0
    }
}

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
                write!(f, "cannot open {path}: expected a pcapng or pcap capture, found something else")
            }
            Self::NoRoom(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
