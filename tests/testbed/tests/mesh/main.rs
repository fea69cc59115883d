//! The mesh as real istiods see it: the tree's charts, certificates and remote secrets, with one istiod for
//! each cluster. `docs/mesh.md` says what this proves and what it does not.

mod control;
mod traffic;
