//! What every listener shares: connections accepted in order, a task for each, all of them told to stop together.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::registry::{Inbox, Registry};
use crate::capture::{Clock, ConnectionId, Event, EventKind, Recorder, Vantage};
use crate::control::Commands;

/// Connections at once; more wait in the listening queue.
const MAX_CONNECTIONS: usize = 10_000;
/// The wait after a connection could not be accepted, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
}

/// Accepts connections on `listener` until it is stopped, and runs a `session` on each. What the user asks for comes from
/// `commands`.
pub(super) fn start<S: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    (clock, recorder, vantage): (Clock, Recorder, Vantage),
    commands: Commands,
    session: impl Fn(ConnectionId, TcpStream, Inbox, Shared) -> S + Send + 'static,
) -> Server {
    let (stop, stopped) = watch::channel(false);
    let shared = Shared { clock, vantage, recorder, registry: Arc::default(), stop: stopped };
    Server { stop, tasks: tokio::spawn(run(listener, shared, commands, session)) }
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
    listener: TcpListener,
    shared: Shared,
    mut commands: Commands,
    session: impl Fn(ConnectionId, TcpStream, Inbox, Shared) -> S,
) {
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
                let time = shared.clock.now();
                shared.recorder.record(Event { connection: id, time, kind: EventKind::Opened { client, server, vantage: shared.vantage } }).await;
                // small frames go out at once; where that can't be set, they go out a little later
                let _ = stream.set_nodelay(true);
                let session = session(id, stream, shared.registry.join(id), shared.clone());
                sessions.spawn(async move {
                    session.await;
                    drop(permit);
                });
            }
            Some(command) = commands.recv() => shared.registry.send(command),
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
