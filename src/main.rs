//! The command line of `hcb`.

/// Compiling makes many small values on all cores and frees them on others, which this one does faster than the
/// allocator of glibc. The reconciler, which runs for weeks, tells it to hold on to nothing (in its Deployment).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hcb::cli::main()
}
