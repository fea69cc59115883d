//! Data is uploaded, a model is trained where there is room, and downloaded.

use super::following::{Following, logged_live};
use super::person::{Person, says, text};
use super::pods::{wait_for_job, wait_for_pod, write_log};
use super::{ONE_AT_A_TIME, example};
use anyhow::{Context, Result, ensure};
use hcb_testbed::cluster::POD_LOGS;
use hcb_testbed::container::{self, End};
use hcb_testbed::hybrid::{Hybrid, Setup};
use hcb_testbed::python;
use hcb_testbed::scenario::Act;
use hcb_testbed::secrets::Store;
use hcb_testbed::store::{self, ACCESS_KEY, ObjectStore, SECRET_KEY};
use kube::ResourceExt;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the model of the example reaches on digits that it has not seen.
const ACCURACY: f64 = 0.95;

#[tokio::test(flavor = "multi_thread")]
async fn data_is_uploaded_a_model_is_trained_and_fetched() -> Result<()> {
    let _turn = ONE_AT_A_TIME.lock().await;
    let Some(python) = tokio::task::spawn_blocking(python::python).await?? else {
        return Ok(());
    };
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let (folder, objects) = store::start(&["datasets", "models"]).await?;
    let spec = spec(&folder.path().join("spec"), &objects)?;
    let Some(hybrid) = Hybrid::of_spec(&spec, Setup::Reconciled, Duration::from_secs(2)).await?
    else {
        return Ok(());
    };
    let result = train(&hybrid, &python, folder.path(), &objects).await;
    if result.is_err() {
        hybrid.testbed.keep("platform").await?;
    }
    result
}

/// The spec of the platform with the address of the store, and the workload of the example as it is.
fn spec(folder: &Path, objects: &ObjectStore) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let cloud = include_str!("../../platform.yaml").replace("OBJECT_STORE", &objects.url);
    fs::write(folder.join("cloud.yaml"), cloud)?;
    let workload = example().join("workloads/train-digits.yaml");
    fs::copy(workload, folder.join("train-digits.yaml"))?;
    Ok(folder.to_owned())
}

