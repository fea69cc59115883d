//! Transfers to and from a real S3 server: parts, checksums, what is cut off, and what is refused.

use anyhow::{Context, Result, ensure};
use hcb_testbed::proxy::Proxy;
use hcb_testbed::store::{self, ACCESS_KEY, ObjectStore, SECRET_KEY};
use hcb_transfer::checksum::Crc64;
use hcb_transfer::download::{Object, Target, download, objects};
use hcb_transfer::layout::Place;
use hcb_transfer::upload::{Memory, upload};
use hcb_transfer::{Client, Credentials, Environment, Options, Progress};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MEBIBYTE: u64 = 1 << 20;
/// What requests weigh beside their data.
const OVERHEAD: u64 = MEBIBYTE;

/// Keeps the ids of unfinished uploads, as the command line does in a file.
#[derive(Default)]
struct Ids(BTreeMap<String, String>);

impl Memory for Ids {
    fn get(&self, place: &Place) -> Option<String> {
        self.0.get(&place.to_string()).cloned()
    }

    fn set(&mut self, place: &Place, id: Option<&str>) -> Result<(), Box<dyn Error + Send + Sync>> {
        match id {
            Some(id) => drop(self.0.insert(place.to_string(), id.to_owned())),
            None => drop(self.0.remove(&place.to_string())),
        }
        Ok(())
    }
}

/// Bytes that went over the network, and bytes that were there.
#[derive(Default)]
struct Moved {
    sent: AtomicU64,
    there: AtomicU64,
}

impl Progress for Moved {
    fn advance(&self, bytes: u64, sent: bool) {
        let counter = if sent { &self.sent } else { &self.there };
        counter.fetch_add(bytes, Ordering::SeqCst);
    }
}

impl Moved {
    fn both(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        (load(&self.sent), load(&self.there))
    }
}

fn place(url: &str) -> Result<Place> {
    Place::parse(url).with_context(|| format!("{url} is no place"))
}

/// Bytes of which no two mebibytes are the same.
fn bytes(mebibytes: u64, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = (0..MEBIBYTE / 8).flat_map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()
    });
    let mut block: Vec<_> = words.collect();
    let mut whole = Vec::new();
    for number in 0..mebibytes {
        block[..8].copy_from_slice(&number.to_le_bytes());
        whole.extend_from_slice(&block);
    }
    whole
}

