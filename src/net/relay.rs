//! The relay: takes connections, passes every byte on to a server and back as it came, and shows them.

use std::future::pending;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::net::{Shutdown, shutdown};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::borders::Borders;
use super::pump::{Abort, Ask, Leg, Pump, broken, is_temporary};
use super::registry::Inbox;
use super::server::{self, Server, Shared, stopped};
use super::session::READ_SIZE;
use super::upstream::{Rewriting, Rewritten, Upstream, rewrite};
use crate::capture::{Cause, Clock, ConnectionId, EventKind, Recorder, SentOn, SocketEnd, Vantage};
use crate::control::Commands;
use crate::wire::Side;
use crate::wire::handshake::{Head, HeadReader, Request};

/// How long the rest of a request's head may take, a connection to the server, and the beginning of its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long peers have for their part when a connection is taken down.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a relay is to do.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Where requests are sent on to.
    pub upstream: Upstream,
    /// What is changed in them.
    pub rewriting: Rewriting,
    /// Tells the time of what is recorded.
    pub clock: Clock,
}

/// Accepts connections on `listener` until it is stopped, and relays each. What crosses the client's socket goes to
/// `recorder`; what the user puts in comes from `commands`.
pub fn relay(listener: TcpListener, options: RelayOptions, recorder: Recorder, commands: Commands) -> Server {
    let clock = options.clock;
    let options = Arc::new(options);
    server::start(listener, (clock, recorder, Vantage::Beside), commands, move |id, client, inbox, shared| {
        run(id, client, inbox, shared, options.clone())
    })
}

async fn run(id: ConnectionId, client: TcpStream, mut inbox: Inbox, mut shared: Shared, options: Arc<RelayOptions>) {
    let leg = Leg::new(id, shared.clone());
    let mut stop = shared.stop.clone();
    let cause = tokio::select! {
        opened = open(&leg, &client, &options) => match opened {
            Ok(Some((server, sent))) => Relayed { leg: &leg, client, server }.run(sent, &mut inbox, &mut shared).await,
            Ok(None) => None,
            Err(abort) => abandon(&leg, abort, None).await,
        },
        () = stopped(&mut stop) => None,
    };
    leg.record(EventKind::Closed { cause }).await;
}

/// The request that opens a connection, as far as it can be found.
struct Opening {
    /// The head, and the bytes after it.
    head: Option<Head>,
    rest: Bytes,
}

/// Reads the request and makes the connection that it is sent on by; `None` where that can't be made, which has been
/// answered then.
async fn open(leg: &Leg, client: &TcpStream, options: &RelayOptions) -> Result<Option<(TcpStream, Sent)>, Abort> {
    let Opening { head, rest } = read_request(leg, client).await?;
    let connected = tokio::select! {
        connected = connect(&options.upstream) => connected,
        error = broken(client) => return Err(Abort::of(&error, Side::Client)),
    };
    let server = match connected {
        Ok(server) => server,
        Err(unreachable) => {
            answer(leg, client, unreachable).await;
            return Ok(None);
        }
    };
    // small frames go out at once; where that can't be set, they go out a little later
    let _ = server.set_nodelay(true);
    let Rewritten { bytes, lines } = match &head {
        Some(head) => rewrite(head, &options.upstream, options.rewriting),
        None => Rewritten { bytes: Vec::new(), lines: Vec::new() },
    };
    if let (Ok(from), Ok(to)) = (server.local_addr(), server.peer_addr()) {
        leg.record(EventKind::SentOn(Arc::new(SentOn { from, to, lines }))).await;
    }
    let upgrades = head.is_some_and(|head| Request::read(head).wants_upgrade());
    Ok(Some((server, Sent { head: bytes.into(), rest, upgrades })))
}

/// Reads up to the end of the head. Where there is none within its bounds, what came is passed on as it is.
async fn read_request(leg: &Leg, client: &TcpStream) -> Result<Opening, Abort> {
    let mut reader = HeadReader::default();
    let mut came = BytesMut::new();
    let mut deadline = None;
    loop {
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                // a browser may connect long before it asks for anything
                None => pending().await,
            }
        };
        tokio::select! {
            // an error shows again, and in full, in the read that follows
            _ = client.readable() => {}
            () = late => break,
        }
        let before = came.len();
        came.reserve(READ_SIZE);
        match client.try_read_buf(&mut came) {
            // whoever passes on what came reads this end once more
            Ok(0) => break,
            Ok(_) => {
                deadline.get_or_insert(Instant::now() + PATIENCE);
                leg.record_chunk(Side::Client, Bytes::copy_from_slice(&came[before..]), Vec::new()).await;
                let mut input = &came[before..];
                match reader.push(&mut input) {
                    Ok(None) => {}
                    Ok(Some(head)) => {
                        let rest = Bytes::copy_from_slice(input);
                        return Ok(Opening { head: Some(head), rest });
                    }
                    Err(_) => break,
                }
            }
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(Abort::of(&error, Side::Client)),
        }
    }
    Ok(Opening { head: None, rest: came.freeze() })
}

