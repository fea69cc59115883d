//! A TCP proxy that counts what passes, and cuts all connections when it is told to.

use crate::ports::Port;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy that runs until this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Its URL.
    pub url: String,
    state: Arc<State>,
    open: watch::Sender<bool>,
    _port: Port,
}

#[derive(Debug)]
struct State {
    /// Bytes from clients to the server.
    up: AtomicU64,
    /// Bytes from the server to clients.
    down: AtomicU64,
    /// After so many bytes in either direction, it cuts by itself.
    limit: AtomicU64,
    target: u16,
}

impl Proxy {
    /// Starts one to a port of this machine.
    ///
    /// # Errors
    /// Where there is no port.
    pub async fn start(target: u16) -> Result<Self> {
        let port = Port::reserve()?;
        let listener = TcpListener::bind(("127.0.0.1", port.number)).await?;
        let state = Arc::new(State {
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            target,
        });
        let (open, is_open) = watch::channel(true);
        let (shared, switch) = (Arc::clone(&state), open.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *is_open.borrow() {
                    tokio::spawn(carry(client, Arc::clone(&shared), switch.clone()));
                }
            }
        });
        Ok(Self {
            url: format!("http://127.0.0.1:{}", port.number),
            state,
            open,
            _port: port,
        })
    }

    /// Lets connections through, from now on until so many bytes passed in one direction.
    pub fn open_for(&self, bytes: u64) {
        self.state.up.store(0, Ordering::SeqCst);
        self.state.down.store(0, Ordering::SeqCst);
        self.state.limit.store(bytes, Ordering::SeqCst);
        self.open.send_replace(true);
    }

    /// Bytes from clients to the server since it was opened.
    pub fn up(&self) -> u64 {
        self.state.up.load(Ordering::SeqCst)
    }

    /// Bytes from the server to clients since it was opened.
    pub fn down(&self) -> u64 {
        self.state.down.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, state: Arc<State>, open: watch::Sender<bool>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", state.target)).await else {
        return;
    };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let mut is_open = open.subscribe();
    // What is not carried is dropped, which cuts both connections.
    tokio::select! {
        () = pump(client_in, server_out, &state.up, &state, &open) => {}
        () = pump(server_in, client_out, &state.down, &state, &open) => {}
        _ = is_open.wait_for(|is_open| !is_open) => {}
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    count: &AtomicU64,
    state: &State,
    open: &watch::Sender<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        let passed = count.fetch_add(read as u64, Ordering::SeqCst) + read as u64;
        if passed > state.limit.load(Ordering::SeqCst) {
            open.send_replace(false);
            return;
        }
    }
}
