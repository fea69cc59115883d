//! The tree's charts, certificates and remote secrets on real istiods, one for each cluster. `docs/mesh.md` says what this proves and what it does not.

mod control;
mod traffic;