async fn train(hybrid: &Hybrid, python: &Path, folder: &Path, objects: &ObjectStore) -> Result<()> {
    // What External Secrets would bring, by what the tree asks for.
    let key = &hybrid
        .model
        .object_store
        .as_ref()
        .context("an object store")?
        .credentials_key;
    let mut secrets = Store::new(Vec::new());
    secrets.put(key, "accessKeyId", ACCESS_KEY.as_bytes());
    secrets.put(key, "secretAccessKey", SECRET_KEY.as_bytes());
    secrets.pull(hybrid.source()).await?;

    let mut person = Person::new(folder.join("home"), hybrid.source(), &objects.url).await?;
    // The contexts of both clusters; the source's is the current one.
    let kubeconfigs = hybrid
        .testbed
        .clusters
        .iter()
        .map(|cluster| cluster.file("admin.kubeconfig"));
    person.kubeconfig = std::env::join_paths(kubeconfigs)?.into();
    let data = person.home.join("digits.npz");
    let made = Command::new(python)
        .arg(python::program().join("make_dataset.py"))
        .arg(&data)
        .output()?;
    ensure!(made.status.success(), "{}", text(&made.stderr));
    // Private is full, so this job leaves.
    let others = Act::OtherPods {
        cluster: "private",
        count: 16,
        cpu: 1,
        run_for: Duration::from_secs(1800),
    };
    others.play(hybrid, &mut 0).await?;

    let spec = folder.join("spec").display().to_string();
    let submit = [
        "submit",
        "digits.npz",
        "--spec",
        &spec,
        "-w",
        "train-digits",
        "-p",
        "epochs=8",
        "-p",
        "checkpoint-seconds=0",
        "--target",
        "public=public",
    ];
    let mut submitted = Following::start(person.hcb(&submit))?;
    let job = wait_for_job(hybrid.source()).await?;
    let run = job.name_any();
    ensure!(run.starts_with("train-digits-"), "{run}");

    // The pod that a kubelet of the target would run, until it is killed.
    let first = wait_for_pod(hybrid, &run, None).await?;
    ensure!(first.cluster == "public", "it is in {}", first.cluster);
    let mut program = first.start(hybrid, python).await?;
    let target = hybrid.testbed.cluster(&first.cluster);
    let mut printed = BufReader::new(program.stdout.take().context("its output")?).lines();
    let mut is_far = false;
    while let Some(line) = printed.next().transpose()? {
        write_log(target, &line)?;
        is_far = line.starts_with("epoch 3/8:");
        if is_far {
            break;
        }
    }
    ensure!(is_far, "the training ended by itself");
    program.kill()?;
    program.wait()?;
    logged_live(&mut submitted, "epoch 3/8:").await?;
    container::ended(target, &first.pod, End::Evicted).await?;
    ensure!(
        objects
            .file(
                "models",
                &format!("digits/{run}/checkpoints/checkpoint.npz")
            )
            .exists(),
        "no checkpoint"
    );

    // Kubernetes makes another, which goes on.
    let second = wait_for_pod(hybrid, &run, Some(&first.pod)).await?;
    fs::write(target.file(POD_LOGS), "")?;
    let program = second.start(hybrid, python).await?;
    let output = tokio::task::spawn_blocking(move || program.wait_with_output()).await??;
    let log = format!("{}{}", text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{log}");
    says(&log, &["From the checkpoint: epoch ", "epoch 8/8: "])?;
    for line in log.lines() {
        write_log(hybrid.testbed.cluster(&second.cluster), line)?;
    }
    logged_live(&mut submitted, "epoch 8/8:").await?;
    ensure!(
        !log.contains("epoch 2/8:"),
        "it did again what was done:\n{log}"
    );
    container::ended(
        hybrid.testbed.cluster(&second.cluster),
        &second.pod,
        End::Exited(0),
    )
    .await?;

    let said = submitted.end().await?;
    let log = submitted.printed(0);
    ensure!(
        log.matches("epoch 8/8:").count() == 1,
        "a log was printed twice:\n{log}"
    );
    keep("submit", &format!("{said}{log}"))?;
    says(
        &said,
        &[
            &format!("uploaded 1 file to s3://datasets/digits/{run}/digits.npz"),
            "the store has confirmed the checksums",
            &format!("submitted {run} in ml"),
            "is queued",
            "was placed in public after",
            "it may go to public: nothing before it has room (private: no node has room",
            "runs in public",
            "was evicted from public (TerminationByKubelet)",
            &format!("{run} done, "),
            &format!("`hcb fetch {run} -n ml`"),
        ],
    )?;

    let (logs, _) = person
        .said(&["logs", &run, "--target", "public=public"])
        .await?;
    says(&logs, &["From the checkpoint: epoch ", "epoch 8/8:"])?;
    let (explained, _) = person.said(&["explain", &run]).await?;
    says(
        &explained,
        &[
            "done in public, where it was placed at",
            "it may go to public: nothing before it has room",
            "no node has room: the roomiest has",
        ],
    )?;

    let (listed, _) = person.said(&["jobs"]).await?;
    let line = listed
        .lines()
        .find(|line| line.contains(&run))
        .context("the job in the list")?;
    says(line, &["public", "done"])?;
    let (json, _) = person.said(&["jobs", "--format", "json"]).await?;
    let json: Value = serde_json::from_str(&json)?;
    let own = json["jobs"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|job| job["name"] == run.as_str());
    let own = own.context("the job")?;
    ensure!(
        json["currency"] == "EUR" && own["cost"].as_f64().is_some_and(|cost| cost > 0.0),
        "{own}"
    );

    let (files, told) = person.said(&["fetch", &run]).await?;
    keep("jobs", &listed)?;
    keep("explain", &explained)?;
    keep("logs", &logs)?;
    keep("fetch", &format!("{told}{files}"))?;
    ensure!(
        files == format!("{run}/metrics.json\n{run}/model.keras\n{run}/report.md\n"),
        "{files}"
    );
    says(&told, &["downloaded 3 files", "checksums verified"])?;
    ensure!(
        fs::read(person.home.join(&run).join("model.keras"))?
            == fs::read(objects.file("models", &format!("digits/{run}/model.keras")))?
    );
    let metrics: Value =
        serde_json::from_slice(&fs::read(person.home.join(&run).join("metrics.json"))?)?;
    ensure!(
        metrics["resumed"] == 1 && metrics["epochs"] == 8,
        "{metrics}"
    );
    let told = accuracy(python, &person.home.join(&run).join("model.keras"), &data)?;
    ensure!(told >= ACCURACY, "the model tells {told} right");

    // The engine's marks are not on it, and it is not among what the engine applies.
    let marks = [
        "argocd.argoproj.io",
        "kustomize.toolkit.fluxcd.io",
        "app.kubernetes.io/instance",
    ];
    let metadata = serde_json::to_string(&job.metadata)?;
    ensure!(
        !marks.iter().any(|mark| metadata.contains(mark)),
        "{metadata}"
    );
    Ok(())
}

/// The program has tests of its own, in Python; here they get an object store too.
#[tokio::test(flavor = "multi_thread")]
async fn the_training_program_passes_its_own_tests() -> Result<()> {
    let _turn = ONE_AT_A_TIME.lock().await;
    let Some(python) = tokio::task::spawn_blocking(python::python).await?? else {
        return Ok(());
    };
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let (folder, objects) = store::start(&["tests"]).await?;
    let mut pytest = Command::new(&python);
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o"])
        .arg("tmp_path_retention_policy=none")
        .arg("--basetemp")
        .arg(folder.path().join("pytest"))
        .current_dir(python::program())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HCB_TEST_S3", "s3://tests/")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .envs(objects.environment())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || pytest.output()).await??;
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{said}");
    let summary = said.lines().last().unwrap_or_default();
    // One says of itself that it is not for folders.
    says(summary, &["passed", "1 skipped"])
}

/// How much of the test data the model tells right, by Keras itself.
fn accuracy(python: &Path, model: &Path, data: &Path) -> Result<f64> {
    let program = "import sys, keras, numpy as np
arrays = np.load(sys.argv[2])
model = keras.saving.load_model(sys.argv[1])
x = (arrays['x_test'] / arrays['x_train'].max()).astype('float32')[..., None]
print((model.predict(x, verbose=0).argmax(axis=1) == arrays['y_test']).mean())";
    let output = Command::new(python)
        .args(["-c", program])
        .args([model, data])
        .env("KERAS_BACKEND", "jax")
        .output()?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    Ok(text(&output.stdout).trim().parse()?)
}

/// Keeps what a person sees, for the documentation.
fn keep(name: &str, text: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed/platform-seen");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), text)?)
}
