//! What every listener shares: connections accepted in order, a task for each, all of them told to stop together.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::registry::{Inbox, Registry};
use super::socket::Socket;
use super::tls::ServerTls;
use crate::capture::{Clock, ConnectionId, Event, EventKind, Recorder, SocketEnd, Vantage};
use crate::control::Commands;
use crate::wire::Side;

/// The wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that are being refused at once; more are dropped without a word.
const MAX_REFUSALS: usize = 64;
/// How long one that is refused has to ask, and again to go.
const REFUSAL: Duration = Duration::from_secs(1);

/// A running server or relay.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    tasks: tokio::task::JoinHandle<()>,
}

/// What every connection shares.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// Tells the time of what is recorded.
    pub(super) clock: Clock,
    /// From where its connections are seen.
    vantage: Vantage,
    pub(super) recorder: Recorder,
    pub(super) registry: Arc<Registry>,
    pub(super) stop: watch::Receiver<bool>,
    /// How clients speak TLS, if they may.
    tls: Option<Arc<ServerTls>>,
}

/// How connections come in.
pub(super) struct Entrance {
    pub(super) listener: TcpListener,
    /// Clients may speak TLS, by this.
    pub(super) tls: Option<ServerTls>,
    pub(super) max_connections: usize,
    /// From where they are seen.
    pub(super) vantage: Vantage,
    pub(super) clock: Clock,
    pub(super) recorder: Recorder,
}

/// Accepts connections until it is stopped, and runs a `session` on each. What the user asks for comes from `commands`.
pub(super) fn start<S: Future<Output = ()> + Send + 'static>(
    entrance: Entrance,
    commands: Commands,
    session: impl Fn(ConnectionId, Socket, Inbox, Shared) -> S + Send + Sync + 'static,
) -> Server {
    let Entrance { listener, tls, max_connections, vantage, clock, recorder } = entrance;
    let (stop, stopped) = watch::channel(false);
    let shared = Shared { tls: tls.map(Arc::new), ..Shared::new(clock, vantage, recorder, stopped) };
    Server { stop, tasks: tokio::spawn(run(Door::new(listener, max_connections), shared, commands, Arc::new(session))) }
}

impl Shared {
    pub(super) fn new(clock: Clock, vantage: Vantage, recorder: Recorder, stop: watch::Receiver<bool>) -> Self {
        Self { clock, vantage, recorder, registry: Arc::default(), stop, tls: None }
    }

    /// Carries out the handshake of TLS with a client that begins one, and tells of it. None if nothing comes of it, or
    /// the server is told to stop.
    async fn greet(&self, id: ConnectionId, stream: TcpStream) -> Option<Socket> {
        let Some(tls) = &self.tls else { return Some(Socket::Plain(stream)) };
        let mut stop = self.stop.clone();
        let greeted = tokio::select! {
            greeted = tls.greet(stream) => greeted,
            () = stopped(&mut stop) => return None,
        };
        match greeted {
            Ok(socket) => {
                self.tell_tls(id, Side::Client, &socket, tls.take_secrets()).await;
                Some(socket)
            }
            Err(error) => {
                self.record(id, EventKind::NoTls(error.sentence().into())).await;
                None
            }
        }
    }

    /// Tells what was agreed on with the peer on that side, if that is TLS.
    pub(super) async fn tell_tls(&self, id: ConnectionId, with: Side, socket: &Socket, secrets: String) {
        if !secrets.is_empty() {
            self.record(id, EventKind::Secrets(secrets.into())).await;
        }
        if let Some(tls) = socket.tls() {
            self.record(id, EventKind::Tls { with, tls: tls.clone() }).await;
        }
    }

    pub(super) async fn record(&self, connection: ConnectionId, kind: EventKind) {
        self.recorder.record(Event { connection, time: self.clock.now(), kind }).await;
    }
}

impl Server {
    /// Closes every connection with 1001 and waits until all are over, for as long as that may take.
    pub async fn stop(self) {
        // without a receiver the server is over already
        let _ = self.stop.send(true);
        let _ = self.tasks.await;
    }
}

