//! The forward proxy: takes requests for any server, in absolute form or for a tunnel, and relays what comes of them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::absolute::{Asked, Destination, NotAsked};
use super::dial::Dialler;
use super::leg::{Elsewhere, Leg, Way};
use super::only::HostPattern;
use super::pump::{Abort, Part, at, broken, is_temporary};
use super::registry::Inbox;
use super::relay::{End, Opening, PATIENCE, Relayed, Unreachable, abandon, answer, leave};
use super::server::{self, Server, Shared, stopped};
use super::tunnel::{self, Contents};
use crate::capture::{Clock, ConnectionId, EventKind, Recorder, SocketEnd, Tunnel, Vantage};
use crate::control::Commands;
use crate::wire::Side;
use crate::wire::handshake::{Head, HeadReader, Request};

/// What a proxy is to do.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// The hosts that are looked at; all if there are none.
    pub only: Vec<HostPattern>,
    /// Makes the connections to servers.
    pub dialler: Dialler,
    /// Tells the time of what is recorded.
    pub clock: Clock,
    /// The most connections at once.
    pub max_connections: usize,
}

/// Accepts connections on `listener` until it is stopped, and sends on what they ask for. What crosses the client's socket
/// goes to `recorder`; what the user puts in comes from `commands`.
pub fn proxy(listener: TcpListener, options: ProxyOptions, recorder: Recorder, commands: Commands) -> Server {
    let (clock, most) = (options.clock, options.max_connections);
    let here = listener.local_addr().ok();
    let options = Arc::new(options);
    server::start(listener, (clock, recorder, Vantage::Beside), most, commands, move |id, client, inbox, shared| {
        run((id, client), inbox, shared, (options.clone(), here))
    })
}

async fn run(
    (id, client): (ConnectionId, TcpStream),
    mut inbox: Inbox,
    mut shared: Shared,
    (options, here): (Arc<ProxyOptions>, Option<SocketAddr>),
) {
    let leg = Leg::new(id, shared.clone(), Way::Unchanged);
    let mut session = Session { leg, client: &client, options: &options, here };
    let mut stop = shared.stop.clone();
    let mut connected = tokio::select! {
        connected = session.begin() => connected,
        () = stopped(&mut stop) => Ok(None),
    };
    let cause = loop {
        let (server, opening) = match connected {
            Ok(Some(connected)) => connected,
            Ok(None) => break None,
            Err(abort) => break abandon(&session.leg, abort, None).await,
        };
        let relayed = Relayed { leg: &session.leg, client: &client, server };
        let elsewhere = match relayed.run(opening, &mut inbox, &mut shared).await {
            End::Over(cause) => break cause,
            End::Elsewhere(elsewhere) => elsewhere,
        };
        connected = tokio::select! {
            connected = session.go_elsewhere(elsewhere) => connected,
            () = stopped(&mut stop) => Ok(None),
        };
    };
    session.leg.record(EventKind::Closed { cause }).await;
}

/// A connection to a server, and what goes on by it first; `None` where what was asked for can't be had, which has been
/// answered then.
type Connected = Result<Option<(TcpStream, Opening)>, Abort>;

/// One connection of a client.
struct Session<'a> {
    leg: Leg,
    client: &'a TcpStream,
    options: &'a ProxyOptions,
    /// Where we listen.
    here: Option<SocketAddr>,
}

const BAD_REQUEST: &str = "400 Bad Request";
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
const NOT_AMONG: &str = "its host is not among those of --only";
/// As much of the request for a tunnel as is told of.
const MOST_LINES: usize = 32;
const LONGEST_LINE: usize = 1024;

