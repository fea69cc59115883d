//! An HTTP server that no client can make large or slow: a bounded number of connections, of bounded size and age.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How long nothing is accepted after the machine refused to, which it does where it has no descriptors left.
const BREATH: Duration = Duration::from_millis(100);

/// Connections that the machine keeps until they are accepted. With the usual 128 a crowd makes others wait for a second,
/// which is all that a kubelet grants to a probe.
const BACKLOG: i32 = 4096;

/// What clients are granted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at a time. For one more, the oldest is closed: whoever asks is answered within milliseconds, so the
    /// oldest are those that ask for nothing.
    pub(super) connections: usize,
    /// How long a client may take for the head of its request.
    pub(super) head: Duration,
    /// How long a connection may last. It serves one request.
    pub(super) connection: Duration,
    /// What a connection may keep of a request, in bytes. Bodies are not read.
    pub(super) buffer: usize,
    /// The headers of a request.
    pub(super) headers: usize,
}

/// Who is asking, for what is not for everybody.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    /// What is served to everybody.
    pub(super) everybody: Router,
    /// What is served to the machine itself.
    pub(super) loopback: Router,
}

/// Serves until it is dropped.
///
/// # Errors
/// Where the listener does not listen.
pub(super) async fn serve(listener: TcpListener, routes: Routes, limits: Limits) -> io::Result<()> {
    let address = listener.local_addr()?;
    // On a socket that listens already this changes nothing else.
    SockRef::from(&listener).listen(BACKLOG)?;
    let mut tasks = JoinSet::new();
    // Oldest first.
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, %address, "a connection was not accepted");
                sleep(BREATH).await;
                continue;
            }
        };
        while tasks.try_join_next().is_some() {}
        open.retain(|connection| !connection.is_finished());
        while tasks.len() >= limits.connections {
            if let Some(oldest) = open.pop_front() {
                oldest.abort();
            }
            tasks.join_next().await;
        }
        let routes = if is_loopback(&stream, peer) {
            &routes.loopback
        } else {
            &routes.everybody
        };
        open.push_back(tasks.spawn(converse(stream, routes.clone(), limits)));
    }
}

/// Whether a connection comes from this machine, or from this pod. What a proxy passes on from elsewhere comes from
/// loopback as well, and goes to an address that is not.
fn is_loopback(stream: &TcpStream, peer: SocketAddr) -> bool {
    let is = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    is(peer) && stream.local_addr().is_ok_and(is)
}

/// Answers one request.
async fn converse(stream: TcpStream, routes: Router, limits: Limits) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.buffer)
        .max_headers(limits.headers)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match timeout(limits.connection, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection broke"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}
