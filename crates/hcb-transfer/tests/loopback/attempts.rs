//! What is tried again, what is not, and what is said in the end.

use crate::servers::{Reply, Server};
use hcb_transfer::download::{Object, Target, download, objects};
use hcb_transfer::layout::Place;
use hcb_transfer::upload::{Memory, upload};
use hcb_transfer::{Client, Credentials, Environment, Options, Progress};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Keeps ids, and counts bytes.
#[derive(Default)]
struct Kept {
    ids: BTreeMap<String, String>,
}

impl Memory for Kept {
    fn get(&self, place: &Place) -> Option<String> {
        self.ids.get(&place.to_string()).cloned()
    }

    fn set(&mut self, place: &Place, id: Option<&str>) -> Result<(), Box<dyn Error + Send + Sync>> {
        match id {
            Some(id) => drop(self.ids.insert(place.to_string(), id.to_owned())),
            None => drop(self.ids.remove(&place.to_string())),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Count(AtomicU64);

impl Progress for Count {
    fn advance(&self, bytes: u64, _: bool) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }
}

fn options(url: &str) -> Options {
    Options {
        endpoint: Some(url.to_owned()),
        credentials: Some(Credentials::new("id", "secret", None)),
        environment: Environment::new([("AWS_EC2_METADATA_DISABLED", "true")], None::<&Path>),
        ..Options::default()
    }
}

async fn client(url: &str) -> Client {
    Client::connect(options(url)).await.expect("a client")
}

fn place(url: &str) -> Place {
    Place::parse(url).expect("a place")
}

/// What is in a bucket.
async fn list(url: &str) -> Result<Vec<Object>, hcb_transfer::Error> {
    let client = client(url).await;
    objects(&client, &place("s3://data/"), Path::new("/x"), |_| false).await
}

/// A store that gives these answers one after another, the last one again and again.
async fn answers(replies: Vec<Reply>) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |_| {
        let index = next.fetch_add(1, Ordering::SeqCst);
        replies[index.min(replies.len() - 1)].clone()
    })
    .await
}

fn error(status: u16, code: &str) -> Reply {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
    (status, body)
}

#[tokio::test]
async fn temporary_failures_are_retried_and_refusals_are_not() {
    let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let store = answers(vec![
        (503, String::new()),
        error(400, "SlowDown"),
        error(200, "InternalError"),
        (200, empty.to_owned()),
    ])
    .await;
    let found = list(&store.url);
    assert!(found.await.expect("a list").is_empty());
    assert_eq!(store.seen().len(), 4);

    let store = answers(vec![error(403, "AccessDenied")]).await;
    let found = list(&store.url);
    let said = found.await.expect_err("a refusal").to_string();
    assert_eq!(
        said,
        "listing s3://data/: access denied; the credentials may not do this in the bucket `data`"
    );
    assert_eq!(store.seen().len(), 1);
}

