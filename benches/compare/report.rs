//! The page with the figures, and its plots.

use crate::fleet::HUB;
use crate::plots;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

pub(crate) const MANIFESTS: &str = "manifests";

pub(crate) fn write(results: &Value) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let scale = list(&results["scale"]);
    if !scale.is_empty() {
        fs::write(docs.join("benchmarks-scale.svg"), plots::scale(scale)).expect("a file");
    }
    if results["peers"].is_object() {
        fs::write(
            docs.join("benchmarks-peers.svg"),
            plots::peers(&results["peers"]),
        )
        .expect("a file");
    }
    fs::write(docs.join("benchmarks.md"), page(results)).expect("a file");
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// `median (smallest to largest)`, or the only one.
fn seconds(value: &Value) -> String {
    let [middle, least, most] = [0, 1, 2].map(|index| number(&value[index]));
    if least.to_bits() == most.to_bits() {
        return format!("{middle:.2}");
    }
    format!("{middle:.2} ({least:.2} to {most:.2})")
}

/// When a part was measured, and where.
pub(crate) fn here_and_now() -> String {
    format!(
        "hcb {} on {}; {}",
        env!("CARGO_PKG_VERSION"),
        jiff::Zoned::now().date(),
        machine()
    )
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: f64 = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores of {model}, {:.0} GiB, Linux {}",
        memory / 1024.0 / 1024.0,
        kernel.trim()
    )
}

fn page(results: &Value) -> String {
    let measured = results["measured"].as_object().into_iter().flatten();
    let measured: BTreeSet<_> = measured.filter_map(|(_, when)| when.as_str()).collect();
    let mut page = format!(
        "# Benchmarks

`cargo bench --bench compare` runs all of this and writes this page. Measured with {}. Times are in seconds: a median with the smallest and the largest in brackets, or a single run. Ratios to `cp -r` are each of two runs one right after the other.

The specs are generated: one private cluster, all others public with Karpenter, jobs of ten teams, an object store, Argo CD, all built-in policies. Everything that hcb does is counted: reading, all checks of the spec, rendering, the strict schema of every manifest, every policy on every manifest, and the write. Files are in memory (`/dev/shm`) unless said otherwise.

The public clusters are alike but for their names, servers and regions, as those of a fleet from one spec most often are. hcb reads, checks, judges and writes as YAML once what several clusters have in common; how many manifests have different contents is in the table.

",
        measured.into_iter().collect::<Vec<_>>().join("; "),
    );
    scale(&mut page, results);
    peers(&mut page, results);
    whole(&mut page, &results["whole"]);
    schemas(&mut page, &results["schemas"]);
    page.push_str(
        "
## A guard

`cargo bench --bench guard` measures three ratios (compiling to `cp -r`, `--check` to `cp -r`, memory to what is written), compares them with those in `benches/guard.json`, and fails where one is larger than it was by more than the tolerance in that file. Ratios are much the same on every machine, times are not. `cargo bench --bench guard -- --update` writes the file anew.
",
    );
    page
}

fn scale(page: &mut String, results: &Value) {
    let rows = list(&results["scale"]);
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "## Size

![Time by the number of manifests](benchmarks-scale.svg)

Beside it is `cp -r` of the files that were written, which makes the same files in one thread and does nothing else. `--check` runs against that tree after one workload was changed; nothing is kept between runs. With `--check --watch` it is the time from a save of one changed workload until all is checked and compared again; what has not changed is known from the round before.

| clusters | workloads | manifests | different | MiB | `hcb compile` | µs a manifest | `cp -r` | ratio | `--check` | `--check --watch` | of `cp -r` | peak MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
",
    );
    let mebibytes = |value: &Value| number(value) / 1024.0 / 1024.0;
    let row = |page: &mut String, row: &Value, note: &str| {
        let _ = writeln!(
            page,
            "| {}{note} | {} | {} | {} | {:.0} | {} | {:.0} | {} | {} | {} | {} | {:.2} | {:.0} |",
            row["size"]["clusters"],
            row["size"]["workloads"],
            row["files"],
            row["different"],
            mebibytes(&row["bytes"]),
            seconds(&row["compile"]),
            number(&row["compile"][0]) * 1e6 / number(&row["files"]),
            seconds(&row["cp"]),
            seconds(&row["ratio"]),
            seconds(&row["check"]),
            seconds(&row["warm"]),
            number(&row["warm"][0]) / number(&row["cp"][0]),
            mebibytes(&row["peak"]),
        );
    };
    for figures in rows {
        row(page, figures, "");
    }
    if results["disk"].is_object() {
        row(page, &results["disk"], ", on a disk");
    }
    let largest = rows.iter().max_by_key(|row| row["files"].as_u64());
    if let Some(largest) = largest {
        let per = number(&largest["compile"][0]) / number(&largest["files"]);
        let memory = mebibytes(&largest["peak"]) / number(&largest["files"]);
        let _ = writeln!(
            page,
            "\nOn paper, 1,000,000 manifests take {:.0} s and {:.1} GiB: the largest that was measured, in proportion.",
            per * 1e6,
            memory * 1e6 / 1024.0
        );
    }
    page.push_str("\nWhere the time goes, in milliseconds:\n\n");
    phases(page, rows, |row| {
        format!("{} x {}", row["size"]["clusters"], row["size"]["workloads"])
    });
    let policies = list(&results["policies"]);
    if !policies.is_empty() {
        page.push_str("\nWith more policies, 300 clusters and 10 workloads each (a policy is also two or three manifests in every cluster):\n\n");
        phases(page, policies, |row| {
            format!(
                "{} policies, {} {MANIFESTS}",
                row["size"]["policies"], row["files"]
            )
        });
    }
}

