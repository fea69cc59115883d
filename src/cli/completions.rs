//! `hcb completions`.

use super::output::Outcome;
use super::show;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb completions bash > /etc/bash_completion.d/hcb\n  hcb completions zsh > \"${fpath[1]}/_hcb\"\n  hcb completions fish > ~/.config/fish/completions/hcb.fish"
)]
pub(super) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<Outcome> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "hcb", &mut text);
    show::data(&String::from_utf8_lossy(&text))?;
    Ok(Outcome::Ok)
}
