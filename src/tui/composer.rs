//! The editor of a frame: every field of it, how it is written, and what it breaks, as it is typed.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};

use super::form::{FieldValue, FormField};
use super::recorded::{Recorded, fresh_key};
use crate::anatomy::{self, FrameContexts};
use crate::capture::{Capture, ConnectionId, Index};
use crate::compose::{Composed, ComposedFrame, Judgement, Preset, Surroundings, judge};
use crate::control::{Command, Outgoing};
use crate::wire::{Header, LengthForm, MaskingKey, Opcode, Rsv, Side};

/// The editor.
#[derive(Clone, Debug)]
pub(super) struct Composer {
    pub(super) connection: ConnectionId,
    pub(super) to: Side,
    pub(super) fields: Vec<FormField>,
    pub(super) focus: usize,
    /// What is sent, and what comes of it; or what is wrong with what was filled in.
    pub(super) preview: Result<Preview, String>,
    /// What can be begun with, in the order of the field's options.
    beginnings: Vec<Beginning>,
    /// The frames of the preset before the one that is edited.
    before: Vec<ComposedFrame>,
    fresh: MaskingKey,
    surroundings: Surroundings,
}

/// What is sent and what comes of it.
#[derive(Clone, Debug)]
pub(super) struct Preview {
    pub(super) composed: Composed,
    /// The last frame in a line.
    pub(super) title: String,
    pub(super) judgement: Judgement,
}

#[derive(Clone, Debug)]
enum Beginning {
    Preset(Preset),
    Recorded(ComposedFrame),
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Composing {
    /// It goes on.
    Open,
    /// The user thought better of it.
    Cancelled,
    /// This is to be sent.
    Send(Command),
}

/// The places of the fields.
pub(super) mod at {
    pub(in crate::tui) const PRESET: usize = 0;
    pub(in crate::tui) const FIN: usize = 1;
    pub(in crate::tui) const RSV: [usize; 3] = [2, 3, 4];
    pub(in crate::tui) const MASK: usize = 5;
    pub(in crate::tui) const OPCODE: usize = 6;
    pub(in crate::tui) const KEY: usize = 7;
    pub(in crate::tui) const FIXED: usize = 8;
    pub(in crate::tui) const LENGTH: usize = 9;
    pub(in crate::tui) const FORM: usize = 10;
    pub(in crate::tui) const KIND: usize = 11;
    pub(in crate::tui) const PAYLOAD: usize = 12;
    pub(in crate::tui) const WRITES: usize = 13;
    pub(in crate::tui) const DELAY: usize = 14;
}

/// The options of the field for the key.
const KEYS: [&str; 3] = ["fresh", "zero", "other"];
/// Those of the field for the form of the length.
const FORMS: [&str; 4] = ["shortest", "7 bits", "16 bits", "64 bits"];
/// Those of the field for what the payload is written as.
const KINDS: [&str; 3] = ["text", "hex", "file"];
const HEX: usize = 1;
/// What stands for the payload's own length.
const TRUE: &str = "true";

/// The most bytes of a recorded payload that can be edited: they are one line of hex.
const MOST_EDITED: usize = 4096;
/// The most frames that are looked back through for an unfinished message.
const LOOK_BACK: u64 = 20_000;

impl Composer {
    /// Begins with a text.
    pub(super) fn new(connection: ConnectionId, to: Side, capture: &Capture) -> Result<Self, String> {
        Self::begin(connection, to, None, capture)
    }

    /// Begins with a recorded frame.
    pub(super) fn edit(recorded: Recorded, capture: &Capture) -> Result<Self, String> {
        let Recorded { n, connection, to, frame } = recorded;
        let bytes = frame.payload.len();
        if bytes > MOST_EDITED {
            return Err(format!(
                "frame {n} has {bytes} bytes of payload, up to {MOST_EDITED} can be edited; r sends it again"
            ));
        }
        Self::begin(connection, to, Some((n, frame)), capture)
    }

