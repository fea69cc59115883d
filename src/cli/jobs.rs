//! `hcb jobs`.

use super::access::{Access, ask};
use super::{Format, Look, Outcome, show};
use crate::jobs::{JOB_NAME, Summary, summary};
use crate::submission::WORKLOAD;
use anyhow::Context;
use comfy_table::CellAlignment;
use hcb_api::config::Config;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use std::collections::BTreeMap;

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// List the jobs of all clusters: where each is, how long it waited and ran, and what it cost so far.
///
/// All jobs are in the source cluster, wherever their pods run, so one API server is asked. The cost is the
/// share of a node that the pods ask for, by the prices of the spec, for as long as they ran; pods that are
/// gone are not counted.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb jobs                          all that the spec's workloads made\n  hcb jobs -n ml --active           those of a namespace that are not over\n  hcb jobs --format json            for a program"
)]
pub(super) struct Args {
    /// The namespace. Default: all.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// The workload.
    #[arg(long, short, value_name = "NAME")]
    workload: Option<String>,
    /// Leave out those that are over.
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    access: Access,
    /// The namespace of the reconciler, which has the prices.
    #[arg(long, value_name = "NAME", default_value = hcb_api::names::NAMESPACE)]
    system_namespace: String,
}

pub(super) fn run(args: &Args, look: Look) -> anyhow::Result<Outcome> {
    ask(async {
        let client = args.access.client().await?;
        let (summaries, currency) = read(&client, args).await?;
        match look.format {
            Format::Json => show::json_data(&json!({ "currency": currency, "jobs": summaries }))?,
            Format::Text if summaries.is_empty() => show::say("there are no jobs"),
            Format::Text => show::data(&text(&summaries, currency.as_deref()))?,
        }
        Ok(Outcome::Ok)
    })
}

async fn read(client: &Client, args: &Args) -> anyhow::Result<(Vec<Summary>, Option<String>)> {
    let label = match &args.workload {
        Some(workload) => format!("{WORKLOAD}={workload}"),
        None => WORKLOAD.to_owned(),
    };
    let namespace = args.namespace.as_deref();
    let jobs: Vec<Job> = all(&api(client, namespace), &label)
        .await
        .context("the Jobs")?;
    let pods: Vec<Pod> = all(&api(client, namespace), JOB_NAME)
        .await
        .context("the pods")?;
    let mut of_job: BTreeMap<(Option<String>, &str), Vec<&Pod>> = BTreeMap::new();
    for pod in &pods {
        if let Some(name) = pod.labels().get(JOB_NAME) {
            of_job.entry((pod.namespace(), name)).or_default().push(pod);
        }
    }
    let clusters = super::follow::clusters(client).await;
    let config = prices(client, &args.system_namespace).await;
    let now = Timestamp::now();
    let mut summaries: Vec<_> = jobs
        .iter()
        .map(|job| {
            let name = job.name_any();
            let pods = of_job.get(&(job.namespace(), name.as_str()));
            summary(
                job,
                pods.map_or(&[], Vec::as_slice),
                &clusters,
                config.as_ref(),
                now,
            )
        })
        .filter(|summary| !(args.active && summary.state.is_final()))
        .collect();
    summaries.sort_by_key(|summary| {
        (
            summary.created,
            summary.namespace.clone(),
            summary.name.clone(),
        )
    });
    let currency = config
        .and_then(|config| config.budget)
        .map(|budget| budget.currency);
    Ok((summaries, currency))
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// All objects with a label, page by page.
async fn all<K>(api: &Api<K>, label: &str) -> Result<Vec<K>, kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let mut objects = Vec::new();
    let mut parameters = ListParams::default().labels(label).limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

/// The prices: those that the reconciler goes by, where they may be read.
async fn prices(client: &Client, namespace: &str) -> Option<Config> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = maps.get_opt(hcb_api::names::RECONCILER).await.ok()??;
    let text = map.data?.remove("config.yaml")?;
    let mut sources = Sources::default();
    let file = sources.add("config.yaml", text.clone());
    Config::read(file, &text, &mut Diagnostics::default())
}

fn text(summaries: &[Summary], currency: Option<&str>) -> String {
    let mut table = show::table();
    let cost = currency.map_or("COST".to_owned(), |currency| format!("COST/{currency}"));
    table.set_header([
        "JOB",
        "NAMESPACE",
        "CLUSTER",
        "STATE",
        "WAITED",
        "RAN",
        &cost,
    ]);
    for summary in summaries {
        let clusters: Vec<_> = summary.clusters.iter().map(String::as_str).collect();
        table.add_row([
            summary.name.clone(),
            summary.namespace.clone(),
            clusters.join(","),
            summary.state.word().to_owned(),
            seconds(summary.waited_seconds),
            seconds(summary.ran_seconds),
            summary
                .cost
                .map(|cost| format!("{cost:.4}"))
                .unwrap_or_default(),
        ]);
    }
    for index in [4, 5, 6] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

fn seconds(seconds: i64) -> String {
    let start = Timestamp::UNIX_EPOCH;
    super::access::span(start, Timestamp::from_second(seconds).unwrap_or(start))
}
