//! Files to and from an S3 object store: in parts, checked, and taken up again where they were cut off.
//!
//! `layout` decides and does no IO: parts of a file, keys of a folder, where an object goes on disk.
//! `upload` and `download` do the work, `failure` says what went wrong and what helps.
//!
//! The client is the AWS SDK for Rust. `object_store` is lighter to build, but reads no profiles, cannot
//! list the parts of an unfinished upload, and so could not go on with one after hcb was killed.

pub mod checksum;
pub mod client;
pub mod download;
pub mod failure;
pub mod layout;
pub mod upload;

/// What is told while data moves.
pub trait Progress: Send + Sync {
    /// So many bytes more are where they should be. `sent` says whether they went over the network; bytes
    /// that were there already did not.
    fn advance(&self, bytes: u64, sent: bool);
}

/// How many requests with data are on their way at once. Each holds a part in memory.
pub const CONCURRENCY: usize = 4;
