//! Free ports, never the same for two test processes at once.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::net::TcpListener;

/// Below the range that Linux takes ports of outgoing connections from, and above what is well known.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that is this process's as long as this lives.
#[derive(Debug)]
pub struct Port {
    /// The number.
    pub number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a free one. A server cannot be handed an open socket, so the number is held by a
    /// lock that every testbed of the machine respects.
    ///
    /// # Errors
    /// Where there is none, or the cache cannot be written.
    pub fn reserve() -> Result<Self> {
        let folder = crate::tools::cache()?.join("ports");
        fs::create_dir_all(&folder)?;
        for _ in 0..1000 {
            let number = rand::random_range(RANGE);
            let lock = File::create(folder.join(number.to_string()))?;
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Ok(Self {
                    number,
                    _lock: lock,
                });
            }
        }
        None.context("no free port")
    }
}
