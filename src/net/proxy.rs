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
use super::pump::{Abort, Part, at, is_temporary};
use super::registry::Inbox;
use super::relay::{
    End, Opening, PATIENCE, Relayed, Unreachable, abandon, answer, begin_tls, leave, read_request as read_any_request,
};
use super::server::{self, Entrance, Server, Shared, stopped};
use super::socket::Socket;
use super::tls::{ClientTls, ServerTls};
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
    /// How clients speak TLS to us, if they may.
    pub tls: Option<ServerTls>,
    /// How TLS in tunnels is opened.
    pub tunnels: ProxyTls,
    /// Makes the connections to servers.
    pub dialler: Dialler,
    /// Tells the time of what is recorded.
    pub clock: Clock,
    /// The most connections at once.
    pub max_connections: usize,
}

/// How a proxy opens tunnels of TLS.
#[derive(Clone, Debug)]
pub enum ProxyTls {
    /// By standing in the middle: to the client it is the server, to the server it is the client.
    Opened {
        /// With certificates of its own.
        clients: ServerTls,
        /// Verifying theirs.
        servers: ClientTls,
    },
    /// It can't, for this reason.
    Closed(Arc<str>),
}

impl Default for ProxyTls {
    fn default() -> Self {
        Self::Closed("it is TLS".into())
    }
}

/// Accepts connections on `listener` until it is stopped, and sends on what they ask for. What crosses the client's socket
/// goes to `recorder`; what the user puts in comes from `commands`.
pub fn proxy(listener: TcpListener, options: ProxyOptions, recorder: Recorder, commands: Commands) -> Server {
    let here = listener.local_addr().ok();
    let entrance = Entrance {
        listener,
        tls: options.tls.clone(),
        max_connections: options.max_connections,
        vantage: Vantage::Beside,
        clock: options.clock,
        recorder,
    };
    let options = Arc::new(options);
    server::start(entrance, commands, move |id, client, inbox, shared| {
        run((id, client), inbox, shared, (options.clone(), here))
    })
}

async fn run(
    (id, mut client): (ConnectionId, Socket),
    inbox: Inbox,
    mut shared: Shared,
    (options, here): (Arc<ProxyOptions>, Option<SocketAddr>),
) {
    let leg = Leg::new(id, shared.clone(), Way::Unchanged);
    let mut session = Session { leg, options: &options, here };
    let mut stop = shared.stop.clone();
    let mut next = tokio::select! {
        next = session.begin(&client) => next,
        () = stopped(&mut stop) => Ok(Next::Nothing),
    };
    let cause = loop {
        let (server, opening) = match (next, client) {
            (Ok(Next::Relay(server, opening)), as_before) => {
                client = as_before;
                (server, opening)
            }
            (Ok(Next::OpenTls(tunnel)), Socket::Plain(tcp)) => {
                let opened = tokio::select! {
                    opened = session.open_tls(tcp, *tunnel) => opened,
                    () = stopped(&mut stop) => None,
                };
                let Some((inside, after)) = opened else { break None };
                (client, next) = (inside, after);
                continue;
            }
            (Ok(_), _) => break None,
            (Err(abort), _) => break abandon(&session.leg, abort, None).await,
        };
        let relayed = Relayed { leg: &session.leg, client: &client, server };
        let elsewhere = match relayed.run(opening, &inbox, &mut shared).await {
            End::Over(cause) => break cause,
            End::Elsewhere(elsewhere) => elsewhere,
        };
        next = tokio::select! {
            next = session.go_elsewhere(&client, elsewhere) => next,
            () = stopped(&mut stop) => Ok(Next::Nothing),
        };
    };
    session.leg.record(EventKind::Closed { cause }).await;
}

/// One connection of a client.
struct Session<'a> {
    leg: Leg,
    options: &'a ProxyOptions,
    /// Where we listen.
    here: Option<SocketAddr>,
}

/// What is next on it.
enum Next {
    /// What was asked for can't be had, which has been answered.
    Nothing,
    /// There is a connection to a server.
    Relay(Socket, Opening),
    /// The same, and the client begins TLS in a tunnel through it.
    OpenTls(Box<TlsTunnel>),
}

struct TlsTunnel {
    destination: Destination,
    server: TcpStream,
    /// What has been read of the client's first bytes.
    hello: Bytes,
    clients: ServerTls,
    servers: ClientTls,
}

const BAD_REQUEST: &str = "400 Bad Request";
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
/// What to do about a client that does not trust us.
const DISTRUST: &str = " If it is not to trust the local authority (see wsinspect ca), leave its host alone: name others \
    with --only.";
const NOT_AMONG: &str = "its host is not among those of --only";
/// As much of the request for a tunnel as is told of.
const MOST_LINES: usize = 32;
const LONGEST_LINE: usize = 1024;

