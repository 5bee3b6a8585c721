//! The relay: takes connections, passes every byte on to a server and back as it came, and shows them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::dial::{DialError, Dialler};
use super::leg::{Elsewhere, Leg, Way};
use super::pump::{Abort, Ask, Part, Pump, at, is_temporary};
use super::registry::Inbox;
use super::server::{self, Entrance, Server, Shared, stopped};
use super::socket::Socket;
use super::tls::{ClientTls, ServerTls};
use super::upstream::{Rewriting, Upstream};
use crate::capture::{Cause, Clock, ConnectionId, EventKind, Recorder, SocketEnd, Vantage};
use crate::control::Commands;
use crate::wire::Side;
use crate::wire::http::ClientStep;

/// How long the rest of a request's head may take, a connection to the server, and the beginning of its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long peers have for their part when a connection is taken down.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a relay is to do.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Where requests are sent on to.
    pub upstream: Upstream,
    /// What is changed in them.
    pub rewriting: Rewriting,
    /// Makes the connections there.
    pub dialler: Dialler,
    /// How clients speak TLS, if they may.
    pub tls: Option<ServerTls>,
    /// How the server is spoken to by TLS, if it is.
    pub upstream_tls: Option<ClientTls>,
    /// Tells the time of what is recorded.
    pub clock: Clock,
    /// The most connections at once.
    pub max_connections: usize,
}

/// Accepts connections on `listener` until it is stopped, and relays each. What crosses the client's socket goes to
/// `recorder`; what the user puts in comes from `commands`.
pub fn relay(listener: TcpListener, options: RelayOptions, recorder: Recorder, commands: Commands) -> Server {
    let entrance = Entrance {
        listener,
        tls: options.tls.clone(),
        max_connections: options.max_connections,
        vantage: Vantage::Beside,
        clock: options.clock,
        recorder,
    };
    let options = Arc::new(options);
    server::start(entrance, commands, move |id, client, inbox, shared| run(id, client, inbox, shared, options.clone()))
}

async fn run(id: ConnectionId, client: Socket, inbox: Inbox, mut shared: Shared, options: Arc<RelayOptions>) {
    let leg = Leg::new(id, shared.clone(), Way::Relay(options.clone()));
    let mut stop = shared.stop.clone();
    let cause = tokio::select! {
        opened = open(&leg, &client, &options) => match opened {
            Ok(Some((server, opening))) => {
                match (Relayed { leg: &leg, client: &client, server }).run(opening, &inbox, &mut shared).await {
                    End::Over(cause) => cause,
                    // there is one server for all requests
                    End::Elsewhere(_) => None,
                }
            }
            Ok(None) => None,
            Err(abort) => abandon(&leg, abort, None).await,
        },
        () = stopped(&mut stop) => None,
    };
    leg.record(EventKind::Closed { cause }).await;
}

/// How the client begins: what is sent on first, and what it sent after that.
#[derive(Default)]
pub(super) struct Opening {
    pub(super) first: Vec<Part>,
    pub(super) rest: Bytes,
    /// What the server said already; this has been recorded, too.
    pub(super) said: Bytes,
}

/// Reads the first request and makes the connection that it is sent on by; `None` where that can't be made, which has
/// been answered then.
async fn open(leg: &Leg, client: &Socket, options: &RelayOptions) -> Result<Option<(Socket, Opening)>, Abort> {
    let opening = read_request(leg, client).await?;
    let connected = tokio::select! {
        connected = connect(leg, options) => connected,
        error = client.broken() => return Err(Abort::of(&error, Side::Client)),
    };
    match connected {
        Ok(server) => Ok(Some((server, opening))),
        Err(error) => {
            answer(leg, client, error).await;
            Ok(None)
        }
    }
}

