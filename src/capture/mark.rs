//! Frames that the user has marked, and how a recording says so.

use std::net::SocketAddr;

/// The user marks a frame, or takes the mark away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The frame's number.
    pub frame: u64,
    /// What the user says of it, perhaps nothing; `None` takes the mark away.
    pub text: Option<String>,
    /// Who sent the frame, and to whom: between them other programs show the mark.
    pub from: SocketAddr,
    /// The other end.
    pub to: SocketAddr,
}

impl Mark {
    const MARK: &str = "wsinspect: mark frame=";
    const UNMARK: &str = "wsinspect: unmark frame=";
    const TEXT: &str = " text=";

    /// The packet comment that says it: `wsinspect: mark frame=7`, then perhaps ` text=` and the text up to the end, or
    /// `wsinspect: unmark frame=7`.
    pub fn comment(&self) -> String {
        match self.text.as_deref() {
            None => format!("{}{}", Self::UNMARK, self.frame),
            Some("") => format!("{}{}", Self::MARK, self.frame),
            // an option of pcapng has 65 535 bytes, a line of Wireshark fewer
            Some(text) => format!("{}{}{}{:.1000}", Self::MARK, self.frame, Self::TEXT, one_line(text)),
        }
    }

    /// Reads such a comment back: the frame's number, and what became of its mark.
    pub fn read(comment: &str) -> Option<(u64, Option<String>)> {
        if let Some(frame) = comment.strip_prefix(Self::UNMARK) {
            return Some((frame.parse().ok()?, None));
        }
        let rest = comment.strip_prefix(Self::MARK)?;
        let (frame, text) = rest.split_once(Self::TEXT).unwrap_or((rest, ""));
        Some((frame.parse().ok()?, Some(text.to_owned())))
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_mark_is_read_back() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        for (text, said) in [
            (None, "wsinspect: unmark frame=12"),
            (Some(""), "wsinspect: mark frame=12"),
            (Some("here text=x"), "wsinspect: mark frame=12 text=here text=x"),
        ] {
            let text = text.map(str::to_owned);
            let mark = Mark { frame: 12, text: text.clone(), from: address, to: address };
            assert_eq!(mark.comment(), said);
            assert_eq!(Mark::read(said), Some((12, text)));
        }
        assert_eq!(Mark::read("wsinspect: mark frame=twelve"), None);
        assert_eq!(Mark::read("wsinspect: origin=user offset=0"), None);
    }
}
