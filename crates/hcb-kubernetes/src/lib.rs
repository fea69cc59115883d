//! What hcb knows of Kubernetes: the schemas of all kinds, a view of objects, quantities, durations, names, cron
//! schedules and images.

pub mod cron;
mod duration;
pub mod image;
pub mod names;
mod object;
mod quantity;
pub mod schema;
mod taint;

pub use duration::Seconds;
pub use object::{GroupKind, Identity, Object, group_and_version};
pub use quantity::Quantity;
pub use taint::{Taint, TaintEffect};
