//! The ML platform as users see it: upload, training and download, on real API servers, with
//! Admiralty between them, a real S3 server, and the training program of the example itself.

mod following;
mod person;
mod pods;
mod training;
mod transfers;

use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;

const SOON: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "ml";
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/seed")
}
