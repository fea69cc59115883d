//! The client of an object store: its place and its credentials, and how requests are signed and sent.

use crate::credentials::{Chain, Credentials, Renewed};
use crate::environment::Environment;
use crate::failure::{Error, Failure, Refusal};
use crate::layout::Place;
use crate::profiles::Profiles;
use crate::sign::{Call, Scope, encode_path, hex_sha256};
use crate::transport::{Answer, Lost, Patience, Transport, Trust, is_transient};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;
use url::{Host, Position, Url};

/// The most that is taken of an answer without data; a page of a list is the longest.
const LARGEST_ANSWER: usize = 16 << 20;
/// A network that is gone for some seconds is no reason to give up.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(60),
    attempts: 5,
};
const AGENT: HeaderValue = HeaderValue::from_static(concat!("hcb/", env!("CARGO_PKG_VERSION")));

/// What is known of the store; the rest is the chain's.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its URL. Default: the chain's, then that of Amazon S3 in the region.
    pub endpoint: Option<String>,
    /// Credentials in place of the chain's.
    pub credentials: Option<Credentials>,
    /// The region where the chain names none. Default: `us-east-1`.
    pub region: Option<String>,
    /// A profile of `~/.aws`, before everything else of the chain.
    pub profile: Option<String>,
    /// Whether the name of the bucket stands in the host name rather than in the path.
    pub is_virtual: bool,
    /// A file with certificates of authorities that are trusted besides those of the machine.
    pub authorities: Option<PathBuf>,
    /// Where the chain looks. Default: this process.
    pub environment: Environment,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            credentials: None,
            region: None,
            profile: None,
            is_virtual: false,
            authorities: None,
            environment: Environment::of_process(),
        }
    }
}

/// A client of a store.
#[derive(Debug)]
pub struct Client {
    endpoint: Url,
    is_virtual: bool,
    region: String,
    credentials: Renewed,
    transport: Transport,
}

/// A failure that may still be an answer to a question.
#[derive(Debug)]
pub(crate) enum Refused {
    /// By the store.
    Answered(Refusal),
    /// Without an answer.
    Not(Failure),
}

impl Refused {
    /// The status of the answer, where there is one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(refusal) => Some(refusal.status),
            Self::Not(_) => None,
        }
    }

    /// The error that it is.
    pub(crate) fn error(self, doing: &'static str, place: &Place) -> Error {
        let failure = match self {
            Self::Answered(refusal) => refusal.explain(&place.bucket),
            Self::Not(failure) => failure,
        };
        Error::Store {
            doing,
            place: place.clone(),
            failure,
        }
    }
}

impl<E: Into<http::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Not(Failure::Request(error.into()))
    }
}

