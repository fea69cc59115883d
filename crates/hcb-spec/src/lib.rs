//! The spec of hcb: its documents, and what they mean.
//!
//! [`spec`] has the documents as they are written, [`model`] what they mean once everything is checked and
//! resolved. The settings of what can be chosen stand beside the checks of them: `provider`, `mesh`, `gitops`.

mod choice;
mod defaults;
mod findings;
mod gitops;
mod mesh;
pub mod model;
mod place;
mod provider;
mod quantity;
mod scheduling;
pub mod spec;
mod validate;

pub use mesh::istio;
pub use scheduling::admiralty;
pub use validate::validate;
