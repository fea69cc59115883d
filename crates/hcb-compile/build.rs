//! Tells cargo about the folders that are embedded: it sees changed files by itself, not new ones.

fn main() {
    for folder in ["templates", "policies"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
