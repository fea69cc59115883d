//! The credentials and the region of a machine of EC2, by version 2 of its metadata service.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>.

use super::{Chain, Credentials, CredentialsError, LARGEST_ANSWER, ask, json, refusal};
use crate::transport::Answer;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};

const SERVICE: &str = "the machine's metadata";
const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
/// When the service cannot renew credentials, it goes on to give the old ones, which stores then still take.
const EXTENDED: SignedDuration = SignedDuration::from_mins(10);

/// The metadata of the machine, once it has given a token.
struct Metadata<'a> {
    chain: &'a Chain,
    endpoint: String,
    token: String,
}

/// The credentials of the machine's role, where it is one of EC2 and has a role.
pub(super) async fn load(chain: &Chain) -> Result<Option<Credentials>, CredentialsError> {
    let Some(metadata) = Metadata::reach(chain).await? else {
        return Ok(None);
    };
    let roles = metadata.get(ROLES).await?;
    if roles.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let Some(role) = text(&roles)?
        .lines()
        .next()
        .map(|role| role.trim().to_owned())
    else {
        return Ok(None);
    };
    let answer = metadata.get(&format!("{ROLES}{role}")).await?;
    let answer = json(SERVICE, &answer)?;
    let credentials = Credentials::of_json(&answer, "Token");
    let mut credentials = credentials.ok_or_else(|| CredentialsError::Service {
        service: SERVICE,
        problem: format!("an answer without an access key for the role `{role}`"),
    })?;
    if !credentials.lasts(EXTENDED) {
        credentials.expires = Some(Timestamp::now() + EXTENDED);
    }
    Ok(Some(credentials))
}

/// The region in which the machine is, where it is one of EC2.
pub(super) async fn region(chain: &Chain) -> Option<String> {
    let metadata = Metadata::reach(chain).await.ok()??;
    let answer = metadata.get("latest/meta-data/placement/region").await;
    let region = text(&answer.ok()?).ok()?.trim().to_owned();
    (!region.is_empty()).then_some(region)
}

impl<'a> Metadata<'a> {
    /// `None` where nothing answers.
    async fn reach(chain: &'a Chain) -> Result<Option<Self>, CredentialsError> {
        let environment = &chain.environment;
        if environment.is_true("AWS_EC2_METADATA_DISABLED") {
            return Ok(None);
        }
        let get = |variable: &str, setting: &str| {
            environment.get(variable).or_else(|| chain.setting(setting))
        };
        let told = get(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "ec2_metadata_service_endpoint",
        );
        let mode = get(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
            "ec2_metadata_service_endpoint_mode",
        );
        let default = match mode {
            Some(mode) if mode.eq_ignore_ascii_case("ipv6") => IPV6,
            _ => IPV4,
        };
        let endpoint = told.unwrap_or(default).trim_end_matches('/').to_owned();
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("{endpoint}/latest/api/token"))
            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            .body(Full::new(Bytes::new()))
            .map_err(|error| CredentialsError::Service {
                service: SERVICE,
                problem: error.to_string(),
            })?;
        // Once: on most machines nobody is there, and nobody wants to wait for that.
        let Ok(answer) = chain.machine.send(request, LARGEST_ANSWER).await else {
            return Ok(None);
        };
        Ok(Some(Self {
            chain,
            endpoint,
            token: text(&answer)?.trim().to_owned(),
        }))
    }

    async fn get(&self, path: &str) -> Result<Answer, CredentialsError> {
        ask(&self.chain.machine, SERVICE, || {
            Request::get(format!("{}/{path}", self.endpoint))
                .header("x-aws-ec2-metadata-token", &self.token)
                .body(Full::new(Bytes::new()))
        })
        .await
    }
}

fn text(answer: &Answer) -> Result<String, CredentialsError> {
    if !answer.status.is_success() {
        return Err(refusal(SERVICE, answer));
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}
