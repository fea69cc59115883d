//! `hcb list`.

use super::input::Input;
use super::output::{Format, Outcome, OutputStyle};
use super::show;
use hcb_compile::compile::Output;
use hcb_source::source::Sources;
use serde_json::{Value, json};

/// List what a spec compiles to: every manifest and chart, with the line of the spec behind it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb list                             everything, as a table\n  hcb list --cluster private           what one cluster gets\n  hcb list --kind Job                  objects of one kind\n  hcb list --format json               for a program"
)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// Only what this cluster gets.
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Only objects of this kind; `Chart` for charts.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
}

struct Row<'a> {
    cluster: &'a str,
    folder: String,
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
    version: Option<&'a str>,
    place: String,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    let run = super::run::run(&args.input)?;
    run.show_findings(style)?;
    let Some(output) = &run.output else {
        return Ok(Outcome::Findings);
    };
    if let Some(name) = &args.cluster {
        let known = output
            .model
            .clusters
            .iter()
            .map(|cluster| cluster.name.as_str());
        if !known.clone().any(|cluster| cluster == name) {
            let hint = hcb_source::diag::suggest(name, known).unwrap_or_default();
            anyhow::bail!("there is no cluster `{name}`; {hint}");
        }
    }
    let rows: Vec<_> = rows(output, &run.texts.sources)
        .into_iter()
        .filter(|row| {
            args.cluster
                .as_ref()
                .is_none_or(|cluster| row.cluster == cluster)
        })
        .filter(|row| {
            args.kind
                .as_ref()
                .is_none_or(|kind| row.kind.eq_ignore_ascii_case(kind))
        })
        .collect();
    match style.format {
        Format::Json => show::json_data(&rows.iter().map(to_json).collect::<Value>())?,
        Format::Text => show::data(&format!("{}\n", table(&rows)))?,
    }
    Ok(Outcome::Ok)
}

fn rows<'a>(output: &'a Output, sources: &Sources) -> Vec<Row<'a>> {
    let place = |location| {
        let at = sources.line_column(location);
        format!(
            "{}:{}:{}",
            sources.path(location).display(),
            at.line,
            at.column
        )
    };
    let mut rows = Vec::new();
    for rendered in &output.units {
        let cluster = &output.model.clusters[rendered.unit.cluster].name;
        let folder = rendered.unit.folder(&output.model);
        for chart in &rendered.charts {
            rows.push(Row {
                cluster,
                folder: folder.clone(),
                kind: "Chart",
                namespace: Some(&chart.chart.namespace),
                name: &chart.chart.release,
                version: Some(&chart.chart.version),
                place: place(chart.chart.values.origin),
            });
        }
        for manifest in &rendered.manifests {
            rows.push(Row {
                cluster,
                folder: folder.clone(),
                kind: manifest.kind(),
                namespace: manifest.namespace(),
                name: manifest.name(),
                version: None,
                place: place(manifest.origin),
            });
        }
    }
    rows
}

fn to_json(row: &Row<'_>) -> Value {
    json!({
        "cluster": row.cluster,
        "folder": row.folder,
        "kind": row.kind,
        "namespace": row.namespace,
        "name": row.name,
        "version": row.version,
        "from": row.place,
    })
}

fn table(rows: &[Row<'_>]) -> String {
    let mut table = show::table();
    table.set_header(["folder", "kind", "namespace", "name", "from"]);
    for row in rows {
        let name = match row.version {
            Some(version) => format!("{} {version}", row.name),
            None => row.name.to_owned(),
        };
        table.add_row([
            row.folder.clone(),
            row.kind.to_owned(),
            row.namespace.unwrap_or("-").to_owned(),
            name,
            row.place.clone(),
        ]);
    }
    show::plain(&table)
}
