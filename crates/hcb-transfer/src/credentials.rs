//! Credentials by the usual chain of AWS: environment, profiles, web identity, container, machine.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

mod container;
mod machine;
mod process;
mod profile;
mod sso;
mod sts;

use crate::environment::Environment;
use crate::failure::causes;
use crate::profiles::{Profiles, ProfilesError};
use crate::transport::{Answer, Lost, Patience, Transport, Trust, is_transient};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use sts::domain;
use tokio::sync::Mutex;

/// How long before their end credentials are renewed.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);
/// No answer with credentials is larger.
const LARGEST_ANSWER: usize = 1 << 20;

/// An access key, and what belongs to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// When they end, where they do.
    expires: Option<Timestamp>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Credentials that do not end.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<&str>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: session_token.map(str::to_owned),
            expires: None,
        }
    }

    /// The id of the access key.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The token of the session, of temporary credentials.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    pub(crate) fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    /// Of an answer that names them so, as several services do.
    fn of_json(answer: &Value, token: &str) -> Option<Self> {
        let text = |name: &str| answer.get(name)?.as_str();
        Some(Self {
            access_key_id: text("AccessKeyId")?.to_owned(),
            secret_access_key: text("SecretAccessKey")?.to_owned(),
            session_token: text(token).map(str::to_owned),
            expires: match text("Expiration") {
                Some(time) => Some(time.parse().ok()?),
                None => None,
            },
        })
    }

    fn lasts(&self, margin: SignedDuration) -> bool {
        self.expires
            .is_none_or(|expires| expires > Timestamp::now() + margin)
    }
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// No link of the chain has any.
    #[error(
        "neither the environment nor a profile, a web identity, a container or the machine has any"
    )]
    Nowhere,
    /// The files of profiles cannot be used.
    #[error("{0}")]
    Profiles(String),
    /// A profile does not say where its credentials come from, or says it wrongly.
    #[error("the profile `{profile}`: {problem}")]
    Profile {
        /// The profile.
        profile: String,
        /// What is wrong.
        problem: String,
    },
    /// A file that is named cannot be used.
    #[error("`{path}`: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The program of `credential_process` gives none.
    #[error("`credential_process`: {0}")]
    Process(String),
    /// A service gives none.
    #[error("{service}: {problem}")]
    Service {
        /// The service.
        service: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// What the links of the chain need.
#[derive(Debug)]
pub(crate) struct Chain {
    environment: Environment,
    profiles: Result<Profiles, ProfilesError>,
    /// The name of the profile that was asked for, before all else.
    asked: Option<String>,
    region: String,
    transport: Transport,
    container: Transport,
    machine: Transport,
}

impl Chain {
    pub(crate) fn new(
        environment: Environment,
        profiles: Result<Profiles, ProfilesError>,
        asked: Option<String>,
        trust: &Trust,
        transport: Transport,
    ) -> Self {
        let near = |connect, idle| {
            Transport::new(
                trust,
                Patience {
                    connect: Duration::from_secs(connect),
                    idle: Duration::from_secs(idle),
                    attempts: 3,
                },
            )
        };
        Self {
            environment,
            profiles,
            asked,
            region: String::new(),
            transport,
            container: near(2, 5),
            machine: near(1, 1),
        }
    }

    /// The name of the profile that counts.
    pub(crate) fn profile(&self) -> &str {
        let named = self.asked.as_deref();
        named
            .or_else(|| self.environment.get("AWS_PROFILE"))
            .unwrap_or("default")
    }

    /// The region that the environment or the profile names, or else that of the machine.
    pub(crate) async fn region(&self) -> Option<String> {
        let told = self
            .environment
            .get("AWS_REGION")
            .or_else(|| self.environment.get("AWS_DEFAULT_REGION"))
            .or_else(|| self.setting("region"));
        match told {
            Some(region) => Some(region.to_owned()),
            None => machine::region(self).await,
        }
    }

    /// The region in which roles are assumed.
    pub(crate) fn set_region(&mut self, region: &str) {
        region.clone_into(&mut self.region);
    }

    /// A setting of the profile.
    fn setting(&self, name: &str) -> Option<&str> {
        let profiles = self.profiles.as_ref().ok()?;
        profiles.get(self.profile())?.get(name).map(String::as_str)
    }

    /// The URL of a service, by its name in variables (`S3`, `SSO_OIDC`), where the environment or the
    /// profile says one.
    pub(crate) fn endpoint(&self, service: &str) -> Option<&str> {
        let environment = &self.environment;
        let ignored = environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            || self
                .setting("ignore_configured_endpoint_urls")
                .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if ignored {
            return None;
        }
        let profiles = || self.profiles.as_ref().ok();
        environment
            .get(&format!("AWS_ENDPOINT_URL_{service}"))
            .or_else(|| environment.get("AWS_ENDPOINT_URL"))
            .or_else(|| profiles()?.endpoint(self.profile(), &service.to_lowercase()))
    }

    /// The URL of a service of Amazon's in the region, by its name there (`s3`, `sts`).
    pub(crate) fn amazon(&self, service: &str) -> String {
        let is_true = |variable: &str, setting: &str| {
            let setting = self.setting(setting);
            self.environment.is_true(variable)
                || setting.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        let fips = if is_true("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint") {
            "-fips"
        } else {
            ""
        };
        let is_dual = is_true("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
        // Other services have other names for it.
        let dual = if is_dual && service == "s3" {
            ".dualstack"
        } else {
            ""
        };
        let region = &self.region;
        format!("https://{service}{fips}{dual}.{region}.{}", domain(region))
    }

    fn known_profiles(&self) -> Result<&Profiles, CredentialsError> {
        self.profiles
            .as_ref()
            .map_err(|error| CredentialsError::Profiles(causes(error)))
    }

    /// The credentials of the first link that has any.
    async fn load(&self) -> Result<Credentials, CredentialsError> {
        // Else keys in the environment would win over the profile that was asked for.
        if let Some(profile) = &self.asked {
            return profile::named(self, profile).await;
        }
        if let Some(credentials) = self.of_environment() {
            return Ok(credentials);
        }
        if let Some(credentials) = profile::usual(self).await? {
            return Ok(credentials);
        }
        if let Some(credentials) = sts::web_identity_of_environment(self).await? {
            return Ok(credentials);
        }
        if let Some(credentials) = container::load(self).await? {
            return Ok(credentials);
        }
        let machine = machine::load(self).await?;
        machine.ok_or(CredentialsError::Nowhere)
    }

    fn of_environment(&self) -> Option<Credentials> {
        let get = |name: &str| self.environment.get(name);
        let secret = get("AWS_SECRET_ACCESS_KEY").or_else(|| get("SECRET_ACCESS_KEY"));
        Some(Credentials::new(
            get("AWS_ACCESS_KEY_ID")?,
            secret?,
            get("AWS_SESSION_TOKEN"),
        ))
    }
}

/// Credentials that are renewed before they end.
#[derive(Debug)]
pub(crate) struct Renewed {
    source: Source,
    current: Mutex<Option<Credentials>>,
}

#[derive(Debug)]
enum Source {
    Given(Credentials),
    Chain(Box<Chain>),
}

impl Renewed {
    pub(crate) fn given(credentials: Credentials) -> Self {
        Self {
            source: Source::Given(credentials),
            current: Mutex::new(None),
        }
    }

    pub(crate) fn of(chain: Chain) -> Self {
        Self {
            source: Source::Chain(Box::new(chain)),
            current: Mutex::new(None),
        }
    }

    pub(crate) async fn get(&self) -> Result<Credentials, CredentialsError> {
        let chain = match &self.source {
            Source::Given(credentials) => return Ok(credentials.clone()),
            Source::Chain(chain) => chain,
        };
        let mut current = self.current.lock().await;
        if let Some(credentials) = current.as_ref()
            && credentials.lasts(MARGIN)
        {
            return Ok(credentials.clone());
        }
        match (chain.load().await, &*current) {
            (Ok(credentials), _) => {
                *current = Some(credentials.clone());
                Ok(credentials)
            }
            // There may be time to try again with the next request.
            (Err(_), Some(credentials)) if credentials.lasts(SignedDuration::ZERO) => {
                Ok(credentials.clone())
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// Asks a service, again where it may help.
async fn ask(
    transport: &Transport,
    service: &'static str,
    request: impl Fn() -> http::Result<Request<Full<Bytes>>>,
) -> Result<Answer, CredentialsError> {
    let problem = |problem: String| CredentialsError::Service { service, problem };
    let mut done = 0;
    loop {
        let request = request().map_err(|error| problem(error.to_string()))?;
        let answer = transport.send(request, LARGEST_ANSWER).await;
        done += 1;
        let is_final = match &answer {
            Ok(answer) => !is_transient(answer.status),
            Err(_) => false,
        };
        if is_final || !transport.pauses_before_another(done).await {
            return answer.map_err(|error: Lost| problem(error.to_string()));
        }
    }
}

/// What a service said instead of credentials.
fn refusal(service: &'static str, answer: &Answer) -> CredentialsError {
    let body = String::from_utf8_lossy(&answer.body);
    let body: String = body.trim().chars().take(300).collect();
    CredentialsError::Service {
        service,
        problem: format!("{} {body}", answer.status.as_u16())
            .trim_end()
            .to_owned(),
    }
}

/// The JSON of an answer that is one.
fn json(service: &'static str, answer: &Answer) -> Result<Value, CredentialsError> {
    if !answer.status.is_success() {
        return Err(refusal(service, answer));
    }
    serde_json::from_slice(&answer.body).map_err(|error| CredentialsError::Service {
        service,
        problem: format!("an answer that is no JSON: {error}"),
    })
}
