//! The command line of `hcb`.

/// Compiling makes many small values on all cores and frees them on others, which takes a quarter of the time
/// with the allocator of glibc, and more with that of musl.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hcb::cli::main()
}
