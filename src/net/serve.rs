//! The server: accepts connections and runs an endpoint on each.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::registry::{Inbox, Registry};
use super::session;
use crate::capture::{Clock, ConnectionId, Event, EventKind, Recorder, Vantage};
use crate::control::Command;
use crate::endpoint::Config;
use crate::wire::Side;

/// Connections at once; more wait in the listening queue.
const MAX_CONNECTIONS: usize = 10_000;
/// The wait after a connection could not be accepted, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server is to do.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// How each connection's endpoint behaves.
    pub endpoint: Arc<Config>,
    /// Tells the time of what is recorded.
    pub clock: Clock,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    tasks: tokio::task::JoinHandle<()>,
}

/// What every connection shares.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) options: Arc<ServeOptions>,
    pub(super) recorder: Recorder,
    pub(super) registry: Arc<Registry>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Accepts connections on `listener` until it is stopped. What crosses them goes to `recorder`; what the user asks for
/// comes from `commands`.
pub fn serve(
    listener: TcpListener,
    options: ServeOptions,
    recorder: Recorder,
    commands: mpsc::UnboundedReceiver<Command>,
) -> Server {
    let (stop, stopped) = watch::channel(false);
    let shared = Shared { options: Arc::new(options), recorder, registry: Arc::default(), stop: stopped };
    Server { stop, tasks: tokio::spawn(run(listener, shared, commands)) }
}

impl Server {
    /// Closes every connection with 1001 and waits until all are over, for as long as the endpoints allow.
    pub async fn stop(self) {
        // without a receiver the server is over already
        let _ = self.stop.send(true);
        let _ = self.tasks.await;
    }
}

async fn run(listener: TcpListener, shared: Shared, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut sessions = JoinSet::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut last = 0;
    let mut stop = shared.stop.clone();
    loop {
        tokio::select! {
            accepted = accept(&listener, &room) => {
                let Some((stream, client, permit)) = accepted else { continue };
                let Ok(server) = stream.local_addr() else { continue };
                last += 1;
                let id = ConnectionId(last);
                // here and in order: connections are numbered as they are recorded
                let time = shared.options.clock.now();
                let vantage = Vantage::End(Side::Server);
                shared.recorder.record(Event { connection: id, time, kind: EventKind::Opened { client, server, vantage } }).await;
                let inbox = shared.registry.join(id);
                let session = start(id, stream, inbox, shared.clone());
                sessions.spawn(async move {
                    session.await;
                    drop(permit);
                });
            }
            Some(Command { connection, send }) = commands.recv() => shared.registry.send(connection, send),
            Some(_) = sessions.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// Waits until the server is told to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // without a sender the server has been dropped, which stops it too
    let _ = stop.wait_for(|stop| *stop).await.map(|_| ());
}

fn start(id: ConnectionId, stream: TcpStream, inbox: Inbox, shared: Shared) -> impl Future<Output = ()> {
    // small frames go out at once; where that can't be set, they go out a little later
    let _ = stream.set_nodelay(true);
    session::run(id, stream, inbox, shared, Instant::now())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    // the semaphore is never closed
    let permit = room.clone().acquire_owned().await.ok()?;
    if let Ok((stream, client)) = listener.accept().await {
        return Some((stream, client, permit));
    }
    tokio::time::sleep(ACCEPT_PAUSE).await;
    None
}