#[tokio::test]
async fn a_request_fails_after_five_attempts() {
    let store = answers(vec![(500, String::new())]).await;
    let found = list(&store.url);
    let said = found.await.expect_err("a refusal").to_string();
    assert_eq!(
        said,
        "listing s3://data/: the store answers with the status 500"
    );
    assert_eq!(store.seen().len(), 5);
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_reported() {
    let client = client("http://127.0.0.1:9").await;
    let said = client
        .has_bucket("data")
        .await
        .expect_err("nobody")
        .to_string();
    assert!(
        said.starts_with("reaching s3://data/: no connection to the store: "),
        "{said}"
    );
    assert!(said.contains("refused"), "{said}");
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let store = answers(vec![
        (200, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a+/=</NextContinuationToken><Contents><Key>f/a b&amp;c.txt</Key></Contents><Contents><Key>f/</Key></Contents></ListBucketResult>".to_owned()),
        (200, "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>f/d</Key></Contents></ListBucketResult>".to_owned()),
        (200, String::new()),
    ])
    .await;
    let client = client(&store.url).await;
    let found = objects(&client, &place("s3://data/f/"), Path::new("/x"), |_| false).await;
    let targets: Vec<_> = found
        .expect("objects")
        .iter()
        .map(|one| one.target.clone())
        .collect();
    assert_eq!(targets, [Path::new("/x/a b&c.txt"), Path::new("/x/d")]);
    let seen = store.seen();
    assert_eq!(seen[0].target, "/data?list-type=2&prefix=f%2F");
    assert_eq!(
        seen[1].target,
        "/data?continuation-token=a%2B%2F%3D&list-type=2&prefix=f%2F"
    );
    assert_eq!(seen[2].target, "/data/f/a%20b%26c.txt");
}

#[tokio::test]
async fn keys_that_lead_out_of_the_folder_are_refused() {
    let list = "<ListBucketResult><Contents><Key>f/../x</Key></Contents></ListBucketResult>";
    let store = answers(vec![(200, list.to_owned())]).await;
    let client = client(&store.url).await;
    let found = objects(&client, &place("s3://data/f/"), Path::new("/x"), |_| false).await;
    let said = found.expect_err("a refusal").to_string();
    assert_eq!(
        said,
        "the key \"f/../x\" in data is no path below a folder; it is not downloaded"
    );
}

#[tokio::test]
async fn an_upload_fails_when_its_completion_is_answered_with_status_200_and_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x");
    fs::write(&file, vec![7; 17 << 20]).expect("a file");
    let store = Server::start(|seen| match (seen.method.as_str(), seen.target.as_str()) {
        ("HEAD", _) => (404, String::new()),
        ("POST", target) if target.ends_with("?uploads=") => (
            200,
            "<InitiateMultipartUploadResult><UploadId>i/1</UploadId></InitiateMultipartUploadResult>".to_owned(),
        ),
        // Without a tag.
        ("PUT", _) => (200, String::new()),
        _ => error(200, "QuotaExceeded"),
    })
    .await;
    let client = client(&store.url).await;
    let mut kept = Kept::default();
    let place = place("s3://data/x");
    let result = upload(&client, &file, &place, &mut kept, &Count::default()).await;
    let said = result.expect_err("no tag").to_string();
    assert_eq!(
        said,
        "uploading to s3://data/x: the store gave no tag for a part"
    );
    assert_eq!(kept.get(&place).as_deref(), Some("i/1"));
    let part = store
        .seen()
        .into_iter()
        .find(|seen| seen.method == "PUT")
        .expect("a part");
    assert!(part.target.ends_with("&uploadId=i%2F1"), "{}", part.target);

    // All parts are there; what fails is told with the id kept.
    let bytes = fs::read(&file).expect("a file");
    let crc =
        |range: std::ops::Range<usize>| hcb_transfer::checksum::Crc64::of(&bytes[range]).text();
    let (first, second) = (crc(0..16 << 20), crc(16 << 20..17 << 20));
    let list = format!(
        "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag><Size>16777216</Size><ChecksumCRC64NVME>{first}</ChecksumCRC64NVME></Part><Part><PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag><Size>1048576</Size><ChecksumCRC64NVME>{second}</ChecksumCRC64NVME></Part></ListPartsResult>"
    );
    let completed = Server::start(move |seen| match seen.method.as_str() {
        "GET" => (200, list.clone()),
        _ => error(200, "QuotaExceeded"),
    })
    .await;
    let client = self::client(&completed.url).await;
    let count = Count::default();
    let result = upload(&client, &file, &place, &mut kept, &count).await;
    let said = result.expect_err("no space").to_string();
    assert_eq!(
        said,
        "completing s3://data/x: the store has no space left (m); what was sent is kept, so make room and run the same command again"
    );
    assert_eq!(kept.get(&place).as_deref(), Some("i/1"));
    assert_eq!(count.0.load(Ordering::SeqCst), 17 << 20);
    let body = completed.last().body;
    assert!(
        body.contains("<ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber>"),
        "{body}"
    );
    let whole = hcb_transfer::checksum::Crc64::of(&bytes).text();
    assert_eq!(completed.last().header("x-amz-checksum-crc64nvme"), whole);
}

/// What comes of a download of 100 bytes, for which the store sends this.
async fn downloaded(reply: Reply) -> (Result<(), hcb_transfer::Error>, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Server::start(move |seen| {
        if seen.method == "HEAD" {
            return (200, "x".repeat(100));
        }
        assert_eq!(seen.header("range"), "bytes=0-99");
        reply.clone()
    })
    .await;
    let client = client(&store.url).await;
    let found = objects(&client, &place("s3://data/x"), folder.path(), |_| false).await;
    let found = found.expect("an object");
    assert_eq!(found[0].size, 100);
    let state = found[0].target_state();
    assert_eq!(state.expect("a state"), Target::Free);
    let result = download(&client, &found[0], false, &Count::default()).await;
    let file = fs::read(folder.path().join("x")).unwrap_or_default();
    (result, file)
}

#[tokio::test]
async fn only_an_answer_of_the_requested_length_completes_a_download() {
    let (result, file) = downloaded((206, "x".repeat(100))).await;
    result.expect("a file");
    assert_eq!(file, [b'x'; 100]);
    // An object that looks like a refusal is none.
    let text = format!(
        "<Error><Code>InternalError</Code></Error>{}",
        " ".repeat(59)
    );
    let (result, file) = downloaded((206, text.clone())).await;
    result.expect("a file");
    assert_eq!(file, text.as_bytes());

    let cases = [
        (
            (206, "x".repeat(99)),
            "s3://data/x: the store sent 99 bytes for 100",
        ),
        (
            (200, "x".repeat(1 << 20)),
            "downloading s3://data/x: the store gave more than 65536 bytes",
        ),
        (
            error(412, "PreconditionFailed"),
            "downloading s3://data/x: the store says PreconditionFailed: m",
        ),
    ];
    for (reply, expected) in cases {
        let (result, file) = downloaded(reply).await;
        assert_eq!(result.expect_err("no file").to_string(), expected);
        assert!(file.is_empty());
    }
}
