//! The client of an object store: its place, its credentials, and the requests that are needed.

use crate::credentials::sts::domain;
use crate::credentials::{Chain, Credentials, Renewed};
use crate::environment::Environment;
use crate::failure::{Error, Failure, Refusal};
use crate::layout::Place;
use crate::profiles::Profiles;
use crate::sign::{Call, Scope, encode_path, hex_sha256};
use crate::transport::{Answer, Lost, Patience, Transport, Trust, is_transient};
use crate::xml::Element;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH, RANGE, USER_AGENT};
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use jiff::Timestamp;
use std::fmt::Write;
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
const CRC64NVME: &str = "x-amz-checksum-crc64nvme";

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

/// What the store says of an object.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) tag: String,
    /// Whether its checksum is one of checksums of parts.
    pub(crate) is_composite: bool,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc32: Option<String>,
}

/// A part that the store has of an unfinished upload.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) number: i32,
    pub(crate) size: u64,
    pub(crate) checksum: Option<String>,
    pub(crate) tag: String,
}

/// A part that was sent: its number, its checksum and its tag.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) number: i32,
    pub(crate) checksum: String,
    pub(crate) tag: String,
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
struct Asked<'a> {
    method: Method,
    place: &'a Place,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    most: usize,
}

impl<'a> Asked<'a> {
    fn new(method: Method, place: &'a Place) -> Self {
        Self {
            method,
            place,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            most: LARGEST_ANSWER,
        }
    }

    fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, body: impl Into<Bytes>) -> Self {
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
            .unwrap_or_else(|| format!("https://s3.{region}.{}", domain(&region)));
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

    /// Whether a bucket is there. Who may not look at it may still write to it, so that counts as there.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn has_bucket(&self, bucket: &str) -> Result<bool, Error> {
        let place = Place {
            bucket: bucket.to_owned(),
            key: String::new(),
        };
        match self.send(Asked::new(Method::HEAD, &place)).await {
            Ok(_) => Ok(true),
            Err(refused) => match refused.status() {
                Some(status) => Ok(status != 404),
                None => Err(refused.error("reaching", &place)),
            },
        }
    }

    /// What the store says of an object.
    pub(crate) async fn head(&self, place: &Place) -> Result<Head, Refused> {
        let asked = Asked::new(Method::HEAD, place).header("x-amz-checksum-mode", "ENABLED");
        let answer = self.send(asked).await?;
        let text = |name: &str| answer.header(name).map(str::to_owned);
        let size = answer.header("content-length");
        Ok(Head {
            size: size.and_then(|size| size.parse().ok()).unwrap_or_default(),
            tag: text("etag").unwrap_or_default(),
            is_composite: answer.header("x-amz-checksum-type") == Some("COMPOSITE"),
            crc64nvme: text(CRC64NVME),
            sha256: text("x-amz-checksum-sha256"),
            crc32c: text("x-amz-checksum-crc32c"),
            crc32: text("x-amz-checksum-crc32"),
        })
    }

    /// The keys that begin with that of a place.
    pub(crate) async fn keys(&self, place: &Place) -> Result<Vec<String>, Refused> {
        let bucket = Place {
            bucket: place.bucket.clone(),
            key: String::new(),
        };
        let mut keys = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut asked = Asked::new(Method::GET, &bucket)
                .query("list-type", "2")
                .query("prefix", &place.key);
            if let Some(token) = &next {
                asked = asked.query("continuation-token", token);
            }
            let page = document(&self.send(asked).await?, "ListBucketResult")?;
            let found = page.all("Contents").filter_map(|object| object.text("Key"));
            keys.extend(found.map(str::to_owned));
            next = following(&page, "NextContinuationToken", next.as_deref());
            if next.is_none() {
                return Ok(keys);
            }
        }
    }

    /// The bytes of an object from `start` to before `end`, while it has this tag.
    pub(crate) async fn bytes(
        &self,
        place: &Place,
        start: u64,
        end: u64,
        tag: &str,
    ) -> Result<Bytes, Refused> {
        let mut asked = Asked::new(Method::GET, place)
            .header(RANGE.as_str(), format!("bytes={start}-{}", end - 1))
            // Not the second half of what took its place meanwhile.
            .header(IF_MATCH.as_str(), tag);
        // A store that says no has words to say, and one that sends more than was asked for has not understood.
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        asked.most = length.max(1 << 16);
        Ok(self.send(asked).await?.body)
    }

    /// Writes an object in one request.
    pub(crate) async fn put(
        &self,
        place: &Place,
        bytes: Bytes,
        checksum: &str,
    ) -> Result<(), Refused> {
        let asked = Asked::new(Method::PUT, place).header(CRC64NVME, checksum);
        self.send(asked.body(bytes)).await?;
        Ok(())
    }

    /// Starts an upload in parts, and returns its id.
    pub(crate) async fn start(&self, place: &Place) -> Result<String, Refused> {
        let asked = Asked::new(Method::POST, place)
            .query("uploads", "")
            .header("x-amz-checksum-algorithm", "CRC64NVME")
            .header("x-amz-checksum-type", "FULL_OBJECT");
        let root = document(&self.send(asked).await?, "InitiateMultipartUploadResult")?;
        let id = root.text("UploadId").map(str::to_owned);
        id.ok_or_else(|| malformed("no id for the upload"))
    }

    /// Sends a part, and returns its tag.
    pub(crate) async fn put_part(
        &self,
        place: &Place,
        id: &str,
        number: i32,
        bytes: Bytes,
        checksum: &str,
    ) -> Result<String, Refused> {
        let asked = Asked::new(Method::PUT, place)
            .query("partNumber", number.to_string())
            .query("uploadId", id)
            .header(CRC64NVME, checksum)
            .body(bytes);
        let answer = self.send(asked).await?;
        let tag = answer.header("etag").map(str::to_owned);
        tag.ok_or_else(|| malformed("no tag for a part"))
    }

    /// The parts that the store has of an upload; `None` where it knows of no such upload.
    pub(crate) async fn listed(
        &self,
        place: &Place,
        id: &str,
    ) -> Result<Option<Vec<Listed>>, Refused> {
        let mut listed = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut asked = Asked::new(Method::GET, place).query("uploadId", id);
            if let Some(marker) = &next {
                asked = asked.query("part-number-marker", marker);
            }
            let answer = match self.send(asked).await {
                Err(Refused::Answered(refusal)) if refusal.code == "NoSuchUpload" => {
                    return Ok(None);
                }
                answer => answer?,
            };
            let page = document(&answer, "ListPartsResult")?;
            listed.extend(page.all("Part").filter_map(|part| {
                Some(Listed {
                    number: part.text("PartNumber")?.parse().ok()?,
                    size: part.text("Size")?.parse().ok()?,
                    checksum: part.text("ChecksumCRC64NVME").map(str::to_owned),
                    tag: part.text("ETag")?.to_owned(),
                })
            }));
            next = following(&page, "NextPartNumberMarker", next.as_deref());
            if next.is_none() {
                return Ok(Some(listed));
            }
        }
    }

    /// Makes an object of parts, and returns the checksum of it that the store says.
    pub(crate) async fn complete(
        &self,
        place: &Place,
        id: &str,
        parts: &[Sent],
        checksum: &str,
    ) -> Result<Option<String>, Refused> {
        let mut body = String::from(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        for part in parts {
            let _ = write!(
                body,
                "<Part><ChecksumCRC64NVME>{}</ChecksumCRC64NVME><ETag>{}</ETag><PartNumber>{}</PartNumber></Part>",
                part.checksum,
                quick_xml::escape::escape(&part.tag),
                part.number
            );
        }
        body.push_str("</CompleteMultipartUpload>");
        let asked = Asked::new(Method::POST, place)
            .query("uploadId", id)
            .header(CONTENT_TYPE.as_str(), "application/xml")
            .header("x-amz-checksum-type", "FULL_OBJECT")
            .header(CRC64NVME, checksum)
            .body(body);
        let answer = self.send(asked).await?;
        let root = Element::parse(&answer.body);
        let told = root
            .as_ref()
            .and_then(|root| root.text("ChecksumCRC64NVME"));
        Ok(told.or_else(|| answer.header(CRC64NVME)).map(str::to_owned))
    }

    /// Sends a request, again where it may help.
    async fn send(&self, asked: Asked<'_>) -> Result<Answer, Refused> {
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

/// The document that an answer is.
fn document(answer: &Answer, name: &str) -> Result<Element, Refused> {
    let root = Element::parse(&answer.body).filter(|root| root.name() == name);
    root.ok_or_else(|| malformed(&format!("an answer that is no `{name}`")))
}

/// Where the next page begins. A store that sends the same page again and again is not asked forever.
fn following(page: &Element, marker: &str, last: Option<&str>) -> Option<String> {
    let is_cut = page.text("IsTruncated") == Some("true");
    let next = page.text(marker).filter(|_| is_cut)?;
    (Some(next) != last).then(|| next.to_owned())
}

fn malformed(what: &str) -> Refused {
    Refused::Not(Failure::Malformed(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The URL at which a client with these options asks for an object.
    async fn url(endpoint: Option<&str>, region: &str, is_virtual: bool, place: &str) -> String {
        let variables = [("AWS_REGION", region)];
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
                url(endpoint, "eu-west-1", is_virtual, place).await,
                expected
            );
        }
        let china = url(None, "cn-north-1", false, "s3://data/a").await;
        assert_eq!(china, "https://s3.cn-north-1.amazonaws.com.cn/data/a");
    }
}
