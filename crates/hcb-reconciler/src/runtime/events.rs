//! Tells decisions where people look: as Events of Jobs, and in the log.

use super::REPORTER;
use super::metrics::Metrics;
use super::observation::{JobName, JobPod};
use super::reasons::Explanation;
use super::serve::Shared;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that wait to be written. More than that are left out: telling must not delay doing.
const WAITING: usize = 4096;
/// The most that an Event may say, in bytes; the API server allows no more.
const LONGEST: usize = 1024;

/// Something to tell.
#[derive(Debug)]
struct Told {
    namespace: String,
    pod: String,
    job: Option<JobName>,
    explanation: Explanation,
}

/// Tells decisions, one after another, in the background.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    told: Sender<Told>,
    shared: Arc<Shared>,
}

impl Teller {
    /// Starts telling.
    pub(super) fn start(source: Client, identity: String, shared: Arc<Shared>) -> Self {
        let (told, queue) = channel(WAITING);
        tokio::spawn(write(source, identity, queue, Arc::clone(&shared)));
        Self { told, shared }
    }

    /// Tells what was decided of a pod.
    pub(super) fn tell(&self, pod: &JobPod, explanation: Explanation) {
        let told = Told {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            job: pod.job.clone(),
            explanation,
        };
        if self.told.try_send(told).is_err() {
            self.shared.metrics.failed("event-left-out");
        }
    }
}

async fn write(source: Client, identity: String, mut queue: Receiver<Told>, shared: Arc<Shared>) {
    let reporter = Reporter {
        controller: REPORTER.to_owned(),
        instance: Some(identity),
    };
    let recorder = Recorder::new(source, reporter);
    while let Some(told) = queue.recv().await {
        let regarding = match &told.job {
            Some(job) => reference(
                "batch/v1",
                "Job",
                &told.namespace,
                &job.name,
                Some(&job.uid),
            ),
            None => reference("v1", "Pod", &told.namespace, &told.pod, None),
        };
        let is_trouble = matches!(
            told.explanation.outcome.as_str(),
            "OverBudget" | "NoRoom" | "ClusterUnseen"
        );
        let event = Event {
            type_: if is_trouble {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: told.explanation.outcome.clone(),
            note: Some(note(&told)),
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
fn note(told: &Told) -> String {
    let mut note = format!("{} {}", told.pod, told.explanation.why);
    for cluster in &told.explanation.clusters {
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
