//! HTTP Archive 1.2: an entry for each connection, its messages in `_webSocketMessages` as Chrome writes and imports
//! them. What only wsinspect knows stands under `_wsinspect`, in each entry and each message.

mod entry;
mod message;

use std::collections::HashMap;
use std::io::Write;

use serde::Serialize;

use self::entry::entry;
use self::message::Messages;
use super::{Stop, Walk};
use crate::capture::{Connection, ConnectionId, ConnectionState};

/// Writes the entries of the chosen connections. A message is in it whole if one of its frames was chosen.
pub(super) fn write(walk: &mut Walk<'_>, out: &mut dyn Write) -> Result<(), Stop> {
    let (connections, mut frames) = by_connection(walk)?;
    write!(
        out,
        r#"{{"log":{{"version":"1.2","creator":{{"name":"wsinspect","version":"{}"}},"#,
        env!("CARGO_PKG_VERSION")
    )?;
    if walk.gone > 0 {
        write!(out, r#""comment":"without {} older frames, which the recording does not hold any more","#, walk.gone)?;
    }
    write!(out, r#""pages":[],"entries":["#)?;
    let mut done = 0;
    for (i, connection) in connections.iter().enumerate() {
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        let numbers = frames.remove(&connection.id).unwrap_or_default();
        let entry = entry(walk.capture, connection)?;
        open_object(out, &entry)?;
        write!(out, r#","_webSocketMessages":["#)?;
        let mut messages = Messages::new(out);
        for n in numbers {
            done += 1;
            walk.progress.is_at(done)?;
            walk.written += u64::from(walk.selection.has(n));
            messages.frame(walk, n)?;
        }
        messages.end(walk, connection.id)?;
        write!(out, "]}}")?;
    }
    writeln!(out, "\n]}}}}")?;
    Ok(())
}

type FrameNumbers = HashMap<ConnectionId, Vec<u64>>;

/// The chosen connections, and the numbers of all their frames.
fn by_connection(walk: &Walk<'_>) -> Result<(Vec<Connection>, FrameNumbers), Stop> {
    const BATCH: u64 = 8192;
    let chosen = walk.connections();
    let is_chosen = |id: &ConnectionId| chosen.as_ref().is_none_or(|chosen| chosen.contains(id));
    let is_websocket =
        |connection: &&Connection| !matches!(connection.state, ConnectionState::Http | ConnectionState::Tunnel);
    let index = walk.capture.index();
    let connections = index.connections().iter().filter(|connection| is_chosen(&connection.id));
    let connections: Vec<_> = connections.filter(is_websocket).cloned().collect();
    drop(index);
    let mut frames = FrameNumbers::new();
    for start in (walk.gone + 1..=walk.last).step_by(BATCH as usize) {
        walk.progress.is_at(0)?;
        let end = (start + BATCH).min(walk.last + 1);
        for (n, frame) in walk.capture.index().frames(start..end) {
            if is_chosen(&frame.connection()) {
                frames.entry(frame.connection()).or_default().push(n);
            }
        }
    }
    Ok((connections, frames))
}

/// Writes an object without its closing brace, so that more can follow.
fn open_object(out: &mut dyn Write, object: &impl Serialize) -> Result<(), Stop> {
    let mut text = serde_json::to_vec(object).map_err(std::io::Error::from)?;
    text.pop();
    Ok(out.write_all(&text)?)
}
