//! The relay: takes connections, passes every byte on to a server and back as it came, and shows them.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::leg::Leg;
use super::pump::{Abort, Ask, Part, Pump, at, is_temporary};
use super::registry::Inbox;
use super::server::{self, Entrance, NO_DESCRIPTORS, Server, Shared, no_descriptors, stopped};
use super::socket::Socket;
use super::tls::{ClientTls, ServerTls};
use super::upstream::{Rewriting, Upstream, rewrite};
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

async fn run(id: ConnectionId, client: Socket, mut inbox: Inbox, mut shared: Shared, options: Arc<RelayOptions>) {
    let leg = Leg::new(id, shared.clone(), options);
    let mut stop = shared.stop.clone();
    let cause = tokio::select! {
        opened = open(&leg, &client) => match opened {
            Ok(Some((server, opening))) => Relayed { leg: &leg, client, server }.run(opening, &mut inbox, &mut shared).await,
            Ok(None) => None,
            Err(abort) => abandon(&leg, abort, None).await,
        },
        () = stopped(&mut stop) => None,
    };
    leg.record(EventKind::Closed { cause }).await;
}

/// How the client begins: what is sent on first, and what it sent after that.
struct Opening {
    first: Part,
    rest: Bytes,
}

/// Reads the first request and makes the connection that it is sent on by; `None` where that can't be made, which has
/// been answered then.
async fn open(leg: &Leg, client: &Socket) -> Result<Option<(Socket, Opening)>, Abort> {
    let opening = read_request(leg, client).await?;
    let connected = tokio::select! {
        connected = connect(leg) => connected,
        error = client.broken() => return Err(Abort::of(&error, Side::Client)),
    };
    let server = match connected {
        Ok(server) => server,
        Err(unreachable) => {
            answer(leg, client, unreachable).await;
            return Ok(None);
        }
    };
    Ok(Some((server, opening)))
}

/// Reads up to the end of the head. Where there is none within its bounds, what came is passed on as it is.
async fn read_request(leg: &Leg, client: &Socket) -> Result<Opening, Abort> {
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
                        let head = rewrite(&request.head, &leg.options.upstream, leg.options.rewriting);
                        return Ok(Opening { first: Part::Head(head), rest });
                    }
                    _ => break,
                }
            }
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(Abort::of(&error, Side::Client)),
        }
    }
    leg.http().exchanges.give_up();
    Ok(Opening { first: Part::Bytes(came.freeze()), rest: Bytes::new() })
}

/// There is no server to send on to.
struct Unreachable {
    status: &'static str,
    sentence: String,
}

async fn connect(leg: &Leg) -> Result<Socket, Unreachable> {
    let upstream = &leg.options.upstream;
    let server = connect_tcp(upstream).await?;
    // small frames go out at once; where that can't be set, they go out a little later
    let _ = server.set_nodelay(true);
    let Some(tls) = &leg.options.upstream_tls else { return Ok(Socket::Plain(server)) };
    let connected = tls.connect(server, &upstream.host).await;
    let socket = connected.map_err(|error| Unreachable { status: "502 Bad Gateway", sentence: error.sentence() })?;
    leg.tell_tls(&socket, tls.take_secrets()).await;
    Ok(socket)
}

async fn connect_tcp(upstream: &Upstream) -> Result<TcpStream, Unreachable> {
    let connect = async {
        let addresses: Vec<_> = match lookup_host((upstream.host.as_str(), upstream.port)).await {
            Ok(addresses) => addresses.collect(),
            Err(_) => return Err(format!("The host of {upstream} was not found.")),
        };
        TcpStream::connect(&addresses[..]).await.map_err(|error| match error.kind() {
            _ if no_descriptors(&error) => NO_DESCRIPTORS.to_owned(),
            ErrorKind::ConnectionRefused => format!("{upstream} refused the connection: nothing listens there."),
            _ => format!("{upstream} cannot be reached: {error}."),
        })
    };
    let Ok(connected) = timeout(PATIENCE, connect).await else {
        let sentence = format!("{upstream} did not take the connection within {} seconds.", PATIENCE.as_secs());
        return Err(Unreachable { status: "504 Gateway Timeout", sentence });
    };
    connected.map_err(|sentence| Unreachable { status: "502 Bad Gateway", sentence })
}

/// Tells the client in the server's place that there is none.
async fn answer(leg: &Leg, client: &Socket, Unreachable { status, sentence }: Unreachable) {
    let response = server::response(status, &sentence);
    leg.record(EventKind::NotSentOn(sentence.into())).await;
    let response = Bytes::from(response);
    // a client that takes nothing is not waited for
    if client.try_write(&response).is_ok() {
        leg.record_chunk(Side::Server, response, Vec::new()).await;
    }
    end(leg, client, Side::Server).await;
    // what the client still sends is read, lest the answer be lost over it
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
struct Relayed<'a> {
    leg: &'a Leg,
    client: Socket,
    server: Socket,
}

impl Relayed<'_> {
    /// Relays until both directions have ended, or one side is gone, or the program ends.
    async fn run(self, opening: Opening, inbox: &mut Inbox, shared: &mut Shared) -> Option<Cause> {
        let Self { leg, client, server } = &self;
        let (asks_up, up) = mpsc::unbounded_channel();
        let (asks_down, down) = mpsc::unbounded_channel();
        leg.ask();
        let Opening { first, rest } = opening;
        let up = Pump::new(leg, Side::Client, (client, server), up).run(vec![first], rest);
        let down = Pump::new(leg, Side::Server, (server, client), down).run(Vec::new(), Bytes::new());
        tokio::pin!(up, down);
        let mut running = [true; 2];
        let mut deadline = None;
        let abort = loop {
            let ended = tokio::select! {
                ended = &mut up, if running[0] => ended.map(|()| running[0] = false),
                ended = &mut down, if running[1] => ended.map(|()| running[1] = false),
                error = client.broken(), if !running[0] => Err(Abort::of(&error, Side::Client)),
                error = server.broken(), if !running[1] => Err(Abort::of(&error, Side::Server)),
                command = inbox.wishes.next() => {
                    let asks = match command.to {
                        Side::Client => &asks_down,
                        Side::Server => &asks_up,
                    };
                    // a direction that has ended takes nothing more
                    let _ = asks.send(Ask::Send(command.send));
                    Ok(())
                }
                () = stopped(&mut shared.stop), if deadline.is_none() => {
                    if !leg.is_open() {
                        break None;
                    }
                    deadline = Some(Instant::now() + FAREWELL);
                    // as above
                    let _ = (asks_up.send(Ask::Stop), asks_down.send(Ask::Stop));
                    Ok(())
                }
                () = at(deadline) => return self.part(Some(Cause::CloseUnanswered)).await,
            };
            if let Err(abort) = ended {
                break Some(abort);
            }
            if running == [false; 2] {
                break None;
            }
        };
        match abort {
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
        }
    }

    /// Ends both legs in order, as far as they have not ended.
    async fn part(&self, cause: Option<Cause>) -> Option<Cause> {
        for stream in [&self.client, &self.server] {
            stream.shutdown().await;
        }
        cause
    }
}

/// Passes on that one side is gone without a word: the other one, if there is one, is reset too.
async fn abandon(leg: &Leg, abort: Abort, other: Option<&Socket>) -> Option<Cause> {
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
