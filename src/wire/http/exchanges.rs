//! Both directions of a connection of HTTP/1.1: which response answers which request, and when frames take over.

use std::collections::VecDeque;

use super::body::{Body, BodyLength, Unclear};
use crate::wire::handshake::{HeadReader, Request, Response};

/// Follows the requests and the responses of one connection.
///
/// Bytes are handed in as they come, in any pieces; each step takes some of them from the front and says what they are.
#[derive(Debug)]
pub struct Exchanges {
    up: Up,
    down: Down,
    /// What was asked and is not answered to the end, the oldest first.
    waiting: VecDeque<Asked>,
    unclear: Option<Unclear>,
    all_upgrade: bool,
}

#[derive(Debug)]
enum Up {
    /// Between two requests, or in the head of one; before a second one empty lines are passed over (RFC 9112 2.2).
    Head {
        reader: HeadReader,
        is_first: bool,
    },
    Body {
        body: Body,
        switches: bool,
    },
    /// Another protocol was asked for, and that is not answered; whether anything came since.
    Undecided {
        came: bool,
    },
    Frames,
    Blind,
}

#[derive(Debug)]
enum Down {
    Head(HeadReader),
    Body(Body),
    Frames,
    Blind,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    is_head: bool,
    /// It asks for a WebSocket.
    upgrades: bool,
    /// It asks for that or for another protocol.
    switches: bool,
    is_connect: bool,
}

/// What bytes of the client are.
#[derive(Debug)]
pub enum ClientStep {
    /// A request's head, which is whole with them.
    Head(Box<Request>),
    /// The beginning of a head, or more of it.
    Partial,
    /// A body's.
    Body,
    /// Empty lines between two requests.
    Blank,
    /// What they mean depends on what the server answers.
    Undecided,
    /// What they mean is not known.
    Blind,
    /// The head that has begun is too long; these bytes came before, and no more have been taken.
    TooLong(Vec<u8>),
    /// From here on frames come; nothing has been taken.
    Frames,
}

/// What bytes of the server are.
#[derive(Debug)]
pub enum ServerStep {
    /// A response's head, which is whole with them.
    Head {
        /// The response.
        response: Box<Response>,
        /// Another one to the same request follows (RFC 9110 15.2).
        is_interim: bool,
        /// Whether it has no body, so that it is whole.
        is_whole: bool,
    },
    /// The beginning of a head, or more of it.
    Partial,
    /// A body's; whether the response is whole with them.
    Body {
        /// Whether it is.
        is_whole: bool,
    },
    /// What they mean is not known.
    Blind,
    /// From here on frames come; nothing has been taken.
    Frames,
}

impl Default for Exchanges {
    fn default() -> Self {
        Self {
            up: Up::Head { reader: HeadReader::default(), is_first: true },
            down: Down::Head(HeadReader::default()),
            waiting: VecDeque::new(),
            unclear: None,
            all_upgrade: false,
        }
    }
}

impl Exchanges {
    /// The most requests that wait for their responses.
    pub const MAX_WAITING: usize = 128;

    /// Takes every request for one to upgrade, whatever its head says, and even where it is not there.
    pub fn all_upgrade() -> Self {
        Self { all_upgrade: true, ..Self::default() }
    }

    /// Why nothing more can be told, if so: the first reason.
    pub const fn unclear(&self) -> Option<Unclear> {
        self.unclear
    }

    /// Whether the client's next byte is the first of a head.
    pub fn begins_request(&self) -> bool {
        matches!(&self.up, Up::Head { reader, .. } if reader.partial().is_empty())
    }

    /// Whether the server's next byte is the first of a head.
    pub fn begins_response(&self) -> bool {
        matches!(&self.down, Down::Head(reader) if reader.partial().is_empty())
    }

    /// Whether a request to upgrade is the next to be answered, and nothing of the answer has come.
    pub fn awaits_upgrade(&self) -> bool {
        self.begins_response() && self.waiting.front().is_some_and(|asked| asked.upgrades)
    }

    /// Whether the client's last request asks for another protocol and is not answered.
    pub const fn asks_upgrade(&self) -> bool {
        matches!(self.up, Up::Undecided { .. } | Up::Body { switches: true, .. })
    }

    /// Whether everything but the last request has been answered, to the end.
    pub fn awaits_only_last(&self) -> bool {
        self.waiting.len() == 1 && self.begins_response()
    }

