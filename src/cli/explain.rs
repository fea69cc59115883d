//! `hcb explain`.

use super::access::{Access, ask, span, time};
use super::{Format, Look, Outcome, show};
use anyhow::{Context, anyhow};
use hcb_reconciler::REPORTER;
use hcb_reconciler::act::{DECISION, read_status};
use hcb_reconciler::reasons::Explanation;
use hcb_reconciler::status::Status;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Explain where a job runs or why it waits: for each cluster whether it was considered and chosen, why,
/// and what was free against what was asked for.
///
/// It reads the cluster's own record: the job's pods, the notes on them, Events, and the status. Events
/// are kept for an hour unless the cluster says otherwise; the notes stay as long as the pods.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb explain train-42 -n ml-team            why it is where it is\n  hcb explain train-42 --format json         for a program"
)]
pub(super) struct Args {
    /// The Job.
    job: String,
    #[command(flatten)]
    access: Access,
    /// Its namespace. Default: the only one that has a Job of this name.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// The namespace of the reconciler.
    #[arg(long, value_name = "NAME", default_value = hcb_api::names::NAMESPACE)]
    system_namespace: String,
}

/// All that is known of a job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    namespace: String,
    job: String,
    pods: Vec<ExplainedPod>,
    events: Vec<ExplainedEvent>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedPod {
    name: String,
    created: Option<Timestamp>,
    /// The cluster that it was bound to.
    cluster: Option<String>,
    bound: Option<Timestamp>,
    phase: String,
    /// Why it was let go.
    released: Option<Explanation>,
    /// What was decided last, while it waits.
    now: Option<Explanation>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedEvent {
    at: Option<Timestamp>,
    reason: String,
    note: String,
}

pub(super) fn run(args: &Args, look: Look) -> anyhow::Result<Outcome> {
    let explained = ask(async {
        let client = args.access.client().await?;
        let namespace = match &args.namespace {
            Some(namespace) => namespace.clone(),
            None => find_job(&client, &args.job).await?,
        };
        read(&client, args, &namespace).await
    })?;
    match look.format {
        Format::Json => show::json_data(&serde_json::to_value(&explained)?)?,
        Format::Text => show::data(&text(&explained, Timestamp::now()))?,
    }
    Ok(Outcome::Ok)
}

/// The only namespace with a Job of this name.
pub(super) async fn find_job(client: &Client, name: &str) -> anyhow::Result<String> {
    let jobs: Api<Job> = Api::all(client.clone());
    let found = jobs
        .list_metadata(&ListParams::default().fields(&format!("metadata.name={name}")))
        .await?;
    let namespaces: Vec<_> = found
        .items
        .iter()
        .filter_map(ResourceExt::namespace)
        .collect();
    match &namespaces[..] {
        [namespace] => Ok(namespace.clone()),
        [] => {
            let all = jobs
                .list_metadata(&ListParams::default().limit(2000))
                .await?;
            let names: Vec<_> = all.items.iter().map(ResourceExt::name_any).collect();
            let hint = hcb_source::diag::suggest(name, names.iter().map(String::as_str));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            Err(anyhow!("there is no Job `{name}` in any namespace{hint}"))
        }
        several => Err(anyhow!(
            "there are Jobs `{name}` in {}; say which with --namespace",
            several.join(", ")
        )),
    }
}

async fn read(client: &Client, args: &Args, namespace: &str) -> anyhow::Result<Explained> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    jobs.get(&args.job)
        .await
        .with_context(|| format!("the Job {} in {namespace}", args.job))?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let label = format!("batch.kubernetes.io/job-name={}", args.job);
    let mut pods = pods
        .list(&ListParams::default().labels(&label))
        .await?
        .items;
    pods.sort_by_key(|pod| (pod.creation_timestamp(), pod.name_any()));
    let clusters = super::follow::clusters(client).await;
    let reader = Reader::new(client, &args.system_namespace);
    let status = reader.status().await;
    let waiting = |name: &str| waiting(status.as_ref()?, namespace, name);
    let explained = pods.iter().map(|pod| {
        let name = pod.name_any();
        let cluster = crate::jobs::cluster_of(pod, &clusters);
        let status = pod.status.as_ref();
        let conditions = status
            .and_then(|status| status.conditions.as_ref())
            .into_iter()
            .flatten();
        let bound = conditions
            .filter(|condition| condition.type_ == "PodScheduled" && condition.status == "True")
            .find_map(|condition| condition.last_transition_time.as_ref().map(|time| time.0));
        ExplainedPod {
            created: pod.creation_timestamp().map(|time| time.0),
            now: if cluster.is_none() {
                waiting(&name)
            } else {
                None
            },
            cluster,
            bound,
            phase: status
                .and_then(|status| status.phase.clone())
                .unwrap_or_default(),
            released: pod
                .annotations()
                .get(DECISION)
                .and_then(|text| serde_json::from_str(text).ok()),
            name,
        }
    });
    let pods = explained.collect();
    Ok(Explained {
        namespace: namespace.to_owned(),
        job: args.job.clone(),
        pods,
        events: events(client, namespace, &args.job).await?,
    })
}

