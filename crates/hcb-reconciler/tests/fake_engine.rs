//! A second engine, to show that the core and the trait hold no habit of the first: it has no candidates, no
//! reservations, no gates and no pace. A released demand carries a label, and is placed where the label says.

use hcb_api::config::{Cluster, ReconcilerConfig};
use hcb_api::explanation::Explanation;
use hcb_api::gate::Gate;
use hcb_api::requirements::PodRequirements;
use hcb_reconciler::core::decision::{Decision, Outcome};
use hcb_reconciler::core::demand::{Demand, DemandKind};
use hcb_reconciler::core::facts::{Fact, State, Watched};
use hcb_reconciler::core::observation::ClusterPod;
use hcb_reconciler::core::pacing::Pacing;
use hcb_reconciler::engine::Engine;
use hcb_reconciler::engine::change::{Change, Edit, ObjectRef, Patch, test_version};
use hcb_reconciler::engine::kubernetes::{NodeSpec, NodeStatus, Quotas, node_state};
use hcb_reconciler::engine::object::{Object, WatchedKind};
use hcb_reconciler::engine::watch::Watch;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The label that says where a demand was released to.
const QUEUE: &str = "fake.example.com/queue";

#[derive(Debug)]
struct Fake;

impl Engine for Fake {
    fn pacing(&self) -> Pacing {
        Pacing::UNLIMITED
    }

    fn watches(&self, config: &ReconcilerConfig, cluster: usize) -> Vec<Watch> {
        let is_source = cluster == config.source();
        vec![
            Watch::new::<Nodes>(cluster, cluster),
            Watch::new::<Tasks>(cluster, (cluster, is_source)),
            Watch::new::<Quotas>(cluster, cluster),
        ]
    }

    fn admit(
        &self,
        demand: &Demand,
        clusters: &[&Cluster],
        _why: Option<&Explanation>,
        _now: Timestamp,
    ) -> Change {
        let label = "/metadata/labels/fake.example.com~1queue";
        let mut operations = vec![test_version(&json!(demand.version))];
        for cluster in clusters {
            operations.push(json!({"op": "add", "path": label, "value": cluster.name}));
        }
        Change {
            object: ObjectRef::new(TASK, Some(&demand.namespace), &demand.name),
            is_of_status: false,
            edit: Edit::Patch(Patch::Json(operations)),
        }
    }

    fn set_gate(&self, _cluster: &Cluster, _gate: Gate) -> Option<Change> {
        None
    }

    fn nudge(&self, _demand: &Demand, _now: Timestamp) -> Option<Change> {
        None
    }

    fn unstick(&self, _candidate: &(String, String)) -> Vec<Change> {
        Vec::new()
    }
}

#[derive(Debug, Clone)]
enum Nodes {}

impl WatchedKind for Nodes {
    const WATCHED: Watched = Watched::Nodes;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "Node";
    const PLURAL: &'static str = "nodes";
    type Spec = NodeSpec;
    type Status = NodeStatus;
    type Context = usize;

    fn observed(cluster: &mut usize, node: &Object<Self>) -> Option<Fact> {
        Some(Fact::Node(*cluster, node.key().1, node_state(node)))
    }

    fn gone(cluster: &mut usize, node: &Object<Self>) -> Fact {
        Fact::NodeGone(*cluster, node.key().1)
    }
}

const TASK: (&str, &str, &str, &str) = ("fake.example.com", "v1", "Task", "tasks");

/// What this engine places: a workload object instead of a pod.
#[derive(Debug, Clone)]
enum Tasks {}

#[derive(Debug, Clone, Default, Deserialize)]
struct TaskSpec {
    cpus: i128,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TaskStatus {
    cluster: Option<String>,
    node: Option<String>,
}

impl WatchedKind for Tasks {
    const WATCHED: Watched = Watched::Pods;
    const MAKES_DEMANDS: bool = true;
    const GROUP: &'static str = TASK.0;
    const VERSION: &'static str = TASK.1;
    const NAME: &'static str = TASK.2;
    const PLURAL: &'static str = TASK.3;
    type Spec = TaskSpec;
    type Status = TaskStatus;
    type Context = (usize, bool);

