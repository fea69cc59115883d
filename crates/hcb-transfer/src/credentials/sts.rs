//! Roles that are assumed, with credentials or with a token of another identity.
//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.

use super::{Chain, Credentials, CredentialsError, ask};
use crate::profiles::Section;
use crate::sign::{Call, Scope, hex_sha256};
use crate::transport::Answer;
use crate::xml::Element;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use jiff::Timestamp;
use url::Url;

const SERVICE: &str = "STS";
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role<'a> {
    arn: &'a str,
    session: Option<&'a str>,
    external_id: Option<&'a str>,
    duration: Option<&'a str>,
}

impl<'a> Role<'a> {
    pub(super) fn of(profile: &'a Section, arn: &'a str) -> Self {
        let get = |setting: &str| profile.get(setting).map(String::as_str);
        Self {
            arn,
            session: get("role_session_name"),
            external_id: get("external_id"),
            duration: get("duration_seconds"),
        }
    }
}

/// With the token that the environment names, as in a pod of EKS.
pub(super) async fn web_identity_of_environment(
    chain: &Chain,
) -> Result<Option<Credentials>, CredentialsError> {
    let get = |name: &str| chain.environment.get(name);
    let Some(token) = get("AWS_WEB_IDENTITY_TOKEN_FILE") else {
        return Ok(None);
    };
    let arn = get("AWS_ROLE_ARN").ok_or_else(|| {
        problem("beside AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN is needed".to_owned())
    })?;
    let role = Role {
        arn,
        session: get("AWS_ROLE_SESSION_NAME"),
        external_id: None,
        duration: None,
    };
    web_identity(chain, role, token).await.map(Some)
}

/// With the token in a file.
pub(super) async fn web_identity(
    chain: &Chain,
    role: Role<'_>,
    token: &str,
) -> Result<Credentials, CredentialsError> {
    let path = chain.environment.path(token);
    let token = std::fs::read_to_string(&path).map_err(|error| CredentialsError::File {
        path: path.display().to_string(),
        problem: error.to_string(),
    })?;
    let body = form(
        "AssumeRoleWithWebIdentity",
        role,
        Some(("WebIdentityToken", token.trim())),
    );
    let answer = send(chain, &body, None).await?;
    credentials(&answer)
}

/// With other credentials.
pub(super) async fn assume_role(
    chain: &Chain,
    with: &Credentials,
    role: Role<'_>,
) -> Result<Credentials, CredentialsError> {
    let answer = send(chain, &form("AssumeRole", role, None), Some(with)).await?;
    credentials(&answer)
}

fn form(action: &str, role: Role<'_>, more: Option<(&str, &str)>) -> String {
    let session = role.session.map_or_else(
        || format!("hcb-{}", Timestamp::now().as_millisecond()),
        str::to_owned,
    );
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action)
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", role.arn)
        .append_pair("RoleSessionName", &session);
    let optional = [
        ("ExternalId", role.external_id),
        ("DurationSeconds", role.duration),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    if let Some((name, value)) = more {
        form.append_pair(name, value);
    }
    form.finish()
}

async fn send(
    chain: &Chain,
    body: &str,
    with: Option<&Credentials>,
) -> Result<Answer, CredentialsError> {
    let region = &chain.region;
    let default = chain.amazon("sts");
    let endpoint = chain.endpoint("STS").unwrap_or(&default);
    let url = Url::parse(endpoint)
        .ok()
        .filter(Url::has_host)
        .ok_or_else(|| problem(format!("`{endpoint}` is no URL of a service")))?;
    let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    ask(&chain.transport, SERVICE, || {
        let mut call = Call {
            method: Method::POST,
            host: host.clone(),
            path: format!("{}/", url.path().trim_end_matches('/')),
            query: Vec::new(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, FORM)]),
        };
        if let Some(credentials) = with {
            let scope = Scope {
                region,
                service: "sts",
            };
            let digest = hex_sha256(body.as_bytes());
            call.sign(scope, credentials, &digest, Timestamp::now())?;
        }
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}://{}{}", url.scheme(), call.host, call.path))
            .body(Full::new(Bytes::from(body.to_owned())))?;
        *request.headers_mut() = call.headers;
        Ok(request)
    })
    .await
}

/// The domain of the services of a region.
pub(super) fn domain(region: &str) -> &'static str {
    let domains = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("us-isof-", "csp.hci.ic.gov"),
    ];
    let found = domains.iter().find(|(start, _)| region.starts_with(start));
    found.map_or("amazonaws.com", |(_, domain)| domain)
}

fn credentials(answer: &Answer) -> Result<Credentials, CredentialsError> {
    let root = Element::parse(&answer.body);
    if !answer.status.is_success() {
        let error = root.as_ref().and_then(|root| root.child("Error"));
        let text = |name| error.and_then(|error| error.text(name));
        return Err(match (text("Code"), text("Message")) {
            (Some(code), message) => problem(format!("{code}: {}", message.unwrap_or_default())),
            _ => super::refusal(SERVICE, answer),
        });
    }
    let found = root.as_ref().and_then(|root| {
        let result = root.name().strip_suffix("Response")?;
        let found = root.child(&format!("{result}Result"))?;
        let found = found.child("Credentials")?;
        Some(Credentials {
            access_key_id: found.text("AccessKeyId")?.to_owned(),
            secret_access_key: found.text("SecretAccessKey")?.to_owned(),
            session_token: found.text("SessionToken").map(str::to_owned),
            expires: Some(found.text("Expiration")?.parse().ok()?),
        })
    });
    found.ok_or_else(|| problem("an answer without credentials".to_owned()))
}

fn problem(problem: String) -> CredentialsError {
    CredentialsError::Service {
        service: SERVICE,
        problem,
    }
}
