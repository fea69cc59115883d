//! What runs the core on clusters with any engine: watches, the loop, changes, the Lease, Events, metrics.

mod act;
pub mod clock;
pub mod config_file;
pub mod connect;
mod connections;
mod events;
mod lease;
pub mod metrics;
pub mod open_if_down;
pub mod run;
mod serve;
pub mod start;
mod unstick;
mod watch;