    /// Whether frames go both ways.
    pub const fn are_frames(&self) -> bool {
        matches!(self.down, Down::Frames)
    }

    /// Whether the server's end completes the response that is coming in.
    pub const fn ends_with_connection(&self) -> bool {
        matches!(&self.down, Down::Body(body) if body.is_until_end())
    }

    /// The bytes of a request's head that is not whole.
    pub fn partial_request(&self) -> &[u8] {
        match &self.up {
            Up::Head { reader, .. } => reader.partial(),
            _ => &[],
        }
    }

    /// Gives up on the client's requests: what follows has no meaning that is known.
    pub fn give_up(&mut self) {
        self.up = Up::Blind;
    }

    /// Takes bytes of the client from the front of `input`, which is not empty.
    pub fn client(&mut self, input: &mut &[u8]) -> ClientStep {
        match &mut self.up {
            Up::Head { reader, is_first } => {
                let begun = reader.partial().len();
                let blank = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                if begun == 0 && blank > 0 && !*is_first {
                    *input = &input[blank..];
                    return ClientStep::Blank;
                }
                match reader.push(input) {
                    Ok(None) => ClientStep::Partial,
                    Ok(Some(head)) => {
                        let request = Request::read(head);
                        self.request(&request);
                        ClientStep::Head(Box::new(request))
                    }
                    Err(_) => {
                        let held = reader.partial()[..begun].to_vec();
                        self.up = Up::Blind;
                        self.unclear.get_or_insert(Unclear::HeadTooLong);
                        ClientStep::TooLong(held)
                    }
                }
            }
            Up::Body { body, switches } => {
                if let Err(unclear) = body.advance(input) {
                    self.up = Up::Blind;
                    self.unclear.get_or_insert(unclear);
                } else if body.is_ended() {
                    self.up = after_request(*switches);
                }
                ClientStep::Body
            }
            Up::Undecided { came } => {
                *came = true;
                *input = &[];
                ClientStep::Undecided
            }
            Up::Frames => ClientStep::Frames,
            Up::Blind => {
                *input = &[];
                ClientStep::Blind
            }
        }
    }

    fn request(&mut self, request: &Request) {
        let upgrades = self.all_upgrade || request.wants_upgrade();
        let switches = upgrades || request.wants_other_protocol();
        let asked =
            Asked { is_head: request.method == "HEAD", upgrades, switches, is_connect: request.method == "CONNECT" };
        let is_http = request.version.starts_with("HTTP/1.") && request.head.start_line().split(' ').count() == 3;
        let length = match BodyLength::of_request(request) {
            // whatever else it is, what comes after it is decided by the answer
            _ if !is_http && !upgrades => Err(Unclear::NotHttp),
            _ if asked.is_connect => Err(Unclear::OtherProtocol),
            _ if self.waiting.len() == Self::MAX_WAITING => Err(Unclear::TooManyWaiting),
            length => length,
        };
        if self.waiting.len() < Self::MAX_WAITING {
            self.waiting.push_back(asked);
        }
        self.up = match length {
            Ok(length) => {
                let body = Body::new(length);
                if body.is_ended() { after_request(switches) } else { Up::Body { body, switches } }
            }
            Err(unclear) => {
                self.unclear.get_or_insert(unclear);
                Up::Blind
            }
        };
    }

    /// Takes bytes of the server from the front of `input`, which is not empty.
    pub fn server(&mut self, input: &mut &[u8]) -> ServerStep {
        match &mut self.down {
            Down::Head(reader) => match reader.push(input) {
                Ok(None) => ServerStep::Partial,
                Ok(Some(head)) => self.response(Response::read(head)),
                Err(_) => {
                    *input = &[];
                    self.lose_responses(Unclear::HeadTooLong);
                    ServerStep::Blind
                }
            },
            Down::Body(body) => match body.advance(input) {
                Ok(()) => {
                    let is_whole = body.is_ended();
                    if is_whole {
                        self.answered();
                    }
                    ServerStep::Body { is_whole }
                }
                Err(unclear) => {
                    self.lose_responses(unclear);
                    ServerStep::Body { is_whole: false }
                }
            },
            Down::Frames => ServerStep::Frames,
            Down::Blind => {
                *input = &[];
                ServerStep::Blind
            }
        }
    }

