//! One of `_webSocketMessages`: `type` (`send`, `receive`, `error`), `time` (Unix seconds), `opcode`, `data` (text, or
//! base64 where the opcode is not 1), and in our own exports what its frames were.

use serde::de::{MapAccess, SeqAccess};

use super::json::{Array, Fields, Items, Object, Scalar};
use super::log::{Passing, pass_over};
use super::spool::Place;
use crate::capture::event::Origin;
use crate::wire::{Header, LengthForm, MaskingKey, Opcode, Rsv, Side};

/// A frame to be made again, or to be made of a message.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Nanoseconds since 1970; 0 where it is not told.
    pub(super) time: u64,
    /// Its number in the capture that it was exported from; 0 if it is from elsewhere.
    pub(super) n: u64,
    /// Its connection's place in the list.
    pub(super) connection: u32,
    pub(super) from: Side,
    pub(super) header: Header,
    pub(super) payload: Place,
    /// How many reads it came in.
    pub(super) chunks: u16,
    pub(super) origin: Origin,
    pub(super) complete: bool,
    pub(super) mark: Option<Box<str>>,
}

/// A message as it is written.
pub(super) struct Message {
    passing: Passing,
    pub(super) kind: String,
    pub(super) time: Option<u64>,
    pub(super) opcode: Option<Opcode>,
    pub(super) data: Option<String>,
    pub(super) extras: Option<Extras>,
}

/// What our own exports add.
pub(super) struct Extras {
    passing: Passing,
    /// Whether the data stands as text.
    pub(super) is_text: bool,
    pub(super) missing: u64,
    /// Whether the data is what a compressed message was inflated to: then the frames' payloads are not there.
    pub(super) is_inflated: bool,
    /// Whether the data is that of a compressed message that could not be inflated.
    pub(super) is_deflated: bool,
    /// Its frames, those that are not told of whole as `None`.
    pub(super) frames: Vec<Option<Frame>>,
}

impl Message {
    pub(super) fn new(passing: Passing) -> Self {
        Self { passing, kind: String::new(), time: None, opcode: None, data: None, extras: None }
    }
}

impl Fields for Message {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "type" => self.kind = map.next_value::<Scalar>()?.text().unwrap_or_default(),
            "time" => self.time = time(&map.next_value()?),
            "opcode" => {
                let value = map.next_value::<Scalar>()?.unsigned();
                self.opcode = value.filter(|value| *value < 16).map(|value| Opcode::new(value as u8));
            }
            "data" => self.data = map.next_value::<Scalar>()?.text(),
            "_wsinspect" => {
                let passing = self.passing.clone();
                let mut extras = Extras {
                    passing,
                    is_text: false,
                    missing: 0,
                    is_inflated: false,
                    is_deflated: false,
                    frames: Vec::new(),
                };
                map.next_value_seed(Object(&mut extras))?;
                self.extras = Some(extras);
            }
            _ => pass_over(map, &self.passing)?,
        }
        Ok(())
    }
}

impl Fields for Extras {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "data" => self.is_text = map.next_value::<Scalar>()?.text().as_deref() == Some("text"),
            "wire_length" => self.is_inflated = map.next_value::<Scalar>()?.unsigned().is_some(),
            "why" => self.is_deflated = map.next_value::<Scalar>()?.text().is_some(),
            "missing" => self.missing = map.next_value::<Scalar>()?.unsigned().unwrap_or(0),
            "frames" => map.next_value_seed(Array(self))?,
            _ => pass_over(map, &self.passing)?,
        }
        Ok(())
    }
}

impl Items for Extras {
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let mut told = Told { passing: self.passing.clone(), ..Told::default() };
        let is_there = seq.next_element_seed(Object(&mut told))?.is_some();
        if is_there {
            self.frames.push(told.frame());
        }
        Ok(is_there)
    }
}

/// What is told of a frame.
#[derive(Default)]
struct Told {
    passing: Passing,
    n: Option<u64>,
    time: Option<u64>,
    fin: Option<bool>,
    rsv: Option<u64>,
    opcode: Option<u64>,
    masked: Option<bool>,
    masking_key: Option<MaskingKey>,
    length: Option<u64>,
    length_form: Option<LengthForm>,
    chunks: Option<u64>,
    origin: Option<Origin>,
    complete: Option<bool>,
    mark: Option<Box<str>>,
}

impl Fields for Told {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if !matches!(
            name,
            "n" | "time"
                | "fin"
                | "rsv"
                | "opcode"
                | "masked"
                | "masking_key"
                | "length"
                | "length_form"
                | "chunks"
                | "origin"
                | "complete"
                | "mark"
        ) {
            return pass_over(map, &self.passing);
        }
        let value: Scalar = map.next_value()?;
        match name {
            "n" => self.n = value.unsigned(),
            "time" => self.time = time(&value),
            "fin" => self.fin = value.flag(),
            "rsv" => self.rsv = value.unsigned(),
            "opcode" => self.opcode = value.unsigned(),
            "masked" => self.masked = value.flag(),
            "masking_key" => self.masking_key = value.text().as_deref().and_then(key),
            "length" => self.length = value.unsigned(),
            "length_form" => {
                self.length_form = [LengthForm::Bits7, LengthForm::Bits16, LengthForm::Bits64]
                    .into_iter()
                    .find(|form| Some(form.bits().into()) == value.unsigned());
            }
            "chunks" => self.chunks = value.unsigned(),
            "origin" => self.origin = value.text().as_deref().and_then(Origin::from_name),
            "complete" => self.complete = value.flag(),
            _ => self.mark = value.text().map(String::into_boxed_str),
        }
        Ok(())
    }
}

impl Told {
    /// The frame, if all of it is told and can be.
    fn frame(self) -> Option<Frame> {
        let (length, length_form) = (self.length?, self.length_form?);
        let fits = match length_form {
            LengthForm::Bits7 => length < 126,
            LengthForm::Bits16 => u16::try_from(length).is_ok(),
            LengthForm::Bits64 => true,
        };
        let masking_key = if self.masked? { Some(self.masking_key?) } else { None };
        let header = Header {
            fin: self.fin?,
            rsv: Rsv::new(self.rsv.filter(|rsv| *rsv < 8)? as u8),
            opcode: Opcode::new(self.opcode.filter(|opcode| *opcode < 16)? as u8),
            masking_key,
            length,
            length_form,
        };
        fits.then_some(Frame {
            time: self.time?,
            n: self.n.filter(|n| *n > 0)?,
            connection: 0,
            from: Side::Client,
            header,
            payload: Place::default(),
            chunks: u16::try_from(self.chunks?).unwrap_or(u16::MAX),
            origin: self.origin?,
            complete: self.complete?,
            mark: self.mark,
        })
    }
}

fn key(hex: &str) -> Option<MaskingKey> {
    let mut bytes = [0; 4];
    hex::decode_to_slice(hex, &mut bytes).ok()?;
    Some(MaskingKey(bytes))
}

/// Unix seconds as nanoseconds, to the microsecond: a float holds no more.
pub(super) fn time(value: &Scalar) -> Option<u64> {
    // until the year 2500, which is as far as nanoseconds reach in 64 bits
    let seconds = value.number().filter(|seconds| (0.0..1.6e10).contains(seconds))?;
    Some((seconds * 1e6).round() as u64 * 1000)
}
