//! `hcb status`.

use super::access::{Access, ask, span, time};
use super::output::{Format, Outcome, OutputStyle};
use super::show;
use super::source_cluster::read_status;
use anyhow::{Context, bail};
use comfy_table::{CellAlignment, Table};
use hcb_api::names::SYSTEM_NAMESPACE;

use hcb_api::status::{ClusterStatus, Cost, Status};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

/// A status that is older says that nobody writes it any more.
const STALE_AFTER: i64 = 60;
/// How often it is drawn anew.
const EVERY: Duration = Duration::from_secs(2);
/// The width of the bars, in cells.
const BAR: usize = 20;

/// Show what the reconciler sees: clusters, tiers, pods that wait and why, and what bursting costs.
///
/// Exit 1 if the status is old: no reconciler runs.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb status                          once\n  hcb status --watch                  live, until Ctrl-C\n  hcb status --context private        of another context of the kubeconfig\n  hcb status --format json            for a program"
)]
pub(super) struct Args {
    #[command(flatten)]
    access: Access,
    /// The namespace of the reconciler.
    #[arg(long, short, value_name = "NAME", default_value = SYSTEM_NAMESPACE)]
    namespace: String,
    /// Redraw every two seconds.
    #[arg(long, short)]
    watch: bool,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    ask(async {
        let client = args.access.client().await?;
        let maps: Api<ConfigMap> = Api::namespaced(client, &args.namespace);
        loop {
            let status = read_status(&maps)
                .await
                .context("the status of the reconciler")?;
            let Some(status) = status else {
                bail!(
                    "there is no status in the namespace {}: no reconciler has run in this cluster; is it the source cluster?",
                    args.namespace
                );
            };
            let now = Timestamp::now();
            let is_stale = status.at.duration_until(now).as_secs() > STALE_AFTER;
            match style.format {
                Format::Json => show::json_data(&serde_json::to_value(&status)?)?,
                Format::Text => {
                    let is_terminal = std::io::stdout().is_terminal();
                    // Home, and away with what was there.
                    let clear = if args.watch && is_terminal {
                        "\x1b[H\x1b[J"
                    } else {
                        ""
                    };
                    show::data(&format!("{clear}{}", drawn(&status, now)))?;
                }
            }
            if !args.watch {
                return Ok(if is_stale {
                    Outcome::Findings
                } else {
                    Outcome::Ok
                });
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}

fn drawn(status: &Status, now: Timestamp) -> String {
    let mut text = String::new();
    let age = status.at.duration_until(now).as_secs();
    let _ = write!(
        text,
        "{} at {} UTC, by {}",
        status.cloud,
        time(status.at, now),
        status.leader
    );
    if age > STALE_AFTER {
        let _ = write!(
            text,
            "\nthis is {} old: no reconciler seems to run",
            span(status.at, now)
        );
    }
    let _ = writeln!(text, "\n\n{}\n", clusters(&status.clusters));
    for cluster in &status.clusters {
        if !cluster.unknown_nodes.is_empty() {
            let _ = writeln!(
                text,
                "{} has nodes of no pool of the spec, which count as its dearest: {}",
                cluster.name,
                cluster.unknown_nodes.join(", ")
            );
        }
    }
    for tier in &status.tiers {
        let state = if tier.state.is_open { "open" } else { "closed" };
        let since = tier
            .state
            .since
            .map(|since| format!(" since {}", time(since, now)));
        let _ = writeln!(
            text,
            "tier {}: {state}{}",
            tier.name,
            since.unwrap_or_default()
        );
    }
    let _ = writeln!(text, "{}", cost(&status.cost));
    let total: usize = status.waiting.values().sum();
    if total == 0 {
        text.push_str("no pod waits\n");
        return text;
    }
    let counts: Vec<_> = status
        .waiting
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let _ = writeln!(
        text,
        "{} wait: {}\n",
        show::count(total, "pod"),
        counts.join(", ")
    );
    let mut table = show::table();
    table.set_header(["JOB", "NAMESPACE", "WAITS", "WHY"]);
    for pod in &status.longest {
        table.add_row([
            pod.job.clone().unwrap_or_else(|| pod.name.clone()),
            pod.namespace.clone(),
            span(pod.since, now),
            pod.explanation.why.clone(),
        ]);
    }
    let _ = writeln!(text, "{table}");
    if total > status.longest.len() {
        let _ = writeln!(text, "and {} more", total - status.longest.len());
    }
    text
}

fn clusters(clusters: &[ClusterStatus]) -> Table {
    let mut table = show::table();
    table.set_header([
        "CLUSTER",
        "TIER",
        "CPUS IN USE",
        "OF",
        "NODES",
        "RUN",
        "COME",
        "WEIGHT",
        "COST/H",
    ]);
    for cluster in clusters {
        let (bar, all) = if cluster.seen {
            (
                bar(cluster.used),
                cluster
                    .allocatable
                    .get("cpu")
                    .cloned()
                    .unwrap_or_else(|| "0".to_owned()),
            )
        } else {
            ("cannot be seen".to_owned(), String::new())
        };
        let weight = match cluster.weight.weight {
            _ if cluster.drain => "drained".to_owned(),
            live if (live - f64::from(cluster.spec_weight)).abs() < 0.005 => {
                cluster.spec_weight.to_string()
            }
            live => format!("{live:.2} ({})", cluster.spec_weight),
        };
        table.add_row([
            cluster.name.clone(),
            cluster.tier.clone(),
            bar,
            all,
            cluster.nodes.to_string(),
            cluster.running.to_string(),
            cluster.coming.to_string(),
            weight,
            if cluster.hourly_cost > 0.0 {
                format!("{:.2}", cluster.hourly_cost)
            } else {
                String::new()
            },
        ]);
    }
    for index in [3, 4, 5, 6, 8] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn bar(share: f64) -> String {
    let cells = 0..BAR;
    let filled = cells
        .filter(|cell| (*cell as f64 + 0.5) / BAR as f64 <= share)
        .count();
    format!(
        "{}{} {:>3.0}%",
        "█".repeat(filled),
        "░".repeat(BAR - filled),
        share * 100.0
    )
}

fn cost(cost: &Cost) -> String {
    let currency = cost.currency.as_deref().unwrap_or("(no currency)");
    let of = |limit: Option<f64>| {
        limit
            .map(|limit| format!(" of {limit:.2}"))
            .unwrap_or_default()
    };
    if cost.currency.is_none() && cost.hour == 0.0 && cost.month == 0.0 {
        return "bursting costs nothing now; there is no budget".to_owned();
    }
    format!(
        "bursting costs {:.2}{} {currency} an hour; {:.2}{} this month, {:.2} by its end if it goes on so",
        cost.hour,
        of(cost.hour_limit),
        cost.month,
        of(cost.month_limit),
        cost.forecast
    )
}
