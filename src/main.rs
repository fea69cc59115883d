//! The command line of `hcb`.
fn main() {}
