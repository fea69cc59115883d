//! What a run made, by cluster and component.

use crate::cli::show;
use hcb_compile::compile::Output;
use hcb_compile::unit::{Area, Unit};

/// More clusters than this do not fit side by side.
const COLUMNS: usize = 4;

#[derive(Clone, Copy, Default)]
struct Counts {
    manifests: usize,
    charts: usize,
}

/// A component with its counts by cluster.
struct Row<'a> {
    component: &'a str,
    clusters: Vec<Counts>,
}

/// The table: components by cluster, or the sums of each cluster where there are many.
pub(super) fn table(output: &Output) -> String {
    let names: Vec<_> = output
        .model
        .clusters
        .iter()
        .map(|cluster| cluster.name.clone())
        .collect();
    let rows = rows(output, names.len());
    let mut table = show::table();
    if names.len() <= COLUMNS {
        table.set_header(std::iter::once("manifests".to_owned()).chain(names));
        for row in rows {
            let cells = row.clusters.into_iter().map(cell);
            table.add_row(std::iter::once(row.component.to_owned()).chain(cells));
        }
    } else {
        table.set_header(["cluster", "manifests", "charts"]);
        for (index, name) in names.into_iter().enumerate() {
            let sum = |of: &dyn Fn(Counts) -> usize| -> usize {
                rows.iter().map(|row| of(row.clusters[index])).sum()
            };
            table.add_row([
                name,
                sum(&|counts| counts.manifests).to_string(),
                sum(&|counts| counts.charts).to_string(),
            ]);
        }
    }
    show::plain(&table)
}

/// The components in the order in which they are applied first.
fn rows(output: &Output, clusters: usize) -> Vec<Row<'_>> {
    let mut units: Vec<_> = output.units.iter().collect();
    units.sort_by_key(|rendered| rendered.unit.wave);
    let mut rows: Vec<Row<'_>> = Vec::new();
    for rendered in units {
        let component = component(&rendered.unit);
        let known = rows.iter().position(|row| row.component == component);
        let index = known.unwrap_or_else(|| {
            rows.push(Row {
                component,
                clusters: vec![Counts::default(); clusters],
            });
            rows.len() - 1
        });
        let counts = &mut rows[index].clusters[rendered.unit.cluster];
        counts.manifests += rendered.manifests.len();
        counts.charts += rendered.charts.len();
    }
    rows
}

/// Units of one component share the first word of their names.
fn component(unit: &Unit) -> &str {
    match unit.area {
        Area::Cluster => match unit.name.as_str() {
            "object-store" | "workloads" => &unit.name,
            "workload-accounts" => "workloads",
            name => name.split('-').next().unwrap_or(name),
        },
        Area::Delivery(_) => "gitops",
        Area::Bootstrap => "bootstrap",
        Area::Submit => "submit",
    }
}

fn cell(counts: Counts) -> String {
    let charts = match counts.charts {
        1 => "1 chart".to_owned(),
        many => format!("{many} charts"),
    };
    match (counts.manifests, counts.charts) {
        (0, 0) => "-".to_owned(),
        (manifests, 0) => manifests.to_string(),
        (0, _) => charts,
        (manifests, _) => format!("{manifests} + {charts}"),
    }
}
