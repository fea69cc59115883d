//! Writes decisions as Events of Jobs, where people look.

use super::metrics::Metrics;
use super::serve::Shared;
use crate::core::demand::{Demand, JobName};
use hcb_api::explanation::Explanation;
use hcb_api::names::REPORTER;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that wait to be written. More than that are left out: writing them must not delay decisions.
const WAITING: usize = 4096;
/// The most that an Event may say, in bytes; the API server allows no more.
const LONGEST: usize = 1024;

/// A decision to write as an Event.
#[derive(Debug)]
struct Decided {
    namespace: String,
    pod: String,
    job: Option<JobName>,
    explanation: Explanation,
}

/// Writes Events, one after another, in the background.
#[derive(Debug, Clone)]
pub(super) struct EventWriter {
    queue: Sender<Decided>,
    shared: Arc<Shared>,
}

impl EventWriter {
    /// Starts writing.
    pub(super) fn start(source: Client, identity: String, shared: Arc<Shared>) -> Self {
        let (sender, queue) = channel(WAITING);
        tokio::spawn(write(source, identity, queue, Arc::clone(&shared)));
        Self {
            queue: sender,
            shared,
        }
    }

    /// Writes what was decided of a demand, in a moment.
    pub(super) fn write(&self, pod: &Demand, explanation: Explanation) {
        let decided = Decided {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            job: pod.job.clone(),
            explanation,
        };
        if self.queue.try_send(decided).is_err() {
            self.shared.metrics.failed("event-left-out");
        }
    }
}

async fn write(
    source: Client,
    identity: String,
    mut queue: Receiver<Decided>,
    shared: Arc<Shared>,
) {
    let reporter = Reporter {
        controller: REPORTER.to_owned(),
        instance: Some(identity),
    };
    let recorder = Recorder::new(source, reporter);
    while let Some(decided) = queue.recv().await {
        let regarding = match &decided.job {
            Some(job) => reference(
                "batch/v1",
                "Job",
                &decided.namespace,
                &job.name,
                Some(&job.uid),
            ),
            None => reference("v1", "Pod", &decided.namespace, &decided.pod, None),
        };
        let is_trouble = matches!(
            decided.explanation.outcome.as_str(),
            "OverBudget" | "NoRoom" | "ClusterUnreachable"
        );
        let event = Event {
            type_: if is_trouble {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: decided.explanation.outcome.clone(),
            note: Some(note(&decided)),
            action: "Place".to_owned(),
            secondary: None,
        };
        if let Err(error) = recorder.publish(&event, &regarding).await {
            failed(&shared.metrics, &error);
        }
    }
}

fn failed(metrics: &Metrics, error: &kube::Error) {
    metrics.failed("event");
    tracing::debug!(%error, "an event was not written");
}

/// The outcome, then every cluster with its reason.
fn note(decided: &Decided) -> String {
    let mut note = format!("{} {}", decided.pod, decided.explanation.why);
    for cluster in &decided.explanation.clusters {
        let line = format!("\n{}: {}", cluster.cluster, cluster.why);
        if note.len() + line.len() > LONGEST {
            break;
        }
        note.push_str(&line);
    }
    let mut end = note.len().min(LONGEST);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    note
}

fn reference(
    version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
    uid: Option<&String>,
) -> ObjectReference {
    ObjectReference {
        api_version: Some(version.to_owned()),
        kind: Some(kind.to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: uid.cloned(),
        ..ObjectReference::default()
    }
}
