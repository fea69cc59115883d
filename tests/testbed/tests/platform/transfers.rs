//! Interrupted transfers go on, and errors are reported before anything is transferred.

use super::person::{Person, says, text};
use super::{NAMESPACE, ONE_AT_A_TIME, SOON, example};
use anyhow::{Context, Result, ensure};
use hcb_testbed::proxy::Proxy;
use hcb_testbed::store::{self, ObjectStore};
use hcb_testbed::{Cluster, ClusterPlan, Testbed, wait_for};
use hcb_transfer::layout::Place;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use std::fs;
use std::path::Path;
use std::process::Stdio;

const MEBIBYTE: u64 = 1 << 20;
/// What requests weigh beside their data.
const OVERHEAD: u64 = MEBIBYTE;

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_transfer_continues_and_loses_nothing() -> Result<()> {
    let _turn = ONE_AT_A_TIME.lock().await;
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let plan = ClusterPlan {
        name: "private".into(),
        pools: Vec::new(),
    };
    let testbed = Testbed::start(&[plan]).await?;
    testbed
        .run("transfers", async |testbed| {
            let source = testbed.cluster("private");
            source.create_namespace(NAMESPACE, &[]).await?;
            let (folder, objects) = store::start(&["datasets", "models"]).await?;
            let proxy = Proxy::start(objects.port).await?;
            let person = Person::new(folder.path().join("home"), source, &proxy.url).await?;
            what_is_wrong_is_told(&person, source, &objects).await?;
            an_upload_goes_on(&person, source, &objects, &proxy).await?;
            an_upload_goes_on_after_hcb_was_killed(&person, source, &objects, &proxy).await?;
            a_download_goes_on(&person, source, &objects, &proxy).await
        })
        .await
}

/// A file of bytes that no two parts of are the same.
fn large(path: &Path, mebibytes: u64, seed: u64) -> Result<Vec<u8>> {
    let mut state = seed;
    let words = (0..mebibytes * MEBIBYTE / 8).flat_map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()
    });
    let bytes: Vec<_> = words.collect();
    fs::write(path, &bytes)?;
    Ok(bytes)
}

async fn jobs(source: &Cluster) -> Result<Vec<String>> {
    let jobs: Api<Job> = Api::namespaced(source.client.clone(), NAMESPACE);
    Ok(jobs
        .list(&ListParams::default())
        .await?
        .items
        .iter()
        .map(ResourceExt::name_any)
        .collect())
}