/// There is no server to send on to.
struct Unreachable {
    status: &'static str,
    sentence: String,
}

async fn connect(upstream: &Upstream) -> Result<TcpStream, Unreachable> {
    let connect = async {
        let addresses: Vec<_> = match lookup_host((upstream.host.as_str(), upstream.port)).await {
            Ok(addresses) => addresses.collect(),
            Err(_) => return Err(format!("The host of {upstream} was not found.")),
        };
        TcpStream::connect(&addresses[..]).await.map_err(|error| match error.kind() {
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
async fn answer(leg: &Leg, client: &TcpStream, Unreachable { status, sentence }: Unreachable) {
    let body = format!("{sentence}\n");
    let response = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
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
            match client.try_read_buf(&mut buffer) {
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
async fn end(leg: &Leg, stream: &TcpStream, from: Side) {
    leg.record(EventKind::Ended { from, how: SocketEnd::Fin }).await;
    // a peer that is gone already needs no end
    let _ = shutdown(stream, Shutdown::Write);
}

/// What has been sent on when both directions begin, or is about to be.
struct Sent {
    head: Bytes,
    rest: Bytes,
    /// A WebSocket was asked for.
    upgrades: bool,
}

/// A connection with both its legs.
struct Relayed<'a> {
    leg: &'a Leg,
    client: TcpStream,
    server: TcpStream,
}

impl Relayed<'_> {
    /// Relays until both directions have ended, or one side is gone, or the program ends.
    async fn run(self, sent: Sent, inbox: &mut Inbox, shared: &mut Shared) -> Option<Cause> {
        let Self { leg, client, server } = &self;
        let (asks_up, up) = mpsc::unbounded_channel();
        let (asks_down, down) = mpsc::unbounded_channel();
        let (frames, response, patience) = if sent.upgrades {
            (Borders::of_frames(), Borders::of_response(), Some(PATIENCE))
        } else {
            (Borders::none(), Borders::none(), None)
        };
        let up = Pump::new(leg, Side::Client, (client, server), frames, up).run(sent.head, sent.rest);
        let down = Pump::new(leg, Side::Server, (server, client), response, down)
            .with_patience(patience)
            .run(Bytes::new(), Bytes::new());
        tokio::pin!(up, down);
        let mut running = [true; 2];
        let mut deadline = None;
        let abort = loop {
            let late = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            let ended = tokio::select! {
                ended = &mut up, if running[0] => ended.map(|()| running[0] = false),
                ended = &mut down, if running[1] => ended.map(|()| running[1] = false),
                error = broken(client), if !running[0] => Err(Abort::of(&error, Side::Client)),
                error = broken(server), if !running[1] => Err(Abort::of(&error, Side::Server)),
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
                () = late => return self.part(Some(Cause::CloseUnanswered)),
            };
            if let Err(abort) = ended {
                break Some(abort);
            }
            if running == [false; 2] {
                break None;
            }
        };
        match abort {
            None => self.part(None),
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
    fn part(&self, cause: Option<Cause>) -> Option<Cause> {
        for stream in [&self.client, &self.server] {
            // a peer that is gone already needs no end
            let _ = shutdown(stream, Shutdown::Write);
        }
        cause
    }
}

/// Passes on that one side is gone without a word: the other one, if there is one, is reset too.
async fn abandon(leg: &Leg, abort: Abort, other: Option<&TcpStream>) -> Option<Cause> {
    if let Some(other) = other {
        // where that can't be set, it ends in order
        let _ = other.set_zero_linger();
    }
    match abort {
        Abort::Reset(from) => {
            leg.record(EventKind::Ended { from, how: SocketEnd::Reset }).await;
            None
        }
        Abort::Failed(_) | Abort::Silent => Some(Cause::SocketFailed),
    }
}