    fn observed((cluster, is_source): &mut (usize, bool), task: &Object<Self>) -> Option<Fact> {
        let (namespace, name) = task.key();
        let uid = task.metadata.uid.clone().unwrap_or_default();
        let requests = BTreeMap::from([("cpu".to_owned(), task.spec.cpus * 1000)]);
        if !*is_source {
            let pod = ClusterPod {
                key: (namespace, name),
                node: task.status.node.clone(),
                requests: Arc::new(requests),
                parent: None,
                is_daemon: false,
            };
            return Some(Fact::Pod(*cluster, uid, pod));
        }
        let labels = task.metadata.labels.clone().unwrap_or_default();
        let queue = labels.get(QUEUE).cloned();
        let demand = Demand {
            kind: DemandKind::default(),
            namespace,
            name,
            uid,
            version: task.metadata.resource_version.clone().unwrap_or_default(),
            requirements: Arc::new(PodRequirements {
                requests,
                ..PodRequirements::default()
            }),
            released: queue
                .map(|queue| (queue, Timestamp::UNIX_EPOCH))
                .into_iter()
                .collect(),
            placed: task.status.cluster.clone(),
            ..Demand::default()
        };
        Some(Fact::Demand(*cluster, Box::new(demand)))
    }

    fn gone((cluster, _): &mut (usize, bool), task: &Object<Self>) -> Fact {
        Fact::PodGone(*cluster, task.metadata.uid.clone().unwrap_or_default())
    }
}

const PRIVATE: usize = 0;
const PUBLIC: usize = 1;

/// One node of 4 CPUs in private; public has none and buys up to 3.
fn config() -> ReconcilerConfig {
    let text = "apiVersion: hcb.dev/v1alpha1\nkind: ReconcilerConfig\ncloud: test\ntiers: [private, public]\n\
        burst: {after: 0s}\nfallBack: {after: 1m}\nwhenDown: hold\nweights: {minFactor: 1, maxFactor: 1}\nclusters:\n\
        - {name: private, tier: private, weight: 1, virtualNode: none, pools: [{name: cpu, min: 1, max: 1, allocatable: {cpu: '4'}}]}\n\
        - {name: public, tier: public, weight: 1, virtualNode: none, kubeconfig: /public, pools: [{name: cpu, min: 0, max: 3, allocatable: {cpu: '4'}}]}\n";
    let mut diagnostics = Diagnostics::default();
    let file = Sources::default().add("config.yaml", text);
    let config = ReconcilerConfig::read(file, text, &mut diagnostics);
    config.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// Clusters as the engine sees them, and the state that is kept of them.
struct History {
    config: ReconcilerConfig,
    state: State,
    /// The watches of each cluster.
    watches: Vec<Vec<Watch>>,
    tasks: BTreeMap<String, Value>,
    now: Timestamp,
}

impl History {
    fn new() -> Self {
        let config = config();
        let mut history = Self {
            state: State::new(&config, Fake.pacing()),
            watches: [PRIVATE, PUBLIC]
                .map(|cluster| Fake.watches(&config, cluster))
                .into(),
            tasks: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
            config,
        };
        let node = json!({
            "metadata": {"name": "a"},
            "status": {"allocatable": {"cpu": "4", "pods": "10"}, "conditions": [{"type": "Ready", "status": "True"}]},
        });
        history.see(PRIVATE, "Node", node);
        for cluster in [PRIVATE, PUBLIC] {
            for kind in [Watched::Nodes, Watched::Pods] {
                history.take(Fact::Listed(cluster, kind));
            }
        }
        history
    }

    fn take(&mut self, fact: Fact) {
        self.state.take(fact, &self.config, self.now);
    }

    /// An object is watched.
    fn see(&mut self, cluster: usize, kind: &str, object: Value) {
        let mut watches = self.watches[cluster].iter_mut();
        let watch = watches.find(|watch| watch.kind() == kind).expect("a watch");
        let fact = watch.fact(object, false).expect("an object");
        self.take(fact.expect("a fact"));
    }

    /// A task is created in the source.
    fn submit(&mut self, name: &str, cpus: u32) {
        let task = json!({
            "metadata": {"namespace": "ml", "name": name, "uid": name, "resourceVersion": "1", "labels": {}},
            "spec": {"cpus": cpus},
        });
        self.tasks.insert(name.to_owned(), task.clone());
        self.see(PRIVATE, "Task", task);
    }

    /// The engine places a task.
    fn place(&mut self, name: &str, cluster: usize) {
        let task = self.tasks.get_mut(name).expect("a task");
        task["status"] = json!({"cluster": self.config.clusters[cluster].name});
        let source = task.clone();
        self.see(PRIVATE, "Task", source);
    }

    /// Decides, and makes the changes of the engine.
    fn round(&mut self) -> Decision {
        self.now += SignedDuration::from_secs(1);
        for cluster in [PRIVATE, PUBLIC] {
            self.take(Fact::Alive(cluster));
        }
        let decision = self.state.decide(&self.config, self.now);
        for release in &decision.releases {
            let index = self.config.index(&release.cluster).expect("a cluster");
            let demand = &self.state.observer.observation.demands[&release.uid];
            let change = Fake.admit(demand, &[&self.config.clusters[index]], None, self.now);
            let task = self.tasks.get_mut(&change.object.name).expect("a task");
            let Edit::Patch(Patch::Json(operations)) = change.edit else {
                panic!("{change:?}");
            };
            let patch: json_patch::Patch =
                serde_json::from_value(operations.into()).expect("a patch");
            json_patch::patch(task, &patch).expect("a patch of what was seen");
            task["metadata"]["resourceVersion"] = json!("2");
            let task = task.clone();
            self.see(PRIVATE, "Task", task);
        }
        decision
    }
}

fn outcome<'a>(decision: &'a Decision, uid: &str) -> Option<&'a Outcome> {
    let mut verdicts = decision.verdicts.iter();
    let verdict = verdicts.find(|verdict| verdict.uid == uid);
    verdict.map(|verdict| &verdict.outcome)
}