    fn response(&mut self, response: Response) -> ServerStep {
        let asked = self.waiting.front().copied();
        let status = response.status;
        let is_interim = status.is_some_and(|status| (100..200).contains(&status) && status != 101) && asked.is_some();
        let mut is_whole = false;
        match (asked, status) {
            _ if is_interim => self.down = Down::Head(HeadReader::default()),
            (asked, Some(101)) if asked.map_or(self.all_upgrade, |asked| asked.upgrades) => {
                self.waiting.pop_front();
                self.up = Up::Frames;
                self.down = Down::Frames;
                is_whole = true;
            }
            (None, _) => self.lose_responses(Unclear::Unasked),
            (Some(asked), Some(101)) => {
                if asked.switches {
                    self.up = Up::Blind;
                }
                self.lose_responses(Unclear::OtherProtocol);
            }
            (Some(asked), Some(200..=299)) if asked.is_connect => self.lose_responses(Unclear::OtherProtocol),
            (Some(asked), _) => {
                if let Up::Undecided { came } = self.up
                    && asked.switches
                {
                    self.up = if came { Up::Blind } else { next_request() };
                    if came {
                        self.unclear.get_or_insert(Unclear::BeforeAnswer);
                    }
                }
                match BodyLength::of_response(&response, asked.is_head) {
                    Ok(length) => {
                        let body = Body::new(length);
                        is_whole = body.is_ended();
                        self.down = Down::Body(body);
                        if is_whole {
                            self.answered();
                        }
                    }
                    Err(unclear) => self.lose_responses(unclear),
                }
            }
        }
        ServerStep::Head { response: Box::new(response), is_interim, is_whole }
    }

    fn answered(&mut self) {
        self.waiting.pop_front();
        self.down = Down::Head(HeadReader::default());
    }

    fn lose_responses(&mut self, unclear: Unclear) {
        self.down = Down::Blind;
        self.unclear.get_or_insert(unclear);
    }
}

fn after_request(switches: bool) -> Up {
    if switches { Up::Undecided { came: false } } else { next_request() }
}

