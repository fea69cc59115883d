//! The command line of `hcb`.

fn main() -> std::process::ExitCode {
    hcb::cli::main()
}