#[test]
fn without_a_pace_of_the_engine_all_pods_that_fit_nowhere_are_released_at_once() {
    let mut history = History::new();
    for name in ["a", "b", "c", "d"] {
        history.submit(name, 4);
    }
    // The first tier has room for one as it is seen, which keeps all of them.
    let fits = Outcome::FitsFirstTier("private".into());
    let decision = history.round();
    assert_eq!(decision.releases, []);
    assert_eq!(outcome(&decision, "a"), Some(&fits));

    // `a` runs there now, on its node. Nobody else fits: all leave in one round, one for each node to come.
    history.place("a", PRIVATE);
    let pod = ClusterPod {
        key: ("ml".into(), "a".into()),
        node: Some("a".into()),
        requests: Arc::new(BTreeMap::from([("cpu".to_owned(), 4000)])),
        parent: None,
        is_daemon: false,
    };
    history.take(Fact::Pod(PRIVATE, "pod-a".into(), pod));
    // A pool that may not grow is no room to wait for, and there is no gate to close to the crowd.
    let decision = history.round();
    let released: Vec<_> = decision
        .releases
        .iter()
        .map(|release| &*release.uid)
        .collect();
    assert_eq!(released, ["b", "c", "d"]);
    assert_eq!(decision.gates, []);
    for name in released {
        assert_eq!(history.tasks[name]["metadata"]["labels"][QUEUE], "public");
    }

    // What the engine wrote is what it reads: nobody is released twice.
    let decision = history.round();
    assert_eq!(
        (&decision.releases[..], &decision.nudges[..]),
        (&[][..], &[][..])
    );
    let released = Outcome::Released("public".into());
    assert_eq!(outcome(&decision, "b"), Some(&released));
    history.place("b", PUBLIC);
    assert_eq!(outcome(&history.round(), "b"), None);
}
