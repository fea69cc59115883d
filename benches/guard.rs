//! Fails where hcb has become slower, by ratios and not by times, so that the machine hardly matters:
//!
//! ```sh
//! cargo bench --bench guard               # compare with benches/guard.json; exit 1 where one is too large
//! cargo bench --bench guard -- --update   # write what is measured there
//! ```
//!
//! Each ratio is the middle of several turns, with both of its sides measured one right after the other. Meant for
//! CI, on a machine that does nothing else; no test runs it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a table is what it makes"
)]
#![allow(dead_code, reason = "the comparison uses more of the module")]

#[path = "compare/fleet.rs"]
mod fleet;

use fleet::{Size, compile, copy, count, spread, write_spec};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const TURNS: usize = 7;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let is_there = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    // `cargo test --benches` only asks whether it builds.
    if !is_there("--bench") {
        return ExitCode::SUCCESS;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guard.json");
    let measured = measure();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| "{}".to_owned());
    let mut kept: Value = serde_json::from_str(&text).expect("JSON");
    if is_there("--update") {
        kept = json!({"tolerance": kept["tolerance"].as_f64().unwrap_or(1.5), "ratios": {}});
        for (name, ratio) in &measured {
            kept["ratios"][name] = ((ratio * 100.0).round() / 100.0).into();
        }
        std::fs::write(file, format!("{kept:#}\n")).expect("a file");
    }
    let Some(tolerance) = kept["tolerance"].as_f64() else {
        eprintln!("there is no benches/guard.json to compare with: write it with `--update`");
        return ExitCode::from(2);
    };
    let mut is_slower = false;
    for (name, ratio) in &measured {
        let before = kept["ratios"][name].as_f64().expect("a ratio of before");
        let is_too_large = *ratio > before * tolerance;
        is_slower |= is_too_large;
        let verdict = if is_too_large { "TOO LARGE" } else { "good" };
        println!("{name}: {ratio:.2}, was {before:.2}: {verdict}");
    }
    if is_slower {
        eprintln!("at least one ratio is more than {tolerance} times what it was");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure() -> Vec<(&'static str, f64)> {
    let memory = PathBuf::from("/dev/shm");
    let root = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    let folder = tempfile::Builder::new()
        .prefix("hcb-guard-")
        .tempdir_in(root)
        .expect("a folder");
    let spec = folder.path().join("spec");
    write_spec(&spec, Size::of(100, 10));
    let mut compiling = Vec::new();
    let mut checking = Vec::new();
    let mut holding = Vec::new();
    for turn in 0..TURNS {
        let out = folder.path().join(format!("out-{turn}"));
        let compiled = compile(&spec, &out, false);
        let copying = copy(&out, &folder.path().join(format!("copy-{turn}"))).as_secs_f64();
        let checked = compile(&spec, &out, true);
        compiling.push(compiled.ran.took.as_secs_f64() / copying);
        checking.push(checked.ran.took.as_secs_f64() / copying);
        holding.push(compiled.ran.peak as f64 / count(&out).1 as f64);
    }
    vec![
        (
            "time of `hcb compile` to that of `cp -r`",
            spread(compiling)[0],
        ),
        (
            "time of `hcb compile --check` to that of `cp -r`",
            spread(checking)[0],
        ),
        (
            "peak memory of `hcb compile` to the bytes written",
            spread(holding)[0],
        ),
    ]
}
