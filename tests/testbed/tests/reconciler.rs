//! The reconciler in operation: two replicas, one of which is lost; what it reports; a configuration
//! that changes while it runs; and jobs when there is no reconciler at all.

use anyhow::{Context, Result};
use hcb_testbed::deployment::mounted;
use hcb_testbed::hybrid::{
    Hybrid, RECONCILER, RECONCILER_NAMESPACE, Setup, hcb_binary, replica_name,
};
use hcb_testbed::judge::{Verdict, judge};
use hcb_testbed::process::Program;
use hcb_testbed::scenario::Scenario;
use hcb_testbed::wait_for;
use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use tokio::sync::Mutex;

const SOON: Duration = Duration::from_secs(30);
/// Seconds count here, and each has servers of its own.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
const REPLICAS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_over_and_explains_where_jobs_are() -> Result<()> {
    let _turn = ONE_AT_A_TIME.lock().await;
    let Some((scenario, hybrid)) = Hybrid::of("ready", Setup::Reconciled).await? else {
        return Ok(());
    };
    wait_for_replicas(&hybrid).await?;
    // One more looks on, and keeps what it sees.
    let record = record_a_run(&hybrid).await?;

    let leader = hybrid.leader().await?.context("a leader")?;
    hybrid.source().stop(&leader)?;
    wait_for("another leader", SOON, async || {
        Ok(hybrid.leader().await?.is_some_and(|other| other != leader))
    })
    .await?;
    let other = hybrid.leader().await?.context("a leader")?;
    let verdict = placed(&scenario, &hybrid, 16, 4).await?;

    let replica = (0..REPLICAS).find(|replica| replica_name(*replica) == other);
    let replica = replica.context("a replica of the Deployment")?;
    let metrics = hybrid.reconciler(replica, "/metrics").await?;
    anyhow::ensure!(metrics.contains("\nhcb_leader 1"), "{metrics}");
    anyhow::ensure!(
        metrics.contains("hcb_releases_total{cluster=\"public\"} 4"),
        "{metrics}"
    );

    let gone = verdict.placements.iter().find(|placement| {
        placement
            .cluster
            .as_deref()
            .is_some_and(|cluster| cluster == "public")
    });
    let job = gone.context("a job in public")?.job.clone();
    let explained = said(&hybrid, &["explain", &job]).await?;
    for part in [
        "runs in public, where it was placed at",
        "nothing before it has room",
        "no node has room",
    ] {
        anyhow::ensure!(explained.contains(part), "no `{part}` in:\n{explained}");
    }
    let status = said(&hybrid, &["status"]).await?;
    for part in [&other, "tier public: ", "100%", "no pod waits"] {
        anyhow::ensure!(status.contains(part), "no `{part}` in:\n{status}");
    }
    let asked = answer(&hybrid, &["explain", "trian-0001"]).await?;
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    anyhow::ensure!(
        asked.status.code() == Some(2) && said.contains("there is no Job `trian-0001`"),
        "{said}"
    );

    // What was decided is decided again of what was seen then.
    hybrid
        .source()
        .with_process("onlooker", |onlooker| onlooker.signal("TERM"))?;
    wait_for("the record", SOON, async || {
        hybrid
            .source()
            .with_process("onlooker", |onlooker| Ok(!onlooker.is_running()))
    })
    .await?;
    let again = answer(&hybrid, &["reconcile", "--replay", &record]).await?;
    let (out, err) = (
        String::from_utf8_lossy(&again.stdout),
        String::from_utf8_lossy(&again.stderr),
    );
    anyhow::ensure!(
        again.status.success() && err.contains("none is different"),
        "{err}"
    );
    anyhow::ensure!(out.contains("may go to public"), "{out}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_is_taken_up_and_jobs_wait_or_burst_without_a_reconciler()
-> Result<()> {
    let _turn = ONE_AT_A_TIME.lock().await;
    let Some((scenario, hybrid)) = Hybrid::of("ready", Setup::Reconciled).await? else {
        return Ok(());
    };
    wait_for_replicas(&hybrid).await?;
    let source = hybrid.source();
    let config = source.with_process(&replica_name(0), |replica| {
        let files = mounted(&replica.program);
        files.into_iter().next().context("a configuration")
    })?;
    let text = fs::read_to_string(&config)?;
    let slow = text.replace("after: 0s", "after: 1h");
    anyhow::ensure!(slow != text, "{text}");

    // What is not understood changes nothing, and is told of as `hcb compile` would.
    fs::write(&config, text.replace("burst:", "brust:"))?;
    logged(&hybrid, "the old one stays").await?;
    logged(&hybrid, "brust").await?;
    // A merged pull request does, without a restart.
    fs::write(&config, &slow)?;
    logged(&hybrid, "the configuration changed").await?;
    scenario.play(&hybrid, Duration::from_secs(15)).await?;
    let verdict = judge(&hybrid)?;
    anyhow::ensure!(
        verdict.placed == [("private".to_owned(), 16)].into(),
        "{verdict:#?}"
    );
    let status = said(&hybrid, &["status"]).await?;
    anyhow::ensure!(status.contains("4 pods wait: 4 BurstDelayed"), "{status}");

    // With nobody there, they wait: that is what `hold` says. Only a gate of the first tier that was closed
    // to them is opened by a CronJob, or nobody would get in there any more.
    for replica in 0..REPLICAS {
        source.stop(&replica_name(replica))?;
    }
    fs::write(&config, &text)?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    anyhow::ensure!(clusters(&hybrid)? == [("private".to_owned(), 16)].into());
    close_first_tier(&hybrid).await?;
    let opened = open_if_down(&hybrid, "hold").await?;
    anyhow::ensure!(
        opened.contains("no reconciler is running; opened: 1 gate; released: 0 pods"),
        "{opened}"
    );
    // With `open`, it lets them go.
    let opened = open_if_down(&hybrid, "open").await?;
    anyhow::ensure!(
        opened.contains("no reconciler is running; opened: 0 gates; released: 4 pods"),
        "{opened}"
    );
    wait_for(
        "those that wait to leave",
        Duration::from_secs(90),
        async || {
            Ok(clusters(&hybrid)? == [("private".to_owned(), 16), ("public".to_owned(), 4)].into())
        },
    )
    .await?;
    Ok(())
}

async fn wait_for_replicas(hybrid: &Hybrid) -> Result<()> {
    let replicas = hybrid.model.scheduling.reconciler.replicas;
    anyhow::ensure!(replicas == REPLICAS, "{replicas} replicas");
    for replica in 0..REPLICAS {
        wait_for("both replicas", SOON, async || {
            Ok(hybrid.reconciler(replica, "/readyz").await.is_ok())
        })
        .await?;
    }
    Ok(())
}

/// Plays the scenario to its end; so many ran in each, and none too early.
async fn placed(
    scenario: &Scenario,
    hybrid: &Hybrid,
    private: usize,
    public: usize,
) -> Result<Verdict> {
    scenario.play(hybrid, PATIENCE).await?;
    hybrid.testbed.keep("reconciler").await?;
    let verdict = judge(hybrid)?;
    let expected = [
        ("private".to_owned(), private),
        ("public".to_owned(), public),
    ];
    anyhow::ensure!(verdict.placed == expected.into(), "{:?}", verdict.placed);
    let counts = (verdict.premature_bursts, verdict.speculative_candidates);
    anyhow::ensure!(counts == (0, 0), "premature and speculative: {counts:?}");
    Ok(verdict)
}

fn clusters(hybrid: &Hybrid) -> Result<BTreeMap<String, usize>> {
    Ok(judge(hybrid)?.placed)
}

/// Starts a reconciler that only looks on, and waits until it sees. Says where it records.
async fn record_a_run(hybrid: &Hybrid) -> Result<String> {
    let source = hybrid.source();
    let record = source.file("run.jsonl").display().to_string();
    let mut program = hybrid.reconciler_program().await?;
    let log = source.file("onlooker.log");
    program.arguments.extend([
        "--listen=127.0.0.1:0".to_owned(),
        "--dry-run".to_owned(),
        format!("--record={record}"),
    ]);
    source.run_as("onlooker", program)?;
    wait_for("the onlooker", SOON, async || {
        Ok(fs::read_to_string(&log).is_ok_and(|log| log.contains("serves metrics")))
    })
    .await?;
    Ok(record)
}

/// Waits until a replica logs this.
async fn logged(hybrid: &Hybrid, what: &str) -> Result<()> {
    let logs: Vec<PathBuf> = (0..REPLICAS)
        .map(|replica| {
            let name = replica_name(replica);
            hybrid
                .source()
                .with_process(&name, |process| Ok(process.log()))
        })
        .collect::<Result<_>>()?;
    wait_for(&format!("`{what}` in the logs"), SOON, async || {
        let has = |log: &PathBuf| fs::read_to_string(log).is_ok_and(|log| log.contains(what));
        Ok(logs.iter().all(has))
    })
    .await
}

/// Leaves the gate of the first tier closed, as a reconciler that is lost may have.
async fn close_first_tier(hybrid: &Hybrid) -> Result<()> {
    let nodes: Api<Node> = Api::all(hybrid.source().client.clone());
    let name = hcb_compile::providers::scheduling::admiralty::virtual_node_name("private");
    let spec = nodes.get(&name).await?.spec.context("a spec")?;
    let mut taints = spec.taints.unwrap_or_default();
    taints.retain(|taint| taint.key != hcb_api::gate::GATE);
    taints.push(Taint {
        key: hcb_api::gate::GATE.to_owned(),
        value: Some("private".to_owned()),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    });
    let patch = Patch::Merge(json!({"spec": {"taints": taints}}));
    nodes.patch(&name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Runs what the `CronJob` would, with an answer to a missing reconciler.
async fn open_if_down(hybrid: &Hybrid, when_down: &str) -> Result<String> {
    let program = hybrid.reconciler_program().await?;
    let config = mounted(&program).into_iter().next();
    let config = config.context("a configuration")?;
    let text = fs::read_to_string(&config)?;
    fs::write(
        &config,
        text.replace("whenDown: hold", &format!("whenDown: {when_down}")),
    )?;
    let Program {
        binary,
        mut arguments,
        environment,
        ..
    } = program;
    arguments.push("--open-if-down".to_owned());
    let output = tokio::task::spawn_blocking(move || {
        Command::new(binary)
            .args(arguments)
            .envs(environment)
            .output()
    })
    .await??;
    let said = String::from_utf8(output.stderr)?;
    anyhow::ensure!(output.status.success(), "{said}");
    Ok(said)
}

/// What `hcb` prints for a person who may read the source cluster.
async fn said(hybrid: &Hybrid, arguments: &[&str]) -> Result<String> {
    let output = answer(hybrid, arguments).await?;
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{arguments:?}: {problem}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn answer(hybrid: &Hybrid, arguments: &[&str]) -> Result<Output> {
    let kubeconfig = hybrid.source().file("admin.kubeconfig");
    let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    tokio::task::spawn_blocking(move || {
        let binary = hcb_binary()?;
        let output = Command::new(binary)
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .output()?;
        Ok(output)
    })
    .await?
}

/// The command line finds the reconciler by the names in the tree.
#[test]
fn the_reconciler_has_the_name_that_the_tree_gives_it() {
    let tree = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../generated/seed/argocd");
    let found = hcb_testbed::apply::manifests(&tree)
        .expect("the tree of the example")
        .into_iter()
        .any(|(_, object): (_, Value)| {
            object["kind"] == "Deployment"
                && object["metadata"]["name"] == RECONCILER
                && object["metadata"]["namespace"] == RECONCILER_NAMESPACE
        });
    assert!(found);
}