impl Session<'_> {
    /// Reads the first request, and does what it asks for.
    async fn begin(&mut self, client: &Socket) -> Result<Next, Abort> {
        let Some((request, rest)) = self.read_request(client).await? else { return Ok(Next::Nothing) };
        let came = Bytes::from([request.head.raw(), &rest].concat());
        if request.method == "CONNECT" {
            return self.tunnel(client, &request, rest, came).await;
        }
        let asked = match Asked::read(&request) {
            Ok(asked) => asked,
            Err(fault) => return self.refuse(client, not_asked(client, fault, &request), came).await,
        };
        // whoever sends on what follows knows of the first request
        self.leg.http().exchanges.client(&mut &request.head.raw()[..]);
        self.send_on(client, Elsewhere { request: Box::new(request), rest, unrecorded: came }, asked).await
    }

    /// A request on a connection that has been used is not for the server at hand.
    async fn go_elsewhere(&mut self, client: &Socket, elsewhere: Elsewhere) -> Result<Next, Abort> {
        let Elsewhere { request, unrecorded, .. } = &elsewhere;
        match Asked::read(request) {
            Ok(asked) if self.leg.is_unopened() || !self.looks_at(&asked.destination) => {
                // whoever gets no answer asks again on another connection (RFC 9112 9.3.1)
                leave(&self.leg, client).await;
                Ok(Next::Nothing)
            }
            Ok(asked) => self.send_on(client, elsewhere, asked).await,
            Err(_) if request.method == "CONNECT" => {
                let sentence = "A tunnel has to be asked for by the first request of a connection.".to_owned();
                self.refuse(client, Unreachable { status: BAD_REQUEST, sentence }, unrecorded.clone()).await
            }
            Err(fault) => self.refuse(client, not_asked(client, fault, request), unrecorded.clone()).await,
        }
    }

    /// Connects to the server that a request in absolute form is for.
    async fn send_on(&mut self, client: &Socket, elsewhere: Elsewhere, asked: Asked) -> Result<Next, Abort> {
        let Elsewhere { request, rest, mut unrecorded } = elsewhere;
        let is_looked_at = self.looks_at(&asked.destination);
        if is_looked_at {
            self.record(std::mem::take(&mut unrecorded)).await;
        }
        let server = match self.reach(client, &asked.destination, &format!("http://{}", asked.destination)).await? {
            Ok(server) => server,
            Err(unreachable) => return self.refuse(client, unreachable, unrecorded).await,
        };
        if !is_looked_at {
            self.begin_tunnel(&asked.destination, &server, Vec::new()).await;
            self.leg.leave_unopened(NOT_AMONG).await;
            // counted
            self.record(unrecorded).await;
        }
        let head = asked.in_origin_form(&request.head);
        self.leg.way = Way::Proxy(asked.destination);
        Ok(Next::Relay(Socket::Plain(server), Opening { first: vec![Part::Head(head)], rest, ..Opening::default() }))
    }

    /// Makes a tunnel, and finds out what crosses it.
    async fn tunnel(&mut self, client: &Socket, request: &Request, rest: Bytes, came: Bytes) -> Result<Next, Abort> {
        let Some(destination) = Destination::parse(&request.target, None) else {
            let target = shortened(&request.target);
            let sentence =
                format!("CONNECT asks for a host and a port, such as example.com:443, and not for \"{target}\".");
            return self.refuse(client, Unreachable { status: BAD_REQUEST, sentence }, came).await;
        };
        let server = match self.reach(client, &destination, &destination.to_string()).await? {
            Ok(server) => server,
            Err(unreachable) => return self.refuse(client, unreachable, came).await,
        };
        self.begin_tunnel(&destination, &server, lines(&request.head)).await;
        write(client, ESTABLISHED).await?;
        let (server, mut came, mut said) = (Socket::Plain(server), BytesMut::from(&rest[..]), BytesMut::new());
        let contents = if self.looks_at(&destination) {
            tunnel::look((client, &mut came), (&server, &mut said)).await?
        } else {
            Contents::Unknown(NOT_AMONG)
        };
        match (contents, &self.options.tunnels, server) {
            // TLS to us and in the tunnel would be TLS in TLS
            (Contents::Tls, ProxyTls::Opened { clients, servers }, Socket::Plain(server)) if client.tls().is_none() => {
                let (clients, servers, hello) = (clients.clone(), servers.clone(), came.freeze());
                Ok(Next::OpenTls(Box::new(TlsTunnel { destination, server, hello, clients, servers })))
            }
            (contents, _, server) => Ok(self.relay_contents(server, contents, (came, said)).await),
        }
    }

    /// Opens a tunnel of TLS from both ends; `None` if nothing comes of that with the client.
    async fn open_tls(&mut self, tcp: TcpStream, tunnel: TlsTunnel) -> Option<(Socket, Result<Next, Abort>)> {
        let TlsTunnel { destination, server, hello, clients, servers } = tunnel;
        let client = match clients.accept(tcp, &hello, Some(&destination.host)).await {
            Ok(client) => client,
            Err(error) => {
                let advice = if error.is_distrust() { DISTRUST } else { "" };
                self.leg.record(EventKind::NoTls(format!("{}{advice}", error.sentence()).into())).await;
                return None;
            }
        };
        self.leg.tell_tls(Side::Client, &client, clients.take_secrets()).await;
        let name = client.tls().and_then(|tls| tls.sni.clone()).unwrap_or(destination.host);
        let next = match begin_tls(&self.leg, &servers, server, &name).await {
            Ok(server) => self.look_into(&client, server).await,
            Err(unreachable) => self.refuse_in_tls(&client, unreachable).await,
        };
        Some((client, next))
    }

    /// Finds out what is in TLS.
    async fn look_into(&mut self, client: &Socket, server: Socket) -> Result<Next, Abort> {
        let (mut came, mut said) = (BytesMut::new(), BytesMut::new());
        let contents = tunnel::look((client, &mut came), (&server, &mut said)).await?;
        Ok(self.relay_contents(server, contents, (came, said)).await)
    }

    /// The client is told once it has asked for something: a browser takes no answer before.
    async fn refuse_in_tls(&self, client: &Socket, unreachable: Unreachable) -> Result<Next, Abort> {
        tokio::select! {
            read = read_any_request(&self.leg, client) => drop(read?),
            () = at(Some(Instant::now() + PATIENCE)) => {}
        }
        self.refuse(client, unreachable, Bytes::new()).await
    }

    /// What crosses a tunnel is looked into, or left alone.
    async fn relay_contents(&mut self, server: Socket, contents: Contents, (came, said): (BytesMut, BytesMut)) -> Next {
        let why = match contents {
            Contents::Http => None,
            Contents::Tls => Some(match &self.options.tunnels {
                // TLS in TLS
                ProxyTls::Opened { .. } => "it is TLS once more",
                ProxyTls::Closed(why) => why,
            }),
            Contents::Unknown(why) => Some(why),
        };
        if let Some(why) = why {
            self.leg.http().exchanges.give_up();
            self.leg.leave_unopened(why).await;
        }
        let (rest, said) = (came.freeze(), said.freeze());
        self.record(rest.clone()).await;
        if !said.is_empty() {
            self.leg.record_chunk(Side::Server, said.clone(), Vec::new()).await;
        }
        Next::Relay(server, Opening { first: Vec::new(), rest, said })
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

    async fn reach(
        &self,
        client: &Socket,
        destination: &Destination,
        name: &str,
    ) -> Result<Result<TcpStream, Unreachable>, Abort> {
        let connected = tokio::select! {
            connected = self.options.dialler.dial(&destination.host, destination.port, &name) => connected,
            error = client.broken() => return Err(Abort::of(&error, Side::Client)),
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
    async fn read_request(&self, client: &Socket) -> Result<Option<(Request, Bytes)>, Abort> {
        let (mut came, mut reader) = (BytesMut::new(), HeadReader::default());
        // a browser may connect long before it asks for anything
        let mut deadline = None;
        let (status, sentence) = loop {
            tokio::select! {
                // an error shows again, and in full, in the read that follows
                _ = client.readable() => {}
                () = at(deadline) => break ("408 Request Timeout", "The rest of the request did not come in time."),
            }
            let before = came.len();
            match client.read_some(&mut came) {
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
        self.refuse(client, Unreachable { status, sentence: sentence.to_owned() }, came.freeze()).await.map(|_| None)
    }

    /// Tells the client why nothing comes of what came.
    async fn refuse(&self, client: &Socket, why: Unreachable, came: Bytes) -> Result<Next, Abort> {
        self.record(came).await;
        answer(&self.leg, client, why).await;
        Ok(Next::Nothing)
    }

    async fn record(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.leg.record_chunk(Side::Client, bytes, Vec::new()).await;
        }
    }
}

/// Why nothing comes of a request.
fn not_asked(client: &Socket, fault: NotAsked, request: &Request) -> Unreachable {
    let target = shortened(&request.target);
    let sentence = match fault {
        NotAsked::OriginForm => {
            let here = client.tcp().local_addr().map_or_else(|_| String::new(), |here| here.to_string());
            format!("This is a proxy and no server: tell a program to use it, as by HTTP_PROXY=http://{here}.")
        }
        NotAsked::Tls => format!("A proxy is asked for \"{target}\" by CONNECT, so that TLS goes through it."),
        NotAsked::Other => {
            format!("A proxy is asked for a URL such as http://example.com/, and not for \"{target}\".")
        }
    };
    Unreachable { status: BAD_REQUEST, sentence }
}

async fn write(client: &Socket, mut bytes: &[u8]) -> Result<(), Abort> {
    while !bytes.is_empty() {
        match client.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if is_temporary(&error) => {
                // an error shows again in the write that follows
                let _ = client.writable().await;
            }
            Err(error) => return Err(Abort::of(&error, Side::Client)),
        }
    }
    Ok(())
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