async fn only(client: &Client, place: &Place, folder: &Path) -> Result<Object> {
    let mut found = objects(client, place, folder, |_| false).await?;
    ensure!(found.len() == 1, "{found:?}");
    found.pop().context("an object")
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_all_sizes_arrive_whole_with_checksums_that_the_store_confirms() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let (folder, objects) = store::start(&["data"]).await?;
    let client = store::client(&objects.url).await?;
    let file = folder.path().join("file");
    for (index, size) in [0, 1, 16 * MEBIBYTE, 16 * MEBIBYTE + 1, 40 * MEBIBYTE + 7]
        .into_iter()
        .enumerate()
    {
        let mut whole = bytes(41, index as u64);
        whole.truncate(usize::try_from(size)?);
        fs::write(&file, &whole)?;
        let place = place(&format!("s3://data/of size/{size}+%\u{e4}#?&.bin"))?;
        let (mut ids, moved) = (Ids::default(), Moved::default());
        let uploaded = upload(&client, &file, &place, &mut ids, &moved).await?;
        ensure!(uploaded.checksum == Crc64::of(&whole).text());
        ensure!(moved.both() == (size, 0) && ids.0.is_empty());
        ensure!(
            fs::read(objects.file("data", &place.key))? == whole,
            "{size}"
        );

        // What is there is not sent again.
        let moved = Moved::default();
        upload(&client, &file, &place, &mut ids, &moved).await?;
        ensure!(moved.both() == (0, size), "{size}: {:?}", moved.both());

        let target = folder.path().join("targets");
        let object = only(&client, &place, &target).await?;
        let checksum = object.checksum.as_ref().context("a checksum")?;
        ensure!(checksum.value == uploaded.checksum && object.size == size);
        ensure!(object.target_state()? == Target::Free);
        download(&client, &object, false, &Moved::default()).await?;
        ensure!(fs::read(&object.target)? == whole && object.target_state()? == Target::Same);
        let there = download(&client, &object, false, &Moved::default()).await;
        ensure!(there.is_err(), "an existing file was overwritten");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_continues_from_what_the_store_has() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let (folder, objects) = store::start(&["data"]).await?;
    let proxy = Proxy::start(objects.port).await?;
    let client = store::client(&proxy.url).await?;
    let whole = bytes(256, 1);
    let file = folder.path().join("file");
    fs::write(&file, &whole)?;
    let place = place("s3://data/large")?;
    let mut ids = Ids::default();

    // The network goes. Four parts of 16 MiB are on their way at most, so that three are in the store.
    proxy.open_for(100 * MEBIBYTE);
    let cut = upload(&client, &file, &place, &mut ids, &Moved::default()).await;
    let said = cut.expect_err("it was cut").to_string();
    ensure!(
        said.contains("uploading to s3://data/large: no connection to the store"),
        "{said}"
    );
    ensure!(ids.get(&place).is_some());

    // The program goes: nothing that it had in hand is finished. Two more parts are in the store.
    proxy.open_for(100 * MEBIBYTE);
    let other = store::client(&proxy.url).await?;
    {
        let moved = Moved::default();
        let killed = upload(&other, &file, &place, &mut ids, &moved);
        tokio::select! {
            done = killed => ensure!(done.is_err(), "it was too fast to be killed"),
            () = passed(&proxy, 90 * MEBIBYTE) => {}
        }
    }
    ensure!(ids.get(&place).is_some() && !objects.file("data", "large").exists());

    // What was on its way in the proxy is not counted any more.
    let mut before = u64::MAX;
    while proxy.up() != before {
        before = proxy.up();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    proxy.open_for(u64::MAX);
    let moved = Moved::default();
    let uploaded = upload(&client, &file, &place, &mut ids, &moved).await?;
    let (sent, there) = moved.both();
    ensure!(
        sent + there == 256 * MEBIBYTE && there >= 80 * MEBIBYTE,
        "{sent} {there}"
    );
    ensure!(
        proxy.up() <= sent + OVERHEAD,
        "{} bytes were sent for {sent}",
        proxy.up()
    );
    ensure!(uploaded.checksum == Crc64::of(&whole).text() && ids.0.is_empty());
    ensure!(fs::read(objects.file("data", "large"))? == whole);

    // An id that the store has forgotten is no hindrance.
    ids.set(&place, Some("gone"))
        .map_err(anyhow::Error::from_boxed)?;
    let moved = Moved::default();
    upload(&client, &file, &place, &mut ids, &moved).await?;
    ensure!(moved.both() == (0, 256 * MEBIBYTE) && ids.0.is_empty());
    Ok(())
}

/// Waits until so many bytes went up.
async fn passed(proxy: &Proxy, bytes: u64) {
    while proxy.up() < bytes {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_download_continues_and_corrupt_bytes_are_discarded() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let (folder, objects) = store::start(&["data"]).await?;
    let proxy = Proxy::start(objects.port).await?;
    let client = store::client(&proxy.url).await?;
    let whole = bytes(64, 2);
    let file = folder.path().join("file");
    fs::write(&file, &whole)?;
    let place = place("s3://data/model")?;
    store::put(&objects.url, &file, &place).await?;
    let target = folder.path().join("target");

    let object = only(&client, &place, &target).await?;
    proxy.open_for(48 * MEBIBYTE + OVERHEAD);
    let cut = download(&client, &object, false, &Moved::default()).await;
    ensure!(cut.is_err() && !object.target.exists());
    proxy.open_for(u64::MAX);
    let moved = Moved::default();
    download(&client, &object, false, &moved).await?;
    let (sent, there) = moved.both();
    ensure!(
        sent + there == 64 * MEBIBYTE && there >= 24 * MEBIBYTE,
        "{sent} {there}"
    );
    ensure!(proxy.down() <= sent + OVERHEAD && fs::read(&object.target)? == whole);

    // What another object was begun with is not gone on with.
    let other = bytes(64, 3);
    fs::write(&file, &other)?;
    store::put(&objects.url, &file, &place).await?;
    let stale = download(&client, &object, true, &Moved::default()).await;
    let said = stale.expect_err("it has changed").to_string();
    ensure!(said.contains("PreconditionFailed"), "{said}");
    let object = only(&client, &place, &target).await?;
    ensure!(object.target_state()? == Target::Other);
    download(&client, &object, true, &Moved::default()).await?;
    ensure!(fs::read(&object.target)? == other);

    let mut rotten = other;
    rotten[12_345] ^= 1;
    fs::write(objects.file("data", "model"), &rotten)?;
    let object = only(&client, &place, &folder.path().join("rotten")).await?;
    let result = download(&client, &object, false, &Moved::default()).await;
    let said = result.expect_err("it is rotten").to_string();
    ensure!(
        said.contains("has not the CRC64NVME that the store keeps"),
        "{said}"
    );
    ensure!(!object.target.exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_of_a_folder_are_listed() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let (folder, store) = store::start(&["data"]).await?;
    let client = store::client(&store.url).await?;
    // A page of a list has at most a thousand keys.
    let below = store.file("data", "many");
    fs::create_dir_all(&below)?;
    for number in 0..1100 {
        fs::write(below.join(format!("{number} &<\u{e4}>.txt")), "x")?;
    }
    let found = objects(&client, &place("s3://data/many/")?, folder.path(), |key| {
        key.starts_with("many/7")
    })
    .await?;
    let expected = (0..1100).filter(|number| !number.to_string().starts_with('7'));
    ensure!(found.len() == expected.count(), "{}", found.len());
    let keys = found.iter().map(|object| object.place.key.as_str());
    ensure!(keys.clone().any(|key| key == "many/1099 &<\u{e4}>.txt"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_store_is_reported_with_what_to_do() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let (folder, objects) = store::start(&["data"]).await?;
    let file = folder.path().join("file");
    let large = folder.path().join("large");
    fs::write(&file, "x")?;
    fs::write(&large, bytes(17, 4))?;
    let refused = async |id: &str, secret: &str, url: &str, file: &Path| {
        let client = connect(&objects, id, secret).await?;
        let (mut ids, moved) = (Ids::default(), Moved::default());
        let result = upload(&client, file, &place(url)?, &mut ids, &moved).await;
        let refused = result.err().context("it was not refused")?;
        anyhow::Ok(format!("{:#}", anyhow::Error::from(refused)))
    };
    let cases = [
        (
            ACCESS_KEY,
            "wrong",
            "s3://data/x",
            &file,
            "uploading to s3://data/x: the secret key does not match the access key",
        ),
        (
            "nobody",
            "wrong",
            "s3://data/x",
            &file,
            "uploading to s3://data/x: the store does not know the access key",
        ),
        (
            ACCESS_KEY,
            SECRET_KEY,
            "s3://none/x",
            &file,
            "uploading to s3://none/x: there is no bucket `none`; make it (`aws s3 mb s3://none`)",
        ),
        (
            ACCESS_KEY,
            SECRET_KEY,
            "s3://none/x",
            &large,
            "uploading to s3://none/x: there is no bucket `none`",
        ),
    ];
    for (id, secret, url, file, expected) in cases {
        let said = refused(id, secret, url, file).await?;
        ensure!(said.starts_with(expected), "{said}");
    }
    let client = store::client(&objects.url).await?;
    ensure!(client.has_bucket("data").await? && !client.has_bucket("none").await?);
    // Who may not look may still write.
    let stranger = connect(&objects, ACCESS_KEY, "wrong").await?;
    ensure!(stranger.has_bucket("data").await?);
    let missing = only(&client, &place("s3://data/none")?, folder.path()).await;
    let said = missing.err().context("it is there")?.to_string();
    ensure!(
        said == "looking at s3://data/none: it is not there",
        "{said}"
    );
    Ok(())
}

async fn connect(objects: &ObjectStore, id: &str, secret: &str) -> Result<Client> {
    let options = Options {
        endpoint: Some(objects.url.clone()),
        credentials: Some(Credentials::new(id, secret, None)),
        environment: Environment::new([("AWS_EC2_METADATA_DISABLED", "true")], None),
        ..Options::default()
    };
    Ok(Client::connect(options).await?)
}
