//! What rules know of the kinds of one project, as data.

use hcb_kubernetes::GroupKind;

/// The keys to a field.
pub(super) type Keys = &'static [&'static str];

/// The kinds of a project, such as Kubernetes itself or Karpenter.
#[derive(Debug)]
pub(crate) struct Project {
    /// Fields that cannot change once the object is there: the API server or a controller refuses it.
    pub(crate) immutable: &'static [(GroupKind<'static>, &'static [Keys])],
    /// What is lost with an object that is deleted, where that is more than the object.
    pub(crate) deleted: &'static [(GroupKind<'static>, &'static str)],
}
