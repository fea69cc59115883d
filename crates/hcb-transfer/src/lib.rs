//! Files to and from an S3 object store: in parts, checked, and continued where they were cut off.
//!
//! `layout` decides and does no IO: the parts of a file, the keys of a folder, where an object goes on disk.
//! `upload` and `download` do the work, `failure` says what went wrong and what helps.
//!
//! Below them: `client` connects, `requests` are the few of S3 that are needed, `credentials` is the usual chain
//! of AWS with its `profiles`, `sign` is Signature Version 4, `transport` is HTTP with time-outs and attempts.
//!
//! There is no SDK below, because hcb needs ten kinds of requests and the AWS SDK takes longer to build than
//! all else. `object_store` and `rusty-s3` send no checksums that the store confirms, and the providers of
//! `reqsign` know neither `source_profile` nor `sso_session`. The HTTP and TLS stack is that of kube.

pub mod checksum;
pub mod client;
mod credentials;
pub mod download;
pub mod environment;
pub mod failure;
pub mod layout;
mod profiles;
mod requests;
mod sign;
mod transport;
pub mod upload;
mod xml;

pub use client::{Client, Options};
pub use credentials::{Credentials, CredentialsError};
pub use environment::Environment;
pub use failure::Error;
pub use transport::{Lost, TrustError};

/// What follows a transfer while data moves, such as a progress bar.
pub trait Progress: Send + Sync {
    /// So many bytes more are where they should be. `sent` says whether they went over the network; bytes
    /// that were there already did not.
    fn advance(&self, bytes: u64, sent: bool);
}

/// How many requests with data are on their way at once. Each holds a part in memory.
pub(crate) const CONCURRENCY: usize = 4;
