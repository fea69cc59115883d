//! What the reconciler says over HTTP: metrics, its health, and its status.

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
    let routes = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(shared);
    axum::serve(listener, routes).await
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
