//! What the spec chooses from: one provider a file, one line in the file above it, one folder of templates.

pub mod autoscaling;
pub mod gitops;
pub mod mesh;
pub mod scheduling;
