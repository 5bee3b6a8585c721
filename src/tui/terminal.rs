//! The terminal itself: taken over, given back, waited on.
//!
//! Output goes straight to the descriptor, a drawing at a time, and is dropped once the terminal was given back, so
//! that neither a panic nor a signal leaves half a drawing on the user's screen.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Rect, Size};
use ratatui::{TerminalOptions, Viewport};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{isatty, tcgetwinsize};

/// Whether the terminal is taken over.
static TAKEN: AtomicBool = AtomicBool::new(false);
static PANIC_HOOK: Once = Once::new();

/// Alternate screen, mouse clicks and wheel in SGR form, bracketed paste.
const TAKE: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[?1000h\x1b[?1006h\x1b[?2004h\x1b[?25l";
/// The reverse of it, and a plain cursor and colours.
const GIVE_BACK: &[u8] = b"\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[?1049l\x1b[?25h\x1b[0m";
const ERASE: &[u8] = b"\x1b[0m\x1b[2J";

/// Gives the terminal back if it is taken over: cooked mode, the screen from before, the cursor, no mouse. It may be
/// called any number of times, from any thread.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // a terminal that is gone needs no more
    let _ = write_all(GIVE_BACK);
    let _ = disable_raw_mode();
}

/// Whether nobody has given the terminal back since it was taken over.
pub(super) fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// Takes the terminal over until [`restore`]. A panic on any thread gives it back before it is reported.
pub(super) fn take() -> io::Result<()> {
    PANIC_HOOK.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            earlier(info);
        }));
    });
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    write_all(TAKE).inspect_err(|_| restore())
}

/// A drawing at a time, straight to the terminal.
#[derive(Debug, Default)]
pub(super) struct Output {
    drawing: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.drawing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let drawing = std::mem::take(&mut self.drawing);
        if is_taken() { write_all(&drawing) } else { Ok(()) }
    }
}

/// What ratatui draws on. It is made anew when the size changes: its own way of clearing asks the terminal where the
/// cursor is, and waits for an answer that may not come.
pub(super) fn screen(size: Size) -> io::Result<Terminal<CrosstermBackend<Output>>> {
    // what was there before goes with the first drawing, not before it
    let output = Output { drawing: ERASE.to_vec() };
    let viewport = Viewport::Fixed(Rect::new(0, 0, size.width, size.height));
    Terminal::with_options(CrosstermBackend::new(output), TerminalOptions { viewport })
}

/// The size by now. It fails when the terminal is gone.
pub(super) fn size() -> io::Result<Size> {
    let size = tcgetwinsize(stdout())?;
    Ok(match (size.ws_col, size.ws_row) {
        // a terminal that doesn't know
        (0, _) | (_, 0) => Size { width: 80, height: 24 },
        (width, height) => Size { width, height },
    })
}

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Keys {
    /// Standard input.
    Stdin,
    /// The terminal itself, where standard input is something else.
    Terminal(File),
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// There is something to read.
    Input,
    /// Nothing yet.
    Nothing,
    /// There never will be: the terminal is gone.
    Lost,
}

impl Keys {
    /// The same place as crossterm reads from.
    pub(super) fn open() -> io::Result<Self> {
        if isatty(stdin()) { Ok(Self::Stdin) } else { File::open("/dev/tty").map(Self::Terminal) }
    }

    /// Waits for input. crossterm's own wait never returns from a terminal that is gone.
    pub(super) fn wait(&self, patience: Duration) -> Waited {
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
        let mut polled = [PollFd::from_borrowed_fd(self.fd(), PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) | Ok(0) => Waited::Nothing,
            Ok(_) => {
                let got = polled[0].revents();
                if got.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                    Waited::Lost
                } else {
                    Waited::Input
                }
            }
            Err(_) => Waited::Lost,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin => stdin(),
            Self::Terminal(file) => file.as_fd(),
        }
    }
}

fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                let mut polled = [PollFd::from_borrowed_fd(stdout(), PollFlags::OUT)];
                // whatever is wrong shows at the next write
                let _ = poll(&mut polled, None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