/// Reads up to the end of the head. Where there is none within its bounds, what came is passed on as it is.
pub(super) async fn read_request(leg: &Leg, client: &Socket) -> Result<Opening, Abort> {
    let mut came = BytesMut::new();
    // a browser may connect long before it asks for anything
    let mut deadline = None;
    loop {
        tokio::select! {
            // an error shows again, and in full, in the read that follows
            _ = client.readable() => {}
            () = at(deadline) => break,
        }
        let before = came.len();
        match client.read_some(&mut came) {
            // whoever passes on what came reads this end once more
            Ok(0) => break,
            Ok(_) => {
                deadline.get_or_insert(Instant::now() + PATIENCE);
                leg.record_chunk(Side::Client, Bytes::copy_from_slice(&came[before..]), Vec::new()).await;
                let mut input = &came[before..];
                match leg.http().exchanges.client(&mut input) {
                    ClientStep::Partial => {}
                    ClientStep::Head(request) => {
                        let rest = Bytes::copy_from_slice(input);
                        let Some(head) = leg.sent_on(&request) else { break };
                        return Ok(Opening { first: vec![Part::Head(head)], rest, ..Opening::default() });
                    }
                    _ => break,
                }
            }
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(Abort::of(&error, Side::Client)),
        }
    }
    leg.http().exchanges.give_up();
    Ok(Opening { first: vec![Part::Bytes(came.freeze())], ..Opening::default() })
}

/// There is no server to send on to.
pub(super) struct Unreachable {
    pub(super) status: &'static str,
    pub(super) sentence: String,
}

impl From<DialError> for Unreachable {
    fn from(error: DialError) -> Self {
        let status = if error.is_timeout() { "504 Gateway Timeout" } else { BAD_GATEWAY };
        Self { status, sentence: error.to_string() }
    }
}

const BAD_GATEWAY: &str = "502 Bad Gateway";

async fn connect(leg: &Leg, options: &RelayOptions) -> Result<Socket, Unreachable> {
    let RelayOptions { upstream, dialler, upstream_tls, .. } = options;
    let server = dialler.dial(&upstream.host, upstream.port, upstream).await?;
    match upstream_tls {
        Some(tls) => begin_tls(leg, tls, server, &upstream.host).await,
        None => Ok(Socket::Plain(server)),
    }
}

/// TLS with a server, and what was agreed on with it.
pub(super) async fn begin_tls(
    leg: &Leg,
    tls: &ClientTls,
    server: TcpStream,
    host: &str,
) -> Result<Socket, Unreachable> {
    let connected = tls.connect(server, host).await;
    let socket = connected.map_err(|error| Unreachable { status: BAD_GATEWAY, sentence: error.sentence() })?;
    leg.tell_tls(Side::Server, &socket, tls.take_secrets()).await;
    Ok(socket)
}

/// Tells the client in the server's place that there is none.
pub(super) async fn answer(leg: &Leg, client: &Socket, Unreachable { status, sentence }: Unreachable) {
    let response = server::response(status, &sentence);
    leg.record(EventKind::NotSentOn(sentence.into())).await;
    let response = Bytes::from(response);
    // a client that takes nothing is not waited for
    if client.try_write(&response).is_ok() {
        leg.record_chunk(Side::Server, response, Vec::new()).await;
    }
    leave(leg, client).await;
}

/// Ends the connection to the client in order.
pub(super) async fn leave(leg: &Leg, client: &Socket) {
    end(leg, client, Side::Server).await;
    // what the client still sends is read, lest what it was sent be lost over it
    let _ = timeout(FAREWELL, async {
        let mut buffer = BytesMut::new();
        while client.readable().await.is_ok() {
            buffer.clear();
            match client.read_some(&mut buffer) {
                Ok(0) => {
                    leg.record(EventKind::Ended { from: Side::Client, how: SocketEnd::Fin }).await;
                    return;
                }
                Ok(_) => leg.record_chunk(Side::Client, Bytes::copy_from_slice(&buffer), Vec::new()).await,
                Err(error) if is_temporary(&error) => {}
                Err(_) => return,
            }
        }
    })
    .await;
}