    fn begin(
        connection: ConnectionId,
        to: Side,
        recorded: Option<(u64, ComposedFrame)>,
        capture: &Capture,
    ) -> Result<Self, String> {
        let surroundings = surroundings(&capture.index(), connection, to.other());
        let presets = Preset::all(to.other(), surroundings.deflate.is_some());
        let mut names: Vec<String> = recorded.iter().map(|(n, _)| format!("frame {n} as it was")).collect();
        names.extend(presets.iter().map(|preset| preset.name()));
        let mut beginnings: Vec<_> = recorded.into_iter().map(|(_, frame)| Beginning::Recorded(frame)).collect();
        beginnings.extend(presets.into_iter().map(Beginning::Preset));
        let opcodes = (0..16).map(|value| format!("{value:x} {}", Opcode::new(value).name())).collect();
        let options = |options: &[&str]| options.iter().map(|&option| option.to_owned()).collect();
        let mut composer = Self {
            connection,
            to,
            fields: vec![
                FormField::choice("preset", names),
                FormField::switch("FIN", true),
                FormField::switch("RSV1", false),
                FormField::switch("RSV2", false),
                FormField::switch("RSV3", false),
                FormField::switch("MASK", false),
                FormField::choice("opcode", opcodes),
                FormField::choice("masking key", options(&KEYS)),
                FormField::line("other key", "00000000"),
                FormField::line("length", TRUE),
                FormField::choice("form", options(&FORMS)),
                FormField::choice("payload is", options(&KINDS)),
                FormField::line("payload", ""),
                FormField::line("writes", "1"),
                FormField::line("delay in ms", "0"),
            ],
            focus: at::PRESET,
            preview: Err(String::new()),
            beginnings,
            before: Vec::new(),
            fresh: fresh_key()?,
            surroundings,
        };
        composer.load()?;
        composer.look();
        Ok(composer)
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Composing {
        let fields = self.fields.len();
        match key.code {
            KeyCode::Esc => return Composing::Cancelled,
            KeyCode::Enter => {
                if let Ok(preview) = &self.preview {
                    let send = Outgoing::Composed(preview.composed.clone());
                    return Composing::Send(Command { connection: self.connection, to: self.to, send });
                }
            }
            KeyCode::Tab | KeyCode::Down => self.focus = (self.focus + 1) % fields,
            KeyCode::BackTab | KeyCode::Up => self.focus = (self.focus + fields - 1) % fields,
            _ => self.change(|field| match (&mut field.value, key.code) {
                (FieldValue::Choice(options, chosen), KeyCode::Char(c)) if c != ' ' => pick(options, chosen, c),
                (FieldValue::Switch(on), KeyCode::Char(bit @ ('0' | '1'))) => *on = bit == '1',
                _ => field.key(key),
            }),
        }
        Composing::Open
    }

    /// Takes what was pasted.
    pub(super) fn paste(&mut self, text: &str) {
        self.change(|field| field.paste(text));
    }

    /// Changes the field at hand, and what follows from it.
    fn change(&mut self, change: impl FnOnce(&mut FormField)) {
        let kind = self.fields[at::KIND].chosen();
        let preset = self.fields[at::PRESET].chosen();
        change(&mut self.fields[self.focus]);
        if preset != self.fields[at::PRESET].chosen()
            && let Err(error) = self.load()
        {
            self.preview = Err(error);
            return;
        }
        if self.focus == at::KIND && kind != self.fields[at::KIND].chosen() {
            self.fields[at::PAYLOAD] = match self.payload(kind) {
                Ok(bytes) if bytes.len() <= MOST_EDITED => payload_field(&bytes, self.fields[at::KIND].chosen()),
                _ => FormField::line("payload", ""),
            };
        }
        self.look();
    }

    /// Fills the fields in from the beginning that was chosen.
    fn load(&mut self) -> Result<(), String> {
        let (mut frames, fresh) = match &self.beginnings[self.fields[at::PRESET].chosen()] {
            Beginning::Recorded(frame) => (vec![frame.clone()], vec![frame.header.masking_key.unwrap_or(self.fresh)]),
            Beginning::Preset(preset) => {
                let keys = [fresh_key()?, fresh_key()?, fresh_key()?];
                let mut next = keys.into_iter();
                // no preset has more frames
                (preset.frames(self.to.other(), || next.next().unwrap_or_default()), keys.to_vec())
            }
        };
        // each has one at least
        let Some(ComposedFrame { header, payload }) = frames.pop() else { return Ok(()) };
        self.before = frames;
        self.fresh = header.masking_key.filter(|key| fresh.contains(key)).unwrap_or(fresh[fresh.len() - 1]);
        let is_other = header.masking_key.is_some_and(|key| key != self.fresh);
        let other = header.masking_key.filter(|_| is_other).unwrap_or_default();
        let length = payload.len() as u64;
        let is_text = std::str::from_utf8(&payload).is_ok_and(|text| !text.chars().any(char::is_control))
            && !matches!(header.opcode, Opcode::BINARY | Opcode::CLOSE)
            && !header.rsv.rsv1();
        let form = match header.length_form {
            form if form == LengthForm::shortest(header.length) => 0,
            LengthForm::Bits7 => 1,
            LengthForm::Bits16 => 2,
            LengthForm::Bits64 => 3,
        };
        let declared = if header.length == length { TRUE.to_owned() } else { header.length.to_string() };
        self.choose(at::OPCODE, header.opcode.value().into());
        self.choose(at::KEY, if is_other { KEYS.len() - 1 } else { 0 });
        self.choose(at::FORM, form);
        self.choose(at::KIND, usize::from(!is_text));
        let bits = [header.rsv.rsv1(), header.rsv.rsv2(), header.rsv.rsv3()];
        for (field, on) in at::RSV.into_iter().zip(bits) {
            self.fields[field].value = FieldValue::Switch(on);
        }
        self.fields[at::FIN].value = FieldValue::Switch(header.fin);
        self.fields[at::MASK].value = FieldValue::Switch(header.masking_key.is_some());
        self.fields[at::FIXED] = FormField::line("other key", &other.to_string());
        self.fields[at::LENGTH] = FormField::line("length", &declared);
        self.fields[at::PAYLOAD] = payload_field(&payload, usize::from(!is_text));
        Ok(())
    }

    fn choose(&mut self, field: usize, place: usize) {
        if let FieldValue::Choice(_, chosen) = &mut self.fields[field].value {
            *chosen = place;
        }
    }

    /// Looks at what was filled in.
    fn look(&mut self) {
        self.preview = self.composed().map(|composed| {
            let mut contexts = FrameContexts::new(self.surroundings.from, self.surroundings.deflate.is_some());
            if let Some(first) = self.surroundings.unfinished {
                contexts.next(&first);
            }
            let title = composed
                .frames()
                .iter()
                .map(|frame| anatomy::frame(&frame.header, &frame.payload, contexts.next(&frame.header)).title);
            let title = title.last().unwrap_or_default();
            let judgement = judge(&composed.bytes(), self.surroundings);
            Preview { composed, title, judgement }
        });
    }

    fn composed(&self) -> Result<Composed, String> {
        let payload = self.payload(self.fields[at::KIND].chosen())?;
        let length = match self.text(at::LENGTH) {
            "" | TRUE => payload.len() as u64,
            text => number(text).ok_or("The length is a number, also as 0x1f, or the word true.")?,
        };
        let length_form = match self.fields[at::FORM].chosen() {
            1 => LengthForm::Bits7,
            2 => LengthForm::Bits16,
            3 => LengthForm::Bits64,
            _ => LengthForm::shortest(length),
        };
        let rsv = at::RSV.iter().fold(0, |bits, field| bits << 1 | u8::from(self.fields[*field].is_on()));
        let masking_key = if self.fields[at::MASK].is_on() { Some(self.masking_key()?) } else { None };
        let header = Header {
            fin: self.fields[at::FIN].is_on(),
            rsv: Rsv::new(rsv),
            opcode: Opcode::new(self.fields[at::OPCODE].chosen() as u8),
            masking_key,
            length,
            length_form,
        };
        let mut frames = self.before.clone();
        frames.push(ComposedFrame { header, payload });
        let writes = self.text(at::WRITES).parse().unwrap_or(0);
        let delay = self.text(at::DELAY).parse().map_err(|_| "The delay is a number of milliseconds.")?;
        Composed::new(frames, writes, Duration::from_millis(delay)).map_err(|error| error.to_string())
    }

    fn masking_key(&self) -> Result<MaskingKey, String> {
        match self.fields[at::KEY].chosen() {
            0 => Ok(self.fresh),
            1 => Ok(MaskingKey::default()),
            _ => unhex(self.text(at::FIXED))
                .and_then(|bytes| bytes.try_into().ok())
                .map(MaskingKey)
                .ok_or_else(|| "A masking key is eight hex digits: 37fa213d.".to_owned()),
        }
    }

    /// The payload, if what was filled in is of that kind.
    fn payload(&self, kind: usize) -> Result<Vec<u8>, String> {
        let text = self.fields[at::PAYLOAD].text();
        match KINDS[kind] {
            "text" => Ok(text.as_bytes().to_vec()),
            "hex" => unhex(text).ok_or_else(|| "The payload is not hex: pairs of 0-9 and a-f.".to_owned()),
            _ => from_file(text.trim()),
        }
    }

    fn text(&self, field: usize) -> &str {
        self.fields[field].text().trim()
    }
}

/// Goes to the next option that begins with `c`; "break" does not count.
fn pick(options: &[String], chosen: &mut usize, c: char) {
    let begins = |place: &usize| {
        let option = &options[*place];
        option.strip_prefix("break ").unwrap_or(option).starts_with(c.to_ascii_lowercase())
    };
    let next = (1..=options.len()).map(|step| (*chosen + step) % options.len()).find(begins);
    *chosen = next.unwrap_or(*chosen);
}

fn payload_field(bytes: &[u8], kind: usize) -> FormField {
    let text = match (kind, std::str::from_utf8(bytes)) {
        (HEX, _) => hex::encode(bytes),
        (0, Ok(text)) => text.to_owned(),
        _ => String::new(),
    };
    FormField::line("payload", &text)
}

/// Decimal, or hex after 0x.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Hex with blanks anywhere.
fn unhex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.split_whitespace().collect::<String>()).ok()
}