async fn what_is_wrong_is_told(
    person: &Person,
    source: &Cluster,
    objects: &ObjectStore,
) -> Result<()> {
    let spec = example().display().to_string();
    fs::write(person.home.join("x.npz"), "x")?;
    let submit = |more: &[&'static str]| {
        let mut arguments = vec!["submit", "x.npz", "--spec", &spec, "--detach"];
        arguments.extend(more);
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let cases: [(Vec<String>, &[&str]); 5] = [
        (
            submit(&["-w", "train-digit"]),
            &["there is no workload `train-digit` in the spec; did you mean `train-digits`?"],
        ),
        (
            submit(&["-w", "train-digits", "-p", "epohcs=3", "-p", "x"]),
            &[
                "no parameter `epohcs`; did you mean `EPOCHS`?",
                "`x` is no parameter",
            ],
        ),
        (
            submit(&["-w", "train-digits", "--input", "dateset"]),
            &["no input `dateset`; did you mean `dataset`?"],
        ),
        (
            submit(&["-w", "train-digits", "--profile", "none"]),
            &["the profile `none` gives no credentials"],
        ),
        (
            submit(&["-w", "train-digits", "--endpoint", "http://127.0.0.1:9"]),
            &["no connection to the store"],
        ),
    ];
    for (arguments, parts) in cases {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        says(&person.refused(&arguments).await?, parts)?;
    }
    let missing = ["submit", "none.npz", "--spec", &spec, "-w", "train-digits"];
    says(
        &person.refused(&missing).await?,
        &["the data `none.npz`", "No such file"],
    )?;

    let arguments = submit(&["-w", "train-digits"]);
    let mut wrong = person.hcb(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let output = wrong.env("AWS_SECRET_ACCESS_KEY", "wrong").output()?;
    ensure!(output.status.code() == Some(2));
    says(
        &text(&output.stderr),
        &["the secret key does not match the access key"],
    )?;

    fs::rename(objects.folder.join("models"), objects.folder.join("other"))?;
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let told = person.refused(&arguments).await?;
    says(
        &told,
        &[
            "the object store has no bucket `models`; nothing was uploaded",
            "aws s3 mb s3://models",
        ],
    )?;
    fs::rename(objects.folder.join("other"), objects.folder.join("models"))?;

    ensure!(
        fs::read_dir(objects.folder.join("datasets"))?
            .next()
            .is_none(),
        "something was uploaded"
    );
    ensure!(jobs(source).await?.is_empty(), "a Job was made");
    Ok(())
}

async fn an_upload_goes_on(
    person: &Person,
    source: &Cluster,
    objects: &ObjectStore,
    proxy: &Proxy,
) -> Result<()> {
    let spec = example().display().to_string();
    let bytes = large(&person.home.join("large.npz"), 100, 1)?;
    let submit = [
        "submit",
        "large.npz",
        "--spec",
        &spec,
        "-w",
        "train-digits",
        "--detach",
    ];

    proxy.open_for(60 * MEBIBYTE);
    let told = person.refused(&submit).await?;
    says(
        &told,
        &[
            "the upload is incomplete: ",
            "of 100.0 MiB are uploaded; run the same command again to resume it",
            "no connection to the store",
        ],
    )?;
    ensure!(
        jobs(source).await?.is_empty(),
        "a Job was made of half of the data"
    );

    proxy.open_for(u64::MAX);
    let (run, told) = person.said(&submit).await?;
    says(
        &told,
        &[
            "resuming the upload of train-digits-",
            "were there already",
            "the store has confirmed the checksums",
        ],
    )?;
    // Four parts of 16 MiB may have been on their way when it was cut.
    let again = proxy.up();
    ensure!(
        again < 100 * MEBIBYTE - 16 * MEBIBYTE + OVERHEAD,
        "{again} bytes were sent again"
    );
    let run = run.trim();
    ensure!(
        fs::read(objects.file("datasets", &format!("digits/{run}/large.npz")))? == bytes,
        "other bytes"
    );
    ensure!(jobs(source).await? == [run]);

    // The same command is another run, with places of its own.
    proxy.open_for(u64::MAX);
    let (other, _) = person.said(&submit).await?;
    ensure!(other.trim() != run && jobs(source).await?.len() == 2);
    ensure!(proxy.up() > 100 * MEBIBYTE);
    for job in jobs(source).await? {
        person.said(&["cancel", &job, "--delete"]).await?;
    }
    wait_for("the end of the Jobs", SOON, async || {
        Ok(jobs(source).await?.is_empty())
    })
    .await
}

async fn an_upload_goes_on_after_hcb_was_killed(
    person: &Person,
    source: &Cluster,
    objects: &ObjectStore,
    proxy: &Proxy,
) -> Result<()> {
    let spec = example().display().to_string();
    let bytes = large(&person.home.join("killed.npz"), 160, 2)?;
    let submit = [
        "submit",
        "killed.npz",
        "--spec",
        &spec,
        "-w",
        "train-digits",
        "--detach",
    ];
    proxy.open_for(u64::MAX);
    let mut killed = person
        .hcb(&submit)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    wait_for("half of the data", SOON, async || {
        Ok(proxy.up() > 80 * MEBIBYTE)
    })
    .await?;
    killed.kill()?;
    killed.wait()?;
    ensure!(jobs(source).await?.is_empty());

    proxy.open_for(u64::MAX);
    let (run, told) = person.said(&submit).await?;
    says(&told, &["resuming the upload of", "were there already"])?;
    let again = proxy.up();
    ensure!(
        again <= 160 * MEBIBYTE - 16 * MEBIBYTE + OVERHEAD,
        "{again} bytes were sent again"
    );
    let run = run.trim();
    ensure!(
        fs::read(objects.file("datasets", &format!("digits/{run}/killed.npz")))? == bytes,
        "other bytes"
    );

    let jobs: Api<Job> = Api::namespaced(source.client.clone(), NAMESPACE);
    let (_, told) = person.said(&["cancel", run]).await?;
    says(&told, &["is cancelled"])?;
    ensure!(jobs.get(run).await?.spec.and_then(|spec| spec.suspend) == Some(true));
    let (listed, _) = person.said(&["jobs"]).await?;
    says(&listed, &[run, "cancelled"])?;
    says(
        &person.refused(&["cancel", run]).await?,
        &["is cancelled already"],
    )?;
    Ok(())
}

async fn a_download_goes_on(
    person: &Person,
    source: &Cluster,
    objects: &ObjectStore,
    proxy: &Proxy,
) -> Result<()> {
    let run = jobs(source).await?.into_iter().next().context("a Job")?;
    proxy.open_for(u64::MAX);
    says(
        &person.refused(&["fetch", &run]).await?,
        &["has written nothing to s3://models/digits/"],
    )?;
    let model = objects.file("models", &format!("digits/{run}/model.keras"));
    fs::create_dir_all(model.parent().context("a folder")?)?;
    let bytes = large(&person.home.join("model"), 64, 3)?;
    // As a program would, so that the store has a checksum of it.
    let place = format!("s3://models/digits/{run}/model.keras");
    let place = Place::parse(&place).context("a place")?;
    let uploaded = store::put(&person.endpoint, &person.home.join("model"), &place).await?;
    ensure!(uploaded.len() == 12, "{uploaded}");

    // Four chunks of 8 MiB are on their way at most, the next when the first of them is written: when more than
    // 48 MiB have passed, three are.
    proxy.open_for(48 * MEBIBYTE + OVERHEAD);
    let cut = person.run(&["fetch", &run]).await?;
    ensure!(cut.status.code() == Some(2), "{}", text(&cut.stderr));
    let target = person.home.join(&run).join("model.keras");
    ensure!(!target.exists(), "half of a model");
    proxy.open_for(u64::MAX);
    let (_, told) = person.said(&["fetch", &run]).await?;
    says(&told, &["were there already", "checksums verified"])?;
    let again = proxy.down();
    ensure!(
        again < 64 * MEBIBYTE - 24 * MEBIBYTE + OVERHEAD,
        "{again} bytes came again"
    );
    ensure!(fs::read(&target)? == bytes);

    // The same file is left alone, another one too, unless that is asked for.
    proxy.open_for(u64::MAX);
    let (_, told) = person.said(&["fetch", &run]).await?;
    says(&told, &["1 file there already"])?;
    ensure!(proxy.down() < MEBIBYTE);
    fs::write(&target, "mine")?;
    let told = person.refused(&["fetch", &run]).await?;
    says(
        &told,
        &[
            "1 file would be overwritten",
            "nothing was downloaded",
            "--force",
        ],
    )?;
    ensure!(fs::read(&target)? == b"mine");
    person.said(&["fetch", &run, "--force"]).await?;
    ensure!(fs::read(&target)? == bytes);

    // Bytes that rot in the store are noticed.
    let mut rotten = bytes.clone();
    rotten[12_345] ^= 1;
    fs::write(&model, &rotten)?;
    let told = person.refused(&["fetch", &run, "--out", "rotten"]).await?;
    says(&told, &["has not the CRC64NVME that the store keeps"])?;
    ensure!(!person.home.join("rotten/model.keras").exists());
    Ok(())
}
