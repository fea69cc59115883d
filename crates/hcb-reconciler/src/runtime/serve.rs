//! What the reconciler says over HTTP: metrics and its health to everybody, its status to its own pod.

use super::connections::{self, Limits, Routes};
use super::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hcb_api::status::Status;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// A loop that did nothing for so long hangs. It goes round once a second by itself.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// Enough for a few who watch, and little of the memory that the Deployment grants.
const LIMITS: Limits = Limits {
    connections: 128,
    head: Duration::from_secs(5),
    connection: Duration::from_secs(10),
    buffer: 16 * 1024,
    headers: 64,
};

/// What is shared with those who ask.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) metrics: Metrics,
    state: Mutex<Health>,
}

#[derive(Debug)]
struct Health {
    looped: Instant,
    is_ready: bool,
    status: Option<Status>,
}

impl Default for Shared {
    fn default() -> Self {
        let health = Health {
            looped: Instant::now(),
            is_ready: false,
            status: None,
        };
        Self {
            metrics: Metrics::default(),
            state: Mutex::new(health),
        }
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The loop went round once more.
    pub(super) fn looped(&self, is_ready: bool) {
        self.change(|health| {
            health.looped = Instant::now();
            health.is_ready = is_ready;
        });
    }

    /// The status is this now.
    pub(super) fn set_status(&self, status: Status) {
        self.change(|health| health.status = Some(status));
    }
}

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    connections::serve(listener, routes(shared), LIMITS).await
}

/// The status has the names of all pods that wait, in all namespaces. Who may read it through the API server may forward
/// a port of the pod, or read the `ConfigMap`.
fn routes(shared: Arc<Shared>) -> Routes {
    let common = || {
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
    };
    Routes {
        everybody: common()
            .route("/status", get(not_for_everybody))
            .with_state(Arc::clone(&shared)),
        loopback: common().route("/status", get(status)).with_state(shared),
    }
}

async fn not_for_everybody() -> impl IntoResponse {
    (
        StatusCode::FORBIDDEN,
        "the status is served to the pod itself; forward its port, or read the ConfigMap hcb-status\n",
    )
}

async fn livez(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let looped = shared
        .state
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .looped;
    if looped.elapsed() < HANGS_AFTER {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        let seconds = looped.elapsed().as_secs();
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("nothing was decided for {seconds} s\n"),
        )
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let is_ready = shared
        .state
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_ready;
    if is_ready {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the source cluster is not known yet\n",
        )
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.text())
}

async fn status(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let status = shared
        .state
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .status
        .clone();
    let text = status.and_then(|status| serde_json::to_string(&status).ok());
    match text {
        Some(text) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/json")],
            text,
        ),
        None => (
            StatusCode::NOT_FOUND,
            [(header::CONTENT_TYPE, "text/plain")],
            String::new(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
    use tokio::runtime::Runtime;

    /// A server of the real routes. It ends when the runtime is dropped.
    fn start(limits: Limits) -> (Runtime, SocketAddr) {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("0.0.0.0:0"));
        let listener = listener.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let routes = routes(Arc::new(Shared::default()));
        runtime.spawn(connections::serve(listener, routes, limits));
        (runtime, SocketAddr::from(([127, 0, 0, 1], address.port())))
    }

    /// The first line of the answer to a request.
    fn ask(server: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(server).expect("a connection");
        let patience = Some(Duration::from_secs(5));
        stream.set_read_timeout(patience).expect("a time-out");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: any\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn is_open(stream: &mut TcpStream) -> bool {
        stream.set_nonblocking(true).expect("a socket");
        let read = stream.read(&mut [0; 64]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    #[test]
    fn thousands_of_clients_that_ask_for_nothing_keep_nobody_from_its_answer() {
        let (_runtime, server) = start(LIMITS);
        let mut silent = Vec::new();
        for number in 0..6_000 {
            let mut stream = TcpStream::connect(server).expect("a connection");
            // Half of them begin to ask. One that is closed already may say so.
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: ");
            }
            silent.push(stream);
            if number % 500 == 499 {
                // A kubelet gives a probe a second.
                let began = Instant::now();
                assert_eq!(ask(server, "/livez"), "HTTP/1.1 200 OK");
                assert!(began.elapsed() < Duration::from_secs(1));
                let open = silent
                    .iter_mut()
                    .filter_map(|one| is_open(one).then_some(()));
                assert!(open.count() <= LIMITS.connections);
                // A process may have so many descriptors.
                silent.drain(..silent.len() - LIMITS.connections);
            }
        }
    }

    #[test]
    fn a_client_that_takes_its_time_is_hung_up_on() {
        let limits = Limits {
            head: Duration::from_millis(200),
            ..LIMITS
        };
        let (_runtime, server) = start(limits);
        for begun in ["", "GET /metrics HTTP/1.1\r\n"] {
            let mut stream = TcpStream::connect(server).expect("a connection");
            stream.write_all(begun.as_bytes()).expect("a start");
            let patience = Some(Duration::from_secs(5));
            stream.set_read_timeout(patience).expect("a time-out");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("the end");
            assert!(!answer.contains("200 OK"), "{begun:?}: {answer}");
        }
    }

    #[test]
    fn a_request_of_any_size_is_not_kept() {
        let (_runtime, server) = start(LIMITS);
        for head in [
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(LIMITS.buffer * 4)),
            format!(
                "GET /livez HTTP/1.1\r\n{}\r\n",
                "a: b\r\n".repeat(LIMITS.headers + 1)
            ),
        ] {
            let mut stream = TcpStream::connect(server).expect("a connection");
            // It may be closed before all is said.
            let _ = stream.write_all(head.as_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            assert!(!answer.contains("200 OK"), "{answer}");
        }
        assert_eq!(ask(server, "/livez"), "HTTP/1.1 200 OK");
    }

    #[test]
    fn the_status_is_for_the_pod_itself_and_health_for_everybody() {
        let (_runtime, server) = start(LIMITS);
        // There is none yet.
        assert_eq!(ask(server, "/status"), "HTTP/1.1 404 Not Found");
        // An address by which others reach this machine. Nothing is sent to find it.
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        let found = socket
            .connect("192.0.2.1:9")
            .and_then(|()| socket.local_addr());
        let of_others = found.map(|address| address.ip()).ok();
        let Some(of_others) = of_others.filter(|address: &IpAddr| !address.is_loopback()) else {
            let said = "SKIPPED: this machine has no address but loopback";
            writeln!(io::stderr(), "{said}").expect("standard error");
            return;
        };
        let server = SocketAddr::new(of_others, server.port());
        assert_eq!(ask(server, "/status"), "HTTP/1.1 403 Forbidden");
        assert_eq!(ask(server, "/livez"), "HTTP/1.1 200 OK");
        assert_eq!(ask(server, "/metrics"), "HTTP/1.1 200 OK");
        assert_eq!(ask(server, "/readyz"), "HTTP/1.1 503 Service Unavailable");
    }
}
