//! The client of an object store, by the usual chain of AWS: environment, profiles, web identity,
//! containers and machines.

use anyhow::Context;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
pub use aws_sdk_s3::Client;
pub use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, ProvideCredentials, Region};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use std::path::PathBuf;
use std::time::Duration;

/// What is known of the store; the rest is the chain's.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Its URL. Default: the chain's.
    pub endpoint: Option<String>,
    /// Credentials in place of the chain's.
    pub credentials: Option<Credentials>,
    /// The region where the chain names none.
    pub region: Option<String>,
    /// A profile of `~/.aws`, before everything else of the chain.
    pub profile: Option<String>,
    /// Whether the name of the bucket stands in the host name rather than in the path.
    pub is_virtual: bool,
    /// A file with certificates of authorities that are trusted besides those of the machine.
    pub authorities: Option<PathBuf>,
}

/// Connects, and sees to it that there are credentials.
///
/// # Errors
/// Where there are none, or the certificates cannot be read.
pub async fn connect(options: &Options) -> anyhow::Result<Client> {
    let mut trust = TrustStore::default();
    if let Some(path) = &options.authorities {
        let read = std::fs::read(path);
        let pem = read.with_context(|| format!("the certificates in `{}`", path.display()))?;
        anyhow::ensure!(
            pem.windows(10).any(|bytes| bytes == b"-----BEGIN"),
            "there is no PEM certificate in `{}`",
            path.display()
        );
        trust = trust.with_pem_certificate(pem);
    }
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls.context("the trusted certificates")?)
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        // A network that is gone for some seconds is no reason to give up.
        .retry_config(RetryConfig::standard().with_max_attempts(5))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .read_timeout(Duration::from_secs(60))
                .build(),
        );
    if let Some(profile) = &options.profile {
        // Else keys in the environment would win over the profile that was asked for.
        loader = loader.profile_name(profile).credentials_provider(
            ProfileFileCredentialsProvider::builder()
                .configure(&ProviderConfig::without_region().with_http_client(http.clone()))
                .profile_name(profile)
                .build(),
        );
    }
    if let Some(credentials) = &options.credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    let shared = loader.load().await;
    let credentials = shared.credentials_provider().context(NO_CREDENTIALS)?;
    credentials.provide_credentials().await.map_err(|error| {
        let why = super::failure::causes(&error);
        match &options.profile {
            Some(profile) => anyhow::anyhow!(
                "the profile `{profile}` gives no credentials; is it in ~/.aws/config or ~/.aws/credentials? ({why})"
            ),
            None => anyhow::anyhow!("{NO_CREDENTIALS} ({why})"),
        }
    })?;
    let mut config =
        aws_sdk_s3::config::Builder::from(&shared).force_path_style(!options.is_virtual);
    if shared.region().is_none() {
        let region = options
            .region
            .clone()
            .unwrap_or_else(|| "us-east-1".to_owned());
        config = config.region(Region::new(region));
    }
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(config.build()))
}

const NO_CREDENTIALS: &str = "there are no credentials for the object store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws with --profile";