impl Session<'_> {
    /// Reads the first request, and does what it asks for.
    async fn begin(&mut self) -> Connected {
        let Some((request, rest)) = self.read_request().await? else { return Ok(None) };
        let came = Bytes::from([request.head.raw(), &rest].concat());
        if request.method == "CONNECT" {
            return self.tunnel(&request, rest, came).await;
        }
        let asked = match Asked::read(&request) {
            Ok(asked) => asked,
            Err(fault) => return self.refuse(self.not_asked(fault, &request), came).await,
        };
        // whoever sends on what follows knows of the first request
        self.leg.http().exchanges.client(&mut &request.head.raw()[..]);
        self.send_on(Elsewhere { request: Box::new(request), rest, unrecorded: came }, asked).await
    }

    /// A request on a connection that has been used is not for the server at hand.
    async fn go_elsewhere(&mut self, elsewhere: Elsewhere) -> Connected {
        let Elsewhere { request, unrecorded, .. } = &elsewhere;
        match Asked::read(request) {
            Ok(asked) if self.leg.is_unopened() || !self.looks_at(&asked.destination) => {
                // whoever gets no answer asks again on another connection (RFC 9112 9.3.1)
                leave(&self.leg, self.client).await;
                Ok(None)
            }
            Ok(asked) => self.send_on(elsewhere, asked).await,
            Err(_) if request.method == "CONNECT" => {
                let sentence = "A tunnel has to be asked for by the first request of a connection.".to_owned();
                self.refuse(Unreachable { status: BAD_REQUEST, sentence }, unrecorded.clone()).await
            }
            Err(fault) => self.refuse(self.not_asked(fault, request), unrecorded.clone()).await,
        }
    }

    /// Connects to the server that a request in absolute form is for.
    async fn send_on(&mut self, elsewhere: Elsewhere, asked: Asked) -> Connected {
        let Elsewhere { request, rest, mut unrecorded } = elsewhere;
        let is_looked_at = self.looks_at(&asked.destination);
        if is_looked_at {
            self.record(std::mem::take(&mut unrecorded)).await;
        }
        let server = match self.reach(&asked.destination, &format!("http://{}", asked.destination)).await? {
            Ok(server) => server,
            Err(unreachable) => return self.refuse(unreachable, unrecorded).await,
        };
        if !is_looked_at {
            self.begin_tunnel(&asked.destination, &server, Vec::new()).await;
            self.leg.leave_unopened(NOT_AMONG).await;
            // counted
            self.record(unrecorded).await;
        }
        let head = asked.in_origin_form(&request.head);
        self.leg.way = Way::Proxy(asked.destination);
        Ok(Some((server, Opening { first: vec![Part::Head(head)], rest })))
    }

    /// Makes a tunnel, and finds out what crosses it.
    async fn tunnel(&mut self, request: &Request, rest: Bytes, came: Bytes) -> Connected {
        let Some(destination) = Destination::parse(&request.target, None) else {
            let target = shortened(&request.target);
            let sentence =
                format!("CONNECT asks for a host and a port, such as example.com:443, and not for \"{target}\".");
            return self.refuse(Unreachable { status: BAD_REQUEST, sentence }, came).await;
        };
        let server = match self.reach(&destination, &destination.to_string()).await? {
            Ok(server) => server,
            Err(unreachable) => return self.refuse(unreachable, came).await,
        };
        self.begin_tunnel(&destination, &server, lines(&request.head)).await;
        self.write(ESTABLISHED).await?;
        let mut rest = BytesMut::from(&rest[..]);
        let contents = if self.looks_at(&destination) {
            tunnel::look(self.client, &server, &mut rest).await?
        } else {
            Contents::Unknown(NOT_AMONG)
        };
        let why = match contents {
            Contents::Http => None,
            Contents::Tls => Some("it is TLS"),
            Contents::Unknown(why) => Some(why),
        };
        if let Some(why) = why {
            self.leg.http().exchanges.give_up();
            self.leg.leave_unopened(why).await;
        }
        let rest = rest.freeze();
        self.record(rest.clone()).await;
        Ok(Some((server, Opening { first: Vec::new(), rest })))
    }

    async fn begin_tunnel(&self, destination: &Destination, server: &TcpStream, request: Vec<String>) {
        if let (Ok(from), Ok(to)) = (server.local_addr(), server.peer_addr()) {
            let tunnel = Tunnel { target: destination.to_string(), from, to, request };
            self.leg.record(EventKind::Tunnelled(Arc::new(tunnel))).await;
        }
    }

    /// Whether what goes there is looked at.
    fn looks_at(&self, destination: &Destination) -> bool {
        let only = &self.options.only;
        only.is_empty() || only.iter().any(|pattern| pattern.matches(destination))
    }

    async fn reach(&self, destination: &Destination, name: &str) -> Result<Result<TcpStream, Unreachable>, Abort> {
        let connected = tokio::select! {
            connected = self.options.dialler.dial(&destination.host, destination.port, &name) => connected,
            error = broken(self.client) => return Err(Abort::of(&error, Side::Client)),
        };
        Ok(match connected {
            Ok(server) if self.is_ourselves(&server) => Err(Unreachable {
                status: "508 Loop Detected",
                sentence: format!("{name} is this proxy itself: what goes there would come back for ever."),
            }),
            Ok(server) => Ok(server),
            Err(error) => Err(error.into()),
        })
    }

    /// Whether a connection of ours comes in at our own door.
    fn is_ourselves(&self, server: &TcpStream) -> bool {
        let (Some(here), Ok(to), Ok(from)) = (self.here, server.peer_addr(), server.local_addr()) else { return false };
        let [listening, to_ip, from_ip] = [here, to, from].map(|address| address.ip().to_canonical());
        // where every address is listened on, it is any of this machine's: one that it also calls itself by
        let is_any = listening.is_unspecified() && (to_ip.is_loopback() || to_ip == from_ip);
        here.port() == to.port() && (listening == to_ip || is_any)
    }

    /// Reads up to the end of the first head; `None` where there is none within its bounds, which has been answered then.
    async fn read_request(&self) -> Result<Option<(Request, Bytes)>, Abort> {
        let (mut came, mut reader) = (BytesMut::new(), HeadReader::default());
        // a browser may connect long before it asks for anything
        let mut deadline = None;
        let (status, sentence) = loop {
            tokio::select! {
                // an error shows again, and in full, in the read that follows
                _ = self.client.readable() => {}
                () = at(deadline) => break ("408 Request Timeout", "The rest of the request did not come in time."),
            }
            let before = came.len();
            match self.client.try_read_buf(&mut came) {
                Ok(0) => {
                    self.record(came.freeze()).await;
                    self.leg.record(EventKind::Ended { from: Side::Client, how: SocketEnd::Fin }).await;
                    return Ok(None);
                }
                Ok(_) => {
                    deadline.get_or_insert(Instant::now() + PATIENCE);
                    let mut input = &came[before..];
                    match reader.push(&mut input) {
                        Ok(None) => {}
                        Ok(Some(head)) => return Ok(Some((Request::read(head), Bytes::copy_from_slice(input)))),
                        Err(_) => {
                            break ("431 Request Header Fields Too Large", "The head of the request is too long.");
                        }
                    }
                }
                Err(error) if is_temporary(&error) => {}
                Err(error) => return Err(Abort::of(&error, Side::Client)),
            }
        };
        self.refuse(Unreachable { status, sentence: sentence.to_owned() }, came.freeze()).await.map(|_| None)
    }

    /// Tells the client why nothing comes of what came.
    async fn refuse(&self, why: Unreachable, came: Bytes) -> Connected {
        self.record(came).await;
        answer(&self.leg, self.client, why).await;
        Ok(None)
    }

    fn not_asked(&self, fault: NotAsked, request: &Request) -> Unreachable {
        let target = shortened(&request.target);
        let sentence = match fault {
            NotAsked::OriginForm => {
                let here = self.client.local_addr().map_or_else(|_| String::new(), |here| here.to_string());
                format!("This is a proxy and no server: tell a program to use it, as by HTTP_PROXY=http://{here}.")
            }
            NotAsked::Tls => format!("A proxy is asked for \"{target}\" by CONNECT, so that TLS goes through it."),
            NotAsked::Other => {
                format!("A proxy is asked for a URL such as http://example.com/, and not for \"{target}\".")
            }
        };
        Unreachable { status: BAD_REQUEST, sentence }
    }

    async fn record(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.leg.record_chunk(Side::Client, bytes, Vec::new()).await;
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> Result<(), Abort> {
        while !bytes.is_empty() {
            match self.client.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_temporary(&error) => {
                    // an error shows again in the write that follows
                    let _ = self.client.writable().await;
                }
                Err(error) => return Err(Abort::of(&error, Side::Client)),
            }
        }
        Ok(())
    }
}

/// A target, as much of it as fits into a sentence.
fn shortened(target: &str) -> String {
    target.chars().take(100).collect()
}

fn lines(head: &Head) -> Vec<String> {
    let headers = head.headers().iter().map(|line| line.line.clone());
    let lines = std::iter::once(head.start_line_at()).chain(headers.filter(|line| !line.is_empty()));
    lines.take(MOST_LINES).map(|line| head.text(&line).chars().take(LONGEST_LINE).collect()).collect()
}