fn phases(page: &mut String, rows: &[Value], title: impl Fn(&Value) -> String) {
    let names: Vec<_> = rows
        .first()
        .map_or(&[][..], |row| list(&row["phases"]))
        .iter()
        .map(|phase| &phase[0])
        .collect();
    page.push_str("| |");
    for name in &names {
        let _ = write!(page, " {} |", name.as_str().unwrap_or_default());
    }
    page.push_str("\n|---|");
    page.push_str(&"---|".repeat(names.len()));
    page.push('\n');
    for row in rows {
        let _ = write!(page, "| {} |", title(row));
        for phase in list(&row["phases"]) {
            let _ = write!(page, " {:.1} |", number(&phase[1]) * 1000.0);
        }
        page.push('\n');
    }
}

/// What a peer takes for a size: measured, or estimated from the largest that was, in proportion to the objects,
/// with the mark of that before it.
fn expected(rows: &[Value], at: usize, peer: &str) -> Option<(f64, &'static str)> {
    if let Some(took) = rows[at]["peers"][peer].as_f64() {
        return Some((took, ""));
    }
    let measured = rows.iter().filter(|row| row["peers"][peer].is_number());
    let largest = measured.max_by_key(|row| row["objects"].as_u64())?;
    let per = number(&largest["peers"][peer]) / number(&largest["objects"]);
    Some((per * number(&rows[at]["objects"]), "≈ "))
}

fn peers(page: &mut String, results: &Value) {
    let rows = list(&results["peers"]["rows"]);
    if rows.is_empty() {
        return;
    }
    let versions = list(&results["peers"]["versions"]);
    let _ = writeln!(
        page,
        "
## Beside other tools

![Time of each tool by the number of objects](benchmarks-peers.svg)

The same objects: all that each cluster but `{HUB}` gets, and what tells the engine to deliver it. What a tool makes is counted, and for three clusters compared with what hcb makes, object by object. hcb also reads and checks the spec, checks every schema and policy, and makes the hub; the others only render and write, which is all that they do. In brackets: how many times as long as hcb.

| clusters x workloads | objects | hcb |{}
|---|---|---|{}",
        versions.iter().fold(String::new(), |mut text, peer| {
            let _ = write!(text, " {} {} |", peer[0].as_str().unwrap_or_default(), peer[1].as_str().unwrap_or_default());
            text
        }),
        "---|".repeat(versions.len())
    );
    for (at, row) in rows.iter().enumerate() {
        let ours = number(&row["hcb"][0]);
        let _ = write!(
            page,
            "| {} x {} | {} | {} |",
            row["size"]["clusters"],
            row["size"]["workloads"],
            row["objects"],
            seconds(&row["hcb"])
        );
        for peer in versions {
            match expected(rows, at, peer[0].as_str().unwrap_or_default()) {
                Some((took, mark)) => {
                    let _ = write!(page, " {mark}{took:.1} ({:.0}) |", took / ours);
                }
                None => page.push_str(" |"),
            }
        }
        page.push('\n');
    }
    page.push_str("\n≈: not run; estimated from the largest size that was, in proportion to the objects. A tool is not run at the next size when a run took more than six seconds.\n\nHow each is used:\n\n");
    for peer in versions {
        let _ = writeln!(
            page,
            "- {}: {}.",
            peer[0].as_str().unwrap_or_default(),
            peer[2].as_str().unwrap_or_default()
        );
    }
    beside_copying(page, results, versions);
    page.push_str("\nHolos, Timoni, Tanka and KCL's command line could not be had: the module mirror that this was measured behind refused their newest versions, and they are nowhere on npm, PyPI or crates.io. PyPI has KCL as a library for Python (`kcl-lib`), which is not compared.\n");
}