/// Ends what `from` sends, in order.
async fn end(leg: &Leg, stream: &Socket, from: Side) {
    leg.record(EventKind::Ended { from, how: SocketEnd::Fin }).await;
    stream.shutdown().await;
}

/// A connection with both its legs.
pub(super) struct Relayed<'a> {
    pub(super) leg: &'a Leg,
    pub(super) client: &'a Socket,
    pub(super) server: Socket,
}

/// What came of relaying.
pub(super) enum End {
    /// The connection is over.
    Over(Option<Cause>),
    /// It goes on with this request to another server, after all that came before was answered.
    Elsewhere(Elsewhere),
}

impl Relayed<'_> {
    /// Relays until both directions have ended, or one side is gone, or the program ends, or a request is for another
    /// server.
    pub(super) async fn run(self, opening: Opening, inbox: &Inbox, shared: &mut Shared) -> End {
        let Self { leg, client, ref server } = self;
        leg.ask();
        leg.forget_asks();
        let Opening { first, rest, said } = opening;
        let up = Pump::new(leg, Side::Client, (client, server)).run(first, rest);
        let down = Pump::new(leg, Side::Server, (server, client)).run(Vec::new(), said);
        tokio::pin!(up, down);
        let mut running = [true; 2];
        let mut deadline = None;
        let abort = loop {
            let ended = tokio::select! {
                ended = &mut up, if running[0] => ended.map(|()| running[0] = false),
                ended = &mut down, if running[1] => ended.map(|()| running[1] = false),
                error = client.broken(), if !running[0] => Err(Abort::of(&error, Side::Client)),
                error = server.broken(), if !running[1] => Err(Abort::of(&error, Side::Server)),
                command = inbox.wish() => {
                    // a direction that has ended takes nothing more
                    leg.put(command.to.other(), Ask::Send(command.send));
                    Ok(())
                }
                () = stopped(&mut shared.stop), if deadline.is_none() => {
                    if !leg.is_open() {
                        break None;
                    }
                    deadline = Some(Instant::now() + FAREWELL);
                    for from in Side::BOTH {
                        leg.put(from, Ask::Stop);
                    }
                    Ok(())
                }
                () = leg.passed.notified(), if !running[0] => Ok(()),
                () = at(deadline) => return End::Over(self.part(Some(Cause::CloseUnanswered)).await),
            };
            if let Err(abort) = ended {
                break Some(abort);
            }
            if running == [false; 2] {
                break None;
            }
            if !running[0] && leg.has_aside() {
                if let Some(elsewhere) = leg.take_aside() {
                    return End::Elsewhere(elsewhere);
                }
                if leg.http().exchanges.unclear().is_some() {
                    // where its answers end can't be told: it is to say so itself
                    server.shutdown().await;
                }
            }
        };
        End::Over(match abort {
            None => self.part(None).await,
            Some(Abort::Silent) => {
                let sentence = format!("The server did not answer within {} seconds.", PATIENCE.as_secs());
                answer(leg, client, Unreachable { status: "504 Gateway Timeout", sentence }).await;
                None
            }
            Some(abort @ (Abort::Reset(side) | Abort::Failed(side))) => {
                let other = if side == Side::Client { server } else { client };
                abandon(leg, abort, Some(other)).await
            }
        })
    }

    /// Ends both legs in order, as far as they have not ended.
    async fn part(&self, cause: Option<Cause>) -> Option<Cause> {
        for stream in [self.client, &self.server] {
            stream.shutdown().await;
        }
        cause
    }
}

/// Passes on that one side is gone without a word: the other one, if there is one, is reset too.
pub(super) async fn abandon(leg: &Leg, abort: Abort, other: Option<&Socket>) -> Option<Cause> {
    if let Some(other) = other {
        // where that can't be set, it ends in order
        let _ = other.tcp().set_zero_linger();
    }
    match abort {
        Abort::Reset(from) => {
            leg.record(EventKind::Ended { from, how: SocketEnd::Reset }).await;
            None
        }
        Abort::Failed(_) | Abort::Silent => Some(Cause::SocketFailed),
    }
}
