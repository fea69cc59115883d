//! Who connects to a store.

use crate::servers::{Seen, Server};
use hcb_transfer::{Client, Environment, Error, Options};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A user: a home folder with profiles, and an environment.
pub(crate) struct User {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl User {
    /// Without a machine that has credentials.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::create_dir(home.path().join(".aws")).expect("a folder");
        Self {
            home,
            variables: Vec::new(),
        }
        .with("AWS_EC2_METADATA_DISABLED", "true")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_keys(self, id: &str) -> Self {
        self.with("AWS_ACCESS_KEY_ID", id)
            .with("AWS_SECRET_ACCESS_KEY", "secret")
    }

    pub(crate) fn with_config(self, text: &str) -> Self {
        self.write(".aws/config", text);
        self
    }

    pub(crate) fn with_credentials(self, text: &str) -> Self {
        self.write(".aws/credentials", text);
        self
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            environment: Environment::new(self.variables.clone(), Some(self.home.path())),
            ..Options::default()
        }
    }

    /// The request that a store gets of who connects so.
    pub(crate) async fn asks(&self, change: impl FnOnce(&mut Options)) -> Result<Seen, Error> {
        let store = Server::store().await;
        let mut options = self.options();
        options.endpoint = Some(store.url.clone());
        change(&mut options);
        let client = Client::connect(options).await?;
        assert!(client.has_bucket("data").await?);
        Ok(store.last())
    }

    /// The access key and the session token that the request is signed with.
    pub(crate) async fn signs(&self) -> (String, String) {
        let seen = self.asks(|_| {}).await.expect("an answer");
        (seen.signer().0, seen.token().to_owned())
    }

    pub(crate) async fn refused(&self) -> String {
        self.asks(|_| {})
            .await
            .expect_err("no credentials")
            .to_string()
    }
}