fn next_request() -> Up {
    Up::Head { reader: HeadReader::default(), is_first: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, a word each, when `up` and `down` come in turn in pieces of `size`.
    fn follow(turns: &[(&[u8], &[u8])], size: usize) -> (Vec<String>, Option<Unclear>) {
        let mut exchanges = Exchanges::default();
        let mut told: Vec<String> = Vec::new();
        let mut tell = |word: String| {
            if told.last() != Some(&word) || word.starts_with('H') {
                told.push(word);
            }
        };
        for (up, down) in turns {
            for mut piece in up.chunks(size) {
                while !piece.is_empty() {
                    tell(match exchanges.client(&mut piece) {
                        ClientStep::Head(request) => format!("HEAD {}", request.target),
                        ClientStep::Partial | ClientStep::Blank => continue,
                        ClientStep::Body => "body".to_owned(),
                        ClientStep::Undecided => "undecided".to_owned(),
                        ClientStep::Blind | ClientStep::TooLong(_) => "blind".to_owned(),
                        ClientStep::Frames => {
                            piece = &[];
                            "frames".to_owned()
                        }
                    });
                }
            }
            for mut piece in down.chunks(size) {
                while !piece.is_empty() {
                    tell(match exchanges.server(&mut piece) {
                        ServerStep::Head { response, is_interim, is_whole } => {
                            let status = response.status.unwrap_or(0);
                            format!(
                                "HEAD {status}{}{}",
                                if is_interim { "…" } else { "" },
                                if is_whole { "." } else { "" }
                            )
                        }
                        ServerStep::Partial | ServerStep::Body { is_whole: false } => continue,
                        ServerStep::Body { is_whole: true } => "whole".to_owned(),
                        ServerStep::Blind => "unknown".to_owned(),
                        ServerStep::Frames => {
                            piece = &[];
                            "frames back".to_owned()
                        }
                    });
                }
            }
        }
        (told, exchanges.unclear())
    }

    #[track_caller]
    fn check(turns: &[(&[u8], &[u8])], expected: &[&str], unclear: Option<Unclear>) {
        for size in [1, 2, 3, 5, 17, 1000] {
            let (told, why) = follow(turns, size);
            assert_eq!((told, why), (expected.iter().map(|&word| word.to_owned()).collect(), unclear), "by {size}");
        }
    }

    const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

    #[test]
    fn requests_follow_each_other_and_then_comes_a_socket() {
        let pipelined =
            [b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\r\n", UPGRADE].concat();
        check(
            &[
                (&pipelined, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
                (b"", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
                (b"", &[ACCEPTED, b"\x81\x00"].concat()),
                (b"\x81\x80keys", b""),
            ],
            &[
                "HEAD /1",
                "HEAD /2",
                "body",
                "HEAD /ws",
                "HEAD 200",
                "whole",
                "HEAD 100…",
                "HEAD 204.",
                "HEAD 101.",
                "frames back",
                "frames",
            ],
            None,
        );
    }

    #[test]
    fn a_refused_upgrade_may_be_asked_for_again_unless_something_was_sent_before_the_answer() {
        let refused = b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n";
        check(&[(UPGRADE, refused), (UPGRADE, ACCEPTED)], &["HEAD /ws", "HEAD 401.", "HEAD /ws", "HEAD 101."], None);
        check(
            &[(&[UPGRADE, b"x"].concat(), refused), (UPGRADE, refused)],
            &["HEAD /ws", "undecided", "HEAD 401.", "blind", "HEAD 401"],
            Some(Unclear::BeforeAnswer),
        );
        check(&[(&[UPGRADE, b"x"].concat(), ACCEPTED)], &["HEAD /ws", "undecided", "HEAD 101."], None);
    }

    #[test]
    fn a_response_to_head_has_no_body_and_one_without_a_length_takes_all() {
        check(
            &[
                (b"HEAD /1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
                (b"GET /2 HTTP/1.1\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
            ],
            &["HEAD /1", "HEAD 200.", "HEAD /2", "HEAD 200"],
            None,
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_followed() {
        const BOTH: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n";
        check(&[(BOTH, b"")], &["HEAD /", "blind"], Some(Unclear::LengthAndEncoding));
        check(&[(b"SSH-2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"")], &["HEAD ", "blind"], Some(Unclear::NotHttp));
        check(&[(b"", b"HTTP/1.1 408 Late\r\n\r\nx")], &["HEAD 408", "unknown"], Some(Unclear::Unasked));
        let tunnel = b"CONNECT a:1 HTTP/1.1\r\n\r\nx";
        check(
            &[(tunnel, b"HTTP/1.1 200 OK\r\n\r\nx")],
            &["HEAD a:1", "blind", "HEAD 200", "unknown"],
            Some(Unclear::OtherProtocol),
        );
        let page = b"GET /h HTTP/1.1\r\n\r\n";
        check(&[(page, &[ACCEPTED, b"x"].concat())], &["HEAD /h", "HEAD 101", "unknown"], Some(Unclear::OtherProtocol));
    }

    #[test]
    fn another_protocol_may_be_agreed_on_or_the_request_be_answered_like_any_other() {
        let h2c = b"GET /h HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
        check(
            &[(h2c, &[ACCEPTED, b"x"].concat()), (b"PRI * HTTP/2.0\r\nHost: a", b"y")],
            &["HEAD /h", "HEAD 101", "unknown", "blind", "unknown"],
            Some(Unclear::OtherProtocol),
        );
        check(
            &[(h2c, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), (UPGRADE, ACCEPTED)],
            &["HEAD /h", "HEAD 200", "whole", "HEAD /ws", "HEAD 101."],
            None,
        );
    }

    #[test]
    fn heads_and_waiting_requests_have_a_bound() {
        let mut exchanges = Exchanges::default();
        let long = vec![b'x'; 40_000];
        let mut input = &long[..];
        assert!(matches!(exchanges.client(&mut input), ClientStep::TooLong(held) if held.is_empty()));
        assert_eq!((input.len(), exchanges.unclear()), (40_000, Some(Unclear::HeadTooLong)));
        let mut input = &long[..];
        assert!(matches!(exchanges.server(&mut input), ServerStep::Blind));
        let requests = b"GET / HTTP/1.1\r\n\r\n".repeat(Exchanges::MAX_WAITING + 5);
        let (mut exchanges, mut input, mut heads) = (Exchanges::default(), &requests[..], 0);
        while let ClientStep::Head(_) = exchanges.client(&mut input) {
            heads += 1;
        }
        assert_eq!((heads, exchanges.unclear()), (Exchanges::MAX_WAITING + 1, Some(Unclear::TooManyWaiting)));
    }
}
