//! The credentials of a container: of a task of ECS, or of a pod of EKS.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>.

use super::{Chain, Credentials, CredentialsError, ask, json};
use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::Full;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

const SERVICE: &str = "the container's credentials";
const ECS: &str = "http://169.254.170.2";
/// Where ECS and EKS serve credentials without TLS.
const KNOWN: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Where the environment says that there are any.
pub(super) async fn load(chain: &Chain) -> Result<Option<Credentials>, CredentialsError> {
    let get = |name: &str| chain.environment.get(name);
    let url = match (
        get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        get("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ) {
        (Some(path), _) => format!("{ECS}{path}"),
        (None, Some(url)) if is_safe(url).await => url.to_owned(),
        (None, Some(url)) => {
            return Err(CredentialsError::Service {
                service: SERVICE,
                problem: format!(
                    "`{url}` is neither HTTPS nor this machine, and no address of ECS or EKS"
                ),
            });
        }
        (None, None) => return Ok(None),
    };
    let token = match get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => {
            let token = std::fs::read_to_string(path);
            let token = token.map_err(|error| CredentialsError::File {
                path: path.to_owned(),
                problem: error.to_string(),
            })?;
            Some(token.trim().to_owned())
        }
        None => get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
    };
    let answer = ask(&chain.container, SERVICE, || {
        let mut request = Request::get(&url);
        if let Some(token) = &token {
            request = request.header(AUTHORIZATION, token);
        }
        request.body(Full::new(Bytes::new()))
    })
    .await?;
    let answer = json(SERVICE, &answer)?;
    let credentials = Credentials::of_json(&answer, "Token");
    let credentials = credentials.ok_or_else(|| CredentialsError::Service {
        service: SERVICE,
        problem: "an answer without an access key".to_owned(),
    })?;
    Ok(Some(credentials))
}

/// Whether a token may be sent there.
async fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let is_near = |address: IpAddr| address.is_loopback() || KNOWN.contains(&address);
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => is_near(address.into()),
        ("http", Some(Host::Ipv6(address))) => is_near(address.into()),
        ("http", Some(Host::Domain(name))) => {
            let found = tokio::net::lookup_host((name, 80)).await;
            found.is_ok_and(|found| {
                let found: Vec<_> = found.collect();
                !found.is_empty() && found.iter().all(|address| is_near(address.ip()))
            })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[tokio::test]
    async fn a_token_is_sent_only_to_addresses_that_can_be_trusted() {
        for url in [
            "https://example.com/x",
            "http://127.0.0.1:1/x",
            "http://[::1]/x",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://localhost:1234/x",
        ] {
            assert!(is_safe(url).await, "{url}");
        }
        for url in [
            "http://169.254.169.254/",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "/x",
        ] {
            assert!(!is_safe(url).await, "{url}");
        }
    }
}
