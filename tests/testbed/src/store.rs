//! A real S3 server on loopback: Versity's gateway on a folder, where a folder is a bucket.

use crate::ports::Port;
use crate::process::{Folder, Process, Program};
use crate::tools::Tools;
use anyhow::{Context, Result};
use hcb_transfer::layout::Place;
use hcb_transfer::upload::{Memory, upload};
use hcb_transfer::{Client, Credentials, Environment, Options, Progress};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The access key of the one account.
pub const ACCESS_KEY: &str = "testbed";
/// Its secret key.
pub const SECRET_KEY: &str = "testbed-of-hcb";

/// An object store that runs until this is dropped.
#[derive(Debug)]
pub struct ObjectStore {
    /// Its URL.
    pub url: String,
    /// Its port.
    pub port: u16,
    /// Where buckets are.
    pub folder: PathBuf,
    _process: Process,
    _port: Port,
}

impl ObjectStore {
    /// Starts one with its data below `folder`.
    ///
    /// # Errors
    /// Where it cannot be started, or does not answer.
    pub async fn start(tools: &Tools, folder: &Path, buckets: &[&str]) -> Result<Self> {
        let data = folder.join("buckets");
        for bucket in buckets {
            fs::create_dir_all(data.join(bucket))?;
        }
        // Some temporary file systems keep no extended attributes.
        let sidecar = folder.join("attributes");
        fs::create_dir_all(&sidecar)?;
        let port = Port::reserve()?;
        let address = format!("127.0.0.1:{}", port.number);
        let process = Process::start(
            tools,
            folder,
            Program {
                name: "versitygw".to_owned(),
                binary: tools.binary("versitygw"),
                arguments: vec![
                    format!("--access={ACCESS_KEY}"),
                    format!("--secret={SECRET_KEY}"),
                    format!("--port={address}"),
                    "--keep-alive".to_owned(),
                    "posix".to_owned(),
                    format!("--sidecar={}", sidecar.display()),
                    data.to_str().context("a path in UTF-8")?.to_owned(),
                ],
                environment: Vec::new(),
            },
        )?;
        crate::wait_for("the object store", Duration::from_secs(30), async || {
            Ok(tokio::net::TcpStream::connect(&address).await.is_ok())
        })
        .await?;
        Ok(Self {
            url: format!("http://{address}"),
            port: port.number,
            folder: data,
            _process: process,
            _port: port,
        })
    }

    /// What programs find the store and its account by.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_ENDPOINT_URL_S3", self.url.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// The file that an object is.
    pub fn file(&self, bucket: &str, key: &str) -> PathBuf {
        self.folder.join(bucket).join(key)
    }
}

/// Starts one with empty buckets in a folder of its own, which must outlive it.
///
/// # Errors
/// Where the server cannot be built or started.
pub async fn start(buckets: &[&str]) -> Result<(Folder, ObjectStore)> {
    let tools = tokio::task::spawn_blocking(Tools::object_store).await??;
    let folder = Folder::new(&tools)?;
    let store = ObjectStore::start(&tools, folder.path(), buckets).await?;
    Ok((folder, store))
}

/// Uploads a file to the store at a URL with hcb's own client, beginning anew and saying nothing, and
/// returns its checksum.
///
/// # Errors
/// Where the store refuses it.
pub async fn put(url: &str, file: &Path, place: &Place) -> Result<String> {
    struct Forgetful;
    impl Memory for Forgetful {
        fn get(&self, _: &Place) -> Option<String> {
            None
        }
        fn set(&mut self, _: &Place, _: Option<&str>) -> Result<(), Box<dyn Error + Send + Sync>> {
            Ok(())
        }
    }
    struct Silent;
    impl Progress for Silent {
        fn advance(&self, _: u64, _: bool) {}
    }
    let client = client(url).await?;
    let uploaded = upload(&client, file, place, &mut Forgetful, &Silent).await?;
    Ok(uploaded.checksum)
}

/// A client of the store at a URL, for its one account.
///
/// # Errors
/// Never, with these credentials.
pub async fn client(url: &str) -> Result<Client> {
    let options = Options {
        endpoint: Some(url.to_owned()),
        credentials: Some(Credentials::new(ACCESS_KEY, SECRET_KEY, None)),
        region: Some("us-east-1".to_owned()),
        environment: Environment::new([("AWS_EC2_METADATA_DISABLED", "true")], None),
        ..Options::default()
    };
    Ok(Client::connect(options).await?)
}