/// Reads what the reconciler wrote down last.
pub(super) struct Reader {
    maps: Api<ConfigMap>,
}

impl Reader {
    pub(super) fn new(client: &Client, system_namespace: &str) -> Self {
        Self {
            maps: Api::namespaced(client.clone(), system_namespace),
        }
    }

    /// The status, where there is one and it may be read.
    pub(super) async fn status(&self) -> Option<Status> {
        read_status(&self.maps).await.ok().flatten()
    }

    /// Why a pod waits.
    pub(super) async fn waits(&self, namespace: &str, pod: &str) -> Option<Explanation> {
        waiting(&self.status().await?, namespace, pod)
    }
}

fn waiting(status: &Status, namespace: &str, pod: &str) -> Option<Explanation> {
    let mut pods = status.longest.iter();
    let own = pods.find(|waits| waits.namespace == namespace && waits.name == pod);
    own.map(|waits| waits.explanation.clone())
}

async fn events(
    client: &Client,
    namespace: &str,
    job: &str,
) -> anyhow::Result<Vec<ExplainedEvent>> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let fields = format!("regarding.kind=Job,regarding.name={job},reportingController={REPORTER}");
    let listed = events
        .list(&ListParams::default().fields(&fields))
        .await
        .context("the Events of the Job")?;
    let mut events: Vec<_> = listed
        .items
        .into_iter()
        .map(|event| ExplainedEvent {
            at: event.event_time.as_ref().map(|time| time.0),
            reason: event.reason.unwrap_or_default(),
            note: event.note.unwrap_or_default(),
        })
        .collect();
    events.sort_by_key(|event| event.at);
    Ok(events)
}

fn text(explained: &Explained, now: Timestamp) -> String {
    let mut text = format!("Job {} in {}\n", explained.job, explained.namespace);
    if explained.pods.is_empty() {
        text.push_str("  it has no pod (any more)\n");
    }
    for pod in &explained.pods {
        let _ = write!(text, "\n{}: ", pod.name);
        let created = pod.created.unwrap_or(now);
        match (&pod.cluster, pod.bound) {
            (Some(cluster), Some(bound)) => {
                let _ = writeln!(
                    text,
                    "{} in {cluster}, where it was placed at {} UTC, {} after it was made",
                    phase(&pod.phase),
                    time(bound, now),
                    span(created, bound)
                );
            }
            (Some(cluster), None) => drop(writeln!(text, "{} in {cluster}", phase(&pod.phase))),
            (None, _) => drop(writeln!(text, "has waited for {}", span(created, now))),
        }
        if let Some(released) = &pod.released {
            text.push_str(&explanation(released, now));
        } else if pod.cluster.is_some() {
            text.push_str("  it was never let go further than the first tier, which had room\n");
        }
        // While it waits, what was decided last may be something else.
        if let Some(now_decided) = &pod.now
            && pod
                .released
                .as_ref()
                .is_none_or(|released| released.outcome != now_decided.outcome)
        {
            text.push_str(&explanation(now_decided, now));
        }
    }
    if !explained.events.is_empty() {
        text.push_str("\nwhat was decided, by the Events of the Job\n");
    }
    for event in &explained.events {
        let at = event.at.map(|at| time(at, now)).unwrap_or_default();
        let mut lines = event.note.lines();
        let _ = writeln!(
            text,
            "  {at} {}: {}",
            event.reason,
            lines.next().unwrap_or_default()
        );
        for line in lines {
            let _ = writeln!(text, "           {line}");
        }
    }
    text
}

fn phase(phase: &str) -> &'static str {
    match phase {
        "Succeeded" => "done",
        "Failed" => "failed",
        "Running" => "runs",
        _ => "starts",
    }
}

fn explanation(explanation: &Explanation, now: Timestamp) -> String {
    let amounts = |amounts: &BTreeMap<String, String>| {
        let amounts: Vec<_> = amounts
            .iter()
            .map(|(resource, amount)| format!("{amount} {resource}"))
            .collect();
        amounts.join(", ")
    };
    let mut text = format!(
        "  at {} UTC it {}\n  it asks for {}\n",
        time(explanation.at, now),
        explanation.why,
        amounts(&explanation.requested)
    );
    let mut table = show::table();
    table.set_header(["", "CLUSTER", "TIER", "FREE ON ITS ROOMIEST NODE", "WHY"]);
    for cluster in &explanation.clusters {
        table.add_row([
            if cluster.chosen {
                "  →".to_owned()
            } else {
                String::new()
            },
            cluster.cluster.clone(),
            cluster.tier.clone(),
            amounts(&cluster.free),
            cluster.why.clone(),
        ]);
    }
    let _ = writeln!(text, "{table}");
    text
}