async fn run<S: Future<Output = ()> + Send + 'static>(
    mut door: Door,
    shared: Shared,
    mut commands: Commands,
    session: Arc<impl Fn(ConnectionId, Socket, Inbox, Shared) -> S + Send + Sync + 'static>,
) {
    let mut sessions = JoinSet::new();
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let mut last = 0;
    let mut stop = shared.stop.clone();
    loop {
        tokio::select! {
            accepted = door.accept() => {
                let Some(Accepted { stream, client, admitted }) = accepted else { continue };
                let Ok(server) = stream.local_addr() else { continue };
                last += 1;
                let id = ConnectionId(last);
                // here and in order: connections are numbered as they are recorded
                shared.record(id, EventKind::Opened { client, server, vantage: shared.vantage }).await;
                // small frames go out at once; where that can't be set, they go out a little later
                let _ = stream.set_nodelay(true);
                match admitted {
                    Ok(permit) => {
                        let inbox = shared.registry.join(id);
                        let (shared, session) = (shared.clone(), session.clone());
                        sessions.spawn(async move {
                            match shared.greet(id, stream).await {
                                Some(socket) => session(id, socket, inbox, shared).await,
                                None => shared.record(id, EventKind::Closed { cause: None }).await,
                            }
                            drop(permit);
                        });
                    }
                    Err(sentence) => {
                        let (shared, permit) = (shared.clone(), refusals.clone().try_acquire_owned());
                        sessions.spawn(async move {
                            if permit.is_ok()
                                && let Some(socket) = shared.greet(id, stream).await
                            {
                                refuse(id, &socket, &shared, &sentence).await;
                            }
                            shared.record(id, EventKind::Closed { cause: None }).await;
                        });
                    }
                }
            }
            Some(command) = commands.recv() => shared.registry.send(command),
            Some(_) = sessions.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(door);
    while sessions.join_next().await.is_some() {}
}

/// Waits until the server is told to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // without a sender the server has been dropped, which stops it too
    let _ = stop.wait_for(|stop| *stop).await.map(|_| ());
}

/// Where connections come in, as many as may be there at once.
struct Door {
    listener: TcpListener,
    room: Arc<Semaphore>,
    max_connections: usize,
    /// A file descriptor that is given up to tell somebody that there are none left.
    reserve: Option<File>,
}

/// A connection, and whether it may stay.
struct Accepted {
    stream: TcpStream,
    client: SocketAddr,
    /// Its place among all; or why there is none, in a sentence.
    admitted: Result<OwnedSemaphorePermit, String>,
}

impl Door {
    fn new(listener: TcpListener, max_connections: usize) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(max_connections)), max_connections, reserve: None }
    }

    async fn accept(&mut self) -> Option<Accepted> {
        if self.reserve.is_none() {
            self.reserve = File::open("/dev/null").ok();
        }
        let full = match self.listener.accept().await {
            Ok((stream, client)) => {
                let admitted = self.room.clone().try_acquire_owned().map_err(|_| {
                    format!(
                        "There are {} connections already, as many as --max-connections allows.",
                        self.max_connections
                    )
                });
                return Some(Accepted { stream, client, admitted });
            }
            // without a descriptor the system says so also where nobody waits
            Err(error) => no_descriptors(&error) && is_anybody_waiting(&self.listener),
        };
        // at once, lest a session take the descriptor that becomes free
        if full
            && self.reserve.take().is_some()
            && let Poll::Ready(Ok((stream, client))) =
                poll_fn(|context| Poll::Ready(self.listener.poll_accept(context))).await
        {
            return Some(Accepted { stream, client, admitted: Err(NO_DESCRIPTORS.to_owned()) });
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
        None
    }
}

fn is_anybody_waiting(listener: &TcpListener) -> bool {
    let mut listener = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// What is said where the system gives this process no more file descriptors.
pub(super) const NO_DESCRIPTORS: &str = "There are no file descriptors left for another connection; see ulimit -n.";

/// Whether that is what an error comes from.
pub(super) fn no_descriptors(error: &io::Error) -> bool {
    let error = error.raw_os_error();
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|full| error == Some(full.raw_os_error()))
}

/// Tells a client that there is no room for it, once it has asked for something.
async fn refuse(id: ConnectionId, stream: &Socket, shared: &Shared, sentence: &str) {
    let response = Bytes::from(response("503 Service Unavailable", sentence));
    let mut answered = false;
    let mut stop = shared.stop.clone();
    loop {
        let late = tokio::select! {
            readable = timeout(REFUSAL, stream.readable()) => readable.is_err(),
            () = stopped(&mut stop) => return,
        };
        // it has had its time to go
        if late && answered {
            return;
        }
        let mut buffer = BytesMut::with_capacity(4096);
        let ended = match stream.read_some(&mut buffer) {
            Ok(0) => true,
            Ok(_) => {
                let chunk = EventKind::Chunk { from: Side::Client, bytes: buffer.freeze(), notes: Vec::new() };
                shared.record(id, chunk).await;
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && late => false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        if ended {
            shared.record(id, EventKind::Ended { from: Side::Client, how: SocketEnd::Fin }).await;
        }
        if !answered {
            answered = true;
            // a client that takes nothing is not waited for
            if stream.try_write(&response).is_ok() {
                let chunk = EventKind::Chunk { from: Side::Server, bytes: response.clone(), notes: Vec::new() };
                shared.record(id, chunk).await;
            }
            shared.record(id, EventKind::Ended { from: Side::Server, how: SocketEnd::Fin }).await;
            stream.shutdown().await;
        }
        if ended {
            return;
        }
    }
}

/// A response of our own that says in a sentence why nothing came of a request.
pub(super) fn response(status: &str, sentence: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Length: {}\r\n\r\n{sentence}\n",
        sentence.len() + 1
    )
}
