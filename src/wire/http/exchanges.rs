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
mod tests;
