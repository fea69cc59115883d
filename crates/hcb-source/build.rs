//! Tells cargo about the folder that is embedded: it sees changed files by itself, not new ones.

fn main() {
    println!("cargo:rerun-if-changed=codes");
}
