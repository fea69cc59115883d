//! One declarative hybrid-cloud spec in, reviewed GitOps manifests out.
