//! Rules on what Admiralty goes by.

pub(super) mod gate;
pub(super) mod namespace;
pub(super) mod project;