/// What is in a file, if that is one and can be sent.
fn from_file(path: &str) -> Result<Vec<u8>, String> {
    let path = match (path.strip_prefix("~/"), std::env::var("HOME")) {
        _ if path.is_empty() => return Err("The payload is read from a file, whose name goes here.".to_owned()),
        (Some(rest), Ok(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    };
    let cannot = |error| format!("Cannot read {path}: {error}.");
    // a pipe or a device might keep us waiting
    if !std::fs::metadata(&path).map_err(cannot)?.is_file() {
        return Err(format!("{path} is not a file."));
    }
    let mut bytes = Vec::new();
    // one byte too many is refused where all payloads are
    let most = Composed::MAX_PAYLOAD as u64 + 1;
    File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() > Composed::MAX_PAYLOAD {
        return Err(format!("{path} has more than {} bytes, the most that a payload may have.", Composed::MAX_PAYLOAD));
    }
    Ok(bytes)
}

/// What the capture tells of the direction in which `from` sends.
fn surroundings(index: &Index, connection: ConnectionId, from: Side) -> Surroundings {
    let deflate = index.connection(connection).and_then(|connection| connection.deflate);
    let last = index.totals().frames;
    let mut unfinished = None;
    for n in (last.saturating_sub(LOOK_BACK) + 1..=last).rev() {
        let Some(entry) = index.frame(n) else { break };
        let header = entry.header();
        if entry.connection() != connection || entry.from() != from || header.opcode.is_control() {
            continue;
        }
        // a last fragment is the end of what came before it
        if header.fin {
            break;
        }
        if header.opcode != Opcode::CONTINUATION {
            unfinished = Some(header);
            break;
        }
    }
    Surroundings { from, deflate, unfinished }
}
