//! Credentials of IAM Identity Center, for a user who is logged in with `aws sso login`.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>.

use super::{Chain, Credentials, CredentialsError, ask, json, sts};
use crate::profiles::{Profiles, Section};
use crate::sign::hex_sha1;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json as object};
use std::io::Write;
use std::path::{Path, PathBuf};
use url::form_urlencoded::Serializer;

const SERVICE: &str = "SSO";
/// How long before its end a token is renewed.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// What a profile says of it.
#[derive(Debug)]
pub(super) struct Sso<'a> {
    session: Option<&'a str>,
    start_url: &'a str,
    region: &'a str,
    account: &'a str,
    role: &'a str,
}

impl<'a> Sso<'a> {
    /// Of a profile that says anything of it, or what it lacks.
    pub(super) fn of(
        profiles: &'a Profiles,
        profile: &'a Section,
    ) -> Result<Option<Self>, &'static str> {
        let get = |setting: &str| profile.get(setting).map(String::as_str);
        let session = get("sso_session");
        if session.is_none() && get("sso_start_url").is_none() && get("sso_account_id").is_none() {
            return Ok(None);
        }
        let place = match session {
            Some(name) => profiles
                .session(name)
                .ok_or("there is no `[sso-session]` of the name that `sso_session` says")?,
            None => profile,
        };
        let place = |setting: &str| place.get(setting).map(String::as_str);
        Ok(Some(Self {
            session,
            start_url: place("sso_start_url").ok_or("`sso_start_url` is missing")?,
            region: place("sso_region").ok_or("`sso_region` is missing")?,
            account: get("sso_account_id").ok_or("`sso_account_id` is missing")?,
            role: get("sso_role_name").ok_or("`sso_role_name` is missing")?,
        }))
    }

    /// The file that `aws sso login` leaves a token in.
    fn token_file(&self, home: &Path) -> PathBuf {
        let name = hex_sha1(self.session.unwrap_or(self.start_url).as_bytes());
        home.join(format!(".aws/sso/cache/{name}.json"))
    }
}

/// Those of the role.
pub(super) async fn load(chain: &Chain, sso: &Sso<'_>) -> Result<Credentials, CredentialsError> {
    let token = token(chain, sso).await?;
    let domain = sts::domain(sso.region);
    let default = format!("https://portal.sso.{}.{domain}", sso.region);
    let endpoint = chain.endpoint("SSO").unwrap_or(&default);
    let query = Serializer::new(String::new())
        .append_pair("account_id", sso.account)
        .append_pair("role_name", sso.role)
        .finish();
    let endpoint = endpoint.trim_end_matches('/');
    let url = format!("{endpoint}/federation/credentials?{query}");
    let answer = ask(&chain.transport, SERVICE, || {
        let mut secret = HeaderValue::from_str(&token)?;
        secret.set_sensitive(true);
        Request::get(&url)
            .header("x-amz-sso_bearer_token", secret)
            .body(Full::new(Bytes::new()))
    })
    .await?;
    if answer.status == http::StatusCode::UNAUTHORIZED {
        return Err(expired());
    }
    let answer = json(SERVICE, &answer)?;
    let found = answer.get("roleCredentials").and_then(|found| {
        let text = |name: &str| found.get(name)?.as_str().map(str::to_owned);
        let expires = found.get("expiration")?.as_i64()?;
        Some(Credentials {
            access_key_id: text("accessKeyId")?,
            secret_access_key: text("secretAccessKey")?,
            session_token: text("sessionToken"),
            expires: Some(Timestamp::from_millisecond(expires).ok()?),
        })
    });
    found.ok_or_else(|| problem("an answer without credentials".to_owned()))
}

/// The token of the user who is logged in, renewed where it ends soon and can be renewed.
async fn token(chain: &Chain, sso: &Sso<'_>) -> Result<String, CredentialsError> {
    let home = chain.environment.home();
    let path = sso.token_file(home.ok_or_else(|| problem("there is no home folder".to_owned()))?);
    let Ok(text) = std::fs::read(&path) else {
        return Err(problem(
            "nobody has logged in; run `aws sso login`".to_owned(),
        ));
    };
    let unusable = |problem: &str| CredentialsError::File {
        path: path.display().to_string(),
        problem: problem.to_owned(),
    };
    let kept: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|_| unusable("it is no JSON object"))?;
    let text = |name: &str| kept.get(name).and_then(Value::as_str);
    let token = text("accessToken").ok_or_else(|| unusable("it has no `accessToken`"))?;
    // Old versions of the CLI wrote `UTC` where `Z` is meant.
    let expires = text("expiresAt")
        .and_then(|time| time.replace("UTC", "Z").parse::<Timestamp>().ok())
        .ok_or_else(|| unusable("its `expiresAt` is no time"))?;
    let now = Timestamp::now();
    if expires > now + MARGIN {
        return Ok(token.to_owned());
    }
    if sso.session.is_some()
        && let Some(renewed) = renew(chain, sso, &kept, &path).await
    {
        return Ok(renewed);
    }
    if expires > now {
        return Ok(token.to_owned());
    }
    Err(expired())
}

/// Renews a token, and keeps the new one where the CLI finds it. `None` where that cannot be done.
async fn renew(
    chain: &Chain,
    sso: &Sso<'_>,
    kept: &Map<String, Value>,
    path: &Path,
) -> Option<String> {
    let text = |name: &str| kept.get(name).and_then(Value::as_str);
    let body = object!({
        "clientId": text("clientId")?,
        "clientSecret": text("clientSecret")?,
        "grantType": "refresh_token",
        "refreshToken": text("refreshToken")?,
    })
    .to_string();
    let default = format!("https://oidc.{}.{}", sso.region, sts::domain(sso.region));
    let endpoint = chain.endpoint("SSO_OIDC").unwrap_or(&default);
    let url = format!("{}/token", endpoint.trim_end_matches('/'));
    let answer = ask(&chain.transport, SERVICE, || {
        Request::post(&url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.clone())))
    });
    let answer = json(SERVICE, &answer.await.ok()?).ok()?;
    let token = answer.get("accessToken")?.as_str()?;
    let seconds = answer.get("expiresIn")?.as_i64()?;
    let expires = Timestamp::now()
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()?;
    let mut renewed = kept.clone();
    renewed.insert("accessToken".to_owned(), token.into());
    let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    renewed.insert("expiresAt".to_owned(), expires.into());
    if let Some(next) = answer.get("refreshToken") {
        renewed.insert("refreshToken".to_owned(), next.clone());
    }
    // The old one may be of no use any more, but this one is also good without being kept.
    let _ = keep(&Value::Object(renewed), path);
    Some(token.to_owned())
}

/// Writes a file that only the user can read, whole or not at all.
fn keep(value: &Value, path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(value.to_string().as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn expired() -> CredentialsError {
    problem("the login has expired; run `aws sso login`".to_owned())
}

fn problem(problem: String) -> CredentialsError {
    CredentialsError::Service {
        service: SERVICE,
        problem,
    }
}
