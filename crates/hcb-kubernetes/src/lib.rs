//! What Kubernetes says of itself: schemas of all kinds, quantities, durations, names, cron schedules and
//! images.

pub mod cron;
pub mod duration;
pub mod image;
pub mod names;
pub mod quantity;
pub mod schema;
pub mod taint;

pub use duration::Seconds;
pub use quantity::Quantity;
pub use taint::{Taint, TaintEffect};