/// What the files alone take, for scale.
fn beside_copying(page: &mut String, results: &Value, versions: &[Value]) {
    let rows = list(&results["peers"]["rows"]);
    let Some(at) = rows.len().checked_sub(1) else {
        return;
    };
    let size = &rows[at]["size"];
    let mut scale = list(&results["scale"]).iter();
    let Some(ours) = scale.find(|row| row["size"] == *size) else {
        return;
    };
    let copying = number(&ours["cp"][0]);
    let times = versions.iter().filter_map(|peer| {
        let name = peer[0].as_str().unwrap_or_default();
        let (took, mark) = expected(rows, at, name)?;
        Some(format!("{name} {mark}{:.0}", took / copying))
    });
    let _ = writeln!(
        page,
        "\nFor scale: `cp -r` of all files of {} x {}, those of the hub too, takes {copying:.2} s. In multiples of that: {}.",
        size["clusters"],
        size["workloads"],
        times.collect::<Vec<_>>().join(", "),
    );
}

/// The same work, with a tool for each part of it.
fn whole(page: &mut String, results: &Value) {
    let rows = list(&results["rows"]);
    let Some(renderers) = rows.first().and_then(|row| row["renderers"].as_object()) else {
        return;
    };
    let version = |tool: &str| {
        results["versions"][tool]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let renderers: Vec<_> = renderers.keys().collect();
    let _ = writeln!(
        page,
        "
## The same work

To render is not all that `hcb compile` does. Here every object is also checked: its schema by `kubeconform -strict`, with the same schemas, and the policies of its cluster by `kyverno apply`, with the same ValidatingAdmissionPolicies, on what was rendered. All of it is run once, one after the other, on all cores. In brackets: how many times as long as `hcb compile`, which makes the hub as well. Most of it is kyverno, which is started for each cluster and [compiles a policy again for each object](policies.md#how-fast); so the table has what is left without it too.

| clusters x workloads | objects | hcb |{} kubeconform {} | kyverno apply {} | policies evaluated |{}{}
|---|---|---|{}---|---|---|{}",
        renderers.iter().fold(String::new(), |text, name| format!("{text} {name} {} |", version(name))),
        version("kubeconform"),
        version("kyverno apply"),
        renderers.iter().fold(String::new(), |text, name| format!("{text} {name} and schemas |")),
        renderers.iter().fold(String::new(), |text, name| format!("{text} all, with {name} |")),
        "---|".repeat(renderers.len()),
        "---|".repeat(2 * renderers.len()),
    );
    for row in rows {
        let ours = number(&row["hcb"][0]);
        let times = |took: f64| format!("{took:.1} ({:.0})", took / ours);
        let mut cells = vec![
            format!("{} x {}", row["size"]["clusters"], row["size"]["workloads"]),
            row["objects"].to_string(),
            seconds(&row["hcb"]),
        ];
        let rendering = |name: &String| number(&row["renderers"][name]);
        let checks = ["schemas", "policies"].map(|part| number(&row[part]));
        cells.extend(renderers.iter().map(|name| times(rendering(name))));
        cells.extend(checks.map(times));
        cells.push(row["evaluations"].to_string());
        let [schemas, policies] = checks;
        for more in [schemas, schemas + policies] {
            cells.extend(renderers.iter().map(|name| times(rendering(name) + more)));
        }
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push_str(
        "
What a tool cannot do is left out, which makes it faster: kyverno's command line knows no objects but those of Kubernetes itself. It is run for each cluster, on each core at a time, since policies and objects of one name are in each; where a policy has a binding it does not look at what the policy matches, so that it is given policies without, in which the parameters are written. Before it is measured it must find one object that is not allowed, and then nothing in what was rendered.
",
    );
}

fn schemas(page: &mut String, results: &Value) {
    if !results.is_object() {
        return;
    }
    let _ = writeln!(
        page,
        "
## Schemas alone

All {} files of a tree, read and checked strictly against the same schemas, offline, on all cores. What hcb knows from another cluster is not used here.

| | seconds |
|---|---|
| hcb | {} |
| kubeconform {} | {} |

{:.1} times as fast. kubeconform says: `{}`.",
        results["files"],
        seconds(&results["hcb"]),
        results["version"].as_str().unwrap_or_default(),
        seconds(&results["kubeconform"]),
        number(&results["kubeconform"][0]) / number(&results["hcb"][0]),
        results["summary"],
    );
}