/// A request for an object, or for a bucket where there is no key.
pub(crate) struct Asked<'a> {
    method: Method,
    place: &'a Place,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// The most that is taken of the answer.
    most: usize,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(method: Method, place: &'a Place) -> Self {
        Self {
            method,
            place,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            most: LARGEST_ANSWER,
        }
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl Client {
    /// Connects, and sees to it that there are credentials.
    ///
    /// # Errors
    /// Where there are none, where the certificates cannot be read, and where the endpoint is no URL.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let trust = Trust::new(options.authorities.as_deref())?;
        let transport = Transport::new(&trust, PATIENCE);
        let profiles = Profiles::read(&options.environment);
        let asked = options.profile.clone();
        let environment = options.environment;
        let mut chain = Chain::new(environment, profiles, asked, &trust, transport.clone());
        let region = chain.region().await.or(options.region);
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        chain.set_region(&region);
        let endpoint = options
            .endpoint
            .or_else(|| chain.endpoint("S3").map(str::to_owned))
            .unwrap_or_else(|| chain.amazon("s3"));
        let endpoint = Url::parse(&endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or(Error::Endpoint(endpoint))?;
        let credentials = match options.credentials {
            Some(credentials) => Renewed::given(credentials),
            None => Renewed::of(chain),
        };
        let got = credentials.get().await;
        got.map_err(|why| Error::NoCredentials {
            profile: options.profile,
            why,
        })?;
        Ok(Self {
            endpoint,
            is_virtual: options.is_virtual,
            region,
            credentials,
            transport,
        })
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Sends a request, again where it may help.
    pub(crate) async fn send(&self, asked: Asked<'_>) -> Result<Answer, Refused> {
        let digest = digest(asked.body.clone()).await;
        let mut done = 0;
        loop {
            let credentials = self.credentials.get().await;
            let credentials = credentials.map_err(|error| Refused::Not(error.into()))?;
            let request = self.signed(&asked, &digest, &credentials)?;
            let answer = self.transport.send(request, asked.most).await;
            done += 1;
            let (failed, is_transient) = match answer {
                Ok(answer) => {
                    // Of data, only a failure is read.
                    let is_data = asked.method == Method::GET
                        && answer.status.is_success()
                        && asked.query.is_empty();
                    let refusal = if is_data { None } else { Refusal::of(&answer) };
                    let Some(refusal) = refusal else {
                        return Ok(answer);
                    };
                    let again = is_transient(answer.status) || refusal.is_transient();
                    (Refused::Answered(refusal), again)
                }
                Err(lost @ Lost::Unreachable(_)) => {
                    (Refused::Not(Failure::NoConnection(lost)), true)
                }
                Err(lost @ Lost::BrokenOff(_)) => (Refused::Not(Failure::BrokenOff(lost)), true),
                Err(lost @ Lost::TooLong(_)) => (malformed(&lost.to_string()), false),
            };
            if !is_transient || !self.transport.pauses_before_another(done).await {
                return Err(failed);
            }
        }
    }

    fn signed(
        &self,
        asked: &Asked<'_>,
        digest: &str,
        credentials: &Credentials,
    ) -> Result<Request<Full<Bytes>>, Refused> {
        let host = &self.endpoint[Position::BeforeHost..Position::AfterPort];
        let base = self.endpoint.path().trim_end_matches('/');
        let Place { bucket, key } = asked.place;
        let key = encode_path(key);
        let (host, path) = if self.stands_in_host(bucket) {
            (format!("{bucket}.{host}"), format!("{base}/{key}"))
        } else if key.is_empty() {
            (host.to_owned(), format!("{base}/{}", encode_path(bucket)))
        } else {
            let bucket = encode_path(bucket);
            (host.to_owned(), format!("{base}/{bucket}/{key}"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &asked.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        let mut call = Call {
            method: asked.method.clone(),
            host,
            path,
            query: asked.query.clone(),
            headers,
        };
        let scope = Scope {
            region: &self.region,
            service: "s3",
        };
        call.sign(scope, credentials, digest, Timestamp::now())?;
        call.headers.insert(USER_AGENT, AGENT);
        let mut uri = format!("{}://{}{}", self.endpoint.scheme(), call.host, call.path);
        if !call.query.is_empty() {
            uri.push('?');
            uri.push_str(&call.encoded_query());
        }
        let mut request = Request::builder()
            .method(call.method)
            .uri(uri)
            .body(Full::new(asked.body.clone()))?;
        *request.headers_mut() = call.headers;
        Ok(request)
    }

    /// Whether the bucket stands in the host name: where that is asked for, and where it makes a name that
    /// the certificate of the store is for.
    fn stands_in_host(&self, bucket: &str) -> bool {
        let is_name = matches!(self.endpoint.host(), Some(Host::Domain(_)));
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_label =
            |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
        let mut labels = bucket.split('.');
        self.is_virtual
            && is_name
            && (3..=63).contains(&bucket.len())
            && labels.all(|label| is_label(label) && label.chars().all(is_plain))
            && (self.endpoint.scheme() == "http" || !bucket.contains('.'))
    }
}

/// The SHA-256 of a body; of a large one, off the threads that talk to the network.
async fn digest(body: Bytes) -> String {
    if body.len() < 1 << 16 {
        return hex_sha256(&body);
    }
    let bytes = body.clone();
    let digest = tokio::task::spawn_blocking(move || hex_sha256(&bytes)).await;
    digest.unwrap_or_else(|_| hex_sha256(&body))
}

pub(crate) fn malformed(what: &str) -> Refused {
    Refused::Not(Failure::Malformed(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The URL at which a client with these options asks for an object.
    async fn url(
        endpoint: Option<&str>,
        variables: &[(&str, &str)],
        is_virtual: bool,
        place: &str,
    ) -> String {
        let variables = variables.iter().copied();
        let options = Options {
            endpoint: endpoint.map(str::to_owned),
            credentials: Some(Credentials::new("id", "secret", None)),
            is_virtual,
            environment: Environment::new(variables, None),
            ..Options::default()
        };
        let client = Client::connect(options).await.expect("a client");
        let place = Place::parse(place).expect("a place");
        let asked = Asked::new(Method::GET, &place);
        let credentials = client.credentials.get().await.expect("credentials");
        let request = client.signed(&asked, "", &credentials).expect("a request");
        let uri = request.uri().to_string();
        let host = request.headers()["host"].to_str().expect("text");
        assert!(uri.contains(&format!("//{host}/")), "{uri} {host}");
        uri
    }

    #[tokio::test]
    async fn a_bucket_stands_in_the_path_or_in_the_host() {
        let cases = [
            (
                Some("http://store:9000"),
                false,
                "s3://data/a b",
                "http://store:9000/data/a%20b",
            ),
            (
                Some("http://store:9000/"),
                false,
                "s3://data/",
                "http://store:9000/data",
            ),
            (
                Some("https://store:443/s3/"),
                false,
                "s3://data/a//./b",
                "https://store/s3/data/a//./b",
            ),
            (
                Some("https://store"),
                true,
                "s3://data/a",
                "https://data.store/a",
            ),
            (
                Some("https://store"),
                true,
                "s3://data/",
                "https://data.store/",
            ),
            (
                Some("http://store:90"),
                true,
                "s3://my.data/a",
                "http://my.data.store:90/a",
            ),
            // No certificate is for such a name.
            (
                Some("https://store"),
                true,
                "s3://my.data/a",
                "https://store/my.data/a",
            ),
            (
                Some("https://store"),
                true,
                "s3://My_data/a",
                "https://store/My_data/a",
            ),
            (
                Some("http://127.0.0.1:9000"),
                true,
                "s3://data/a",
                "http://127.0.0.1:9000/data/a",
            ),
            (
                None,
                false,
                "s3://data/a",
                "https://s3.eu-west-1.amazonaws.com/data/a",
            ),
            (
                None,
                true,
                "s3://data/a",
                "https://data.s3.eu-west-1.amazonaws.com/a",
            ),
        ];
        for (endpoint, is_virtual, place, expected) in cases {
            assert_eq!(
                url(endpoint, &[("AWS_REGION", "eu-west-1")], is_virtual, place).await,
                expected
            );
        }
        let china = url(None, &[("AWS_REGION", "cn-north-1")], false, "s3://data/a").await;
        assert_eq!(china, "https://s3.cn-north-1.amazonaws.com.cn/data/a");
        let variables = [
            ("AWS_REGION", "us-east-2"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ];
        let fips = url(None, &variables, true, "s3://data/a").await;
        assert_eq!(
            fips,
            "https://data.s3-fips.dualstack.us-east-2.amazonaws.com/a"
        );
    }
}
