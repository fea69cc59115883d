//! The spec of hcb: its documents, and what they mean.
//!
//! [`spec`] has the documents as they are written, [`model`] what they mean once everything is checked and
//! resolved. The settings of what can be chosen stand beside the checks of them: `provider`, `mesh`, `gitops`.

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

#[cfg(test)]
mod tests {
    use crate::spec::{GitOpsEngine, MeshEngine, SchedulingEngine};
    use schemars::{JsonSchema, schema_for};

    /// How many values the schema of a choice has.
    fn choices<T: JsonSchema>() -> usize {
        let schema = schema_for!(T);
        let values = schema.get("oneOf").and_then(|values| values.as_array());
        values.expect("a choice").len()
    }

    #[test]
    fn the_lists_of_what_can_be_chosen_are_complete() {
        assert_eq!(GitOpsEngine::ALL.len(), choices::<GitOpsEngine>());
        assert_eq!(MeshEngine::ALL.len(), choices::<MeshEngine>());
        assert_eq!(SchedulingEngine::ALL.len(), choices::<SchedulingEngine>());
    }
}
