//! Rules on the kinds of the External Secrets Operator.

pub(super) mod secret_source;
