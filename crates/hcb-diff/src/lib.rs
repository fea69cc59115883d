//! What a change will really do: two trees of manifests, compared by what applying the second does
//! where the first is applied.
//!
//! [`compare`] goes through pure steps: files of other bytes ([`read`]), which object is which
//! (`pair`), which fields differ ([`fields`]), what that does ([`impact`]), and the same change to many
//! objects told once (`fold`). What comes out is a [`Report`], which [`show`] shows. [`trace`] leads what
//! differs back to lines of a spec.

pub mod cause;
mod cloud;
mod compare;
mod context;
mod cost;
pub mod fields;
mod fold;
pub mod impact;
mod kinds;
mod pair;
mod pods;
pub mod read;
mod report;
pub mod show;
pub mod trace;
mod words;

pub use cause::{Cause, Causes};
pub use compare::compare;
pub use cost::{CostChange, CostRange};
pub use pair::Action;
pub use read::{Side, SpecPlace, Unreadable};
pub use report::{
    Change, ClusterChange, ClusterFacts, Counts, Field, Impact, Level, ObjectRef, Report,
};
