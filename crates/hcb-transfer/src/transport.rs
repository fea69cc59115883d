//! HTTP: one connection pool with time-outs, and attempts that are made again.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The first pause between attempts at most; each next one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a connection, with TLS.
    pub(crate) connect: Duration,
    /// While no byte comes or goes.
    pub(crate) idle: Duration,
    /// How often a request is made, at least once.
    pub(crate) attempts: u32,
}

/// What is trusted.
#[derive(Debug, Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("the certificates in `{path}`")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is none in it.
    #[error("there is no PEM certificate in `{path}`")]
    Missing {
        /// The file.
        path: String,
    },
    /// One of them is none.
    #[error("the certificates in `{path}`: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// Why.
        problem: String,
    },
    /// TLS cannot be set up at all.
    #[error("TLS")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}

impl Trust {
    /// The authorities of the machine, and those of a PEM file.
    pub(crate) fn new(authorities: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        // A machine may have none: then only those of the file are trusted, and plain HTTP works.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = authorities {
            let name = || path.display().to_string();
            let malformed = |error: &dyn Error| TrustError::Malformed {
                path: name(),
                problem: crate::failure::causes(error),
            };
            let pem = std::fs::read(path).map_err(|source| TrustError::Unreadable {
                path: name(),
                source,
            })?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let found = found.map_err(|error| malformed(&error))?;
            if found.is_empty() {
                return Err(TrustError::Missing { path: name() });
            }
            for certificate in found {
                roots.add(certificate).map_err(|error| malformed(&error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::Tls(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// No answer came.
    #[error("{}", crate::failure::causes(.0.as_ref()))]
    Unreachable(Box<dyn Error + Send + Sync>),
    /// The answer broke off.
    #[error("the connection was lost: {}", crate::failure::causes(.0.as_ref()))]
    BrokenOff(Box<dyn Error + Send + Sync>),
    /// The answer has more bytes than this, which is the most that there can be to say.
    #[error("more than {0} bytes")]
    TooLong(usize),
}

/// A connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: Client<TimeoutConnector<HttpsConnector<HttpConnector>>, Full<Bytes>>,
    pub(crate) patience: Patience,
}

impl Transport {
    pub(crate) fn new(trust: &Trust, patience: Patience) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config((*trust.0).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let mut connector = TimeoutConnector::new(tls);
        connector.set_connect_timeout(Some(patience.connect));
        connector.set_read_timeout(Some(patience.idle));
        connector.set_write_timeout(Some(patience.idle));
        // Nothing is read while a part is sent.
        connector.set_reset_reader_on_write(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { client, patience }
    }

    /// Sends a request once. Of the answer, at most `most` bytes are taken.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<Answer, Lost> {
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| Lost::Unreachable(error.into()))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Lost::TooLong(most)
            } else {
                Lost::BrokenOff(error)
            }
        })?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    /// Whether and when the `done`th attempt is followed by another: after a pause that grows, of which a
    /// random share is waited, so that those who failed together do not come again together.
    pub(crate) async fn pauses_before_another(&self, done: u32) -> bool {
        if done >= self.patience.attempts {
            return false;
        }
        let longest = FIRST_PAUSE
            .saturating_mul(1 << (done - 1).min(10))
            .min(LONGEST_PAUSE);
        let random = RandomState::new().build_hasher().finish();
        tokio::time::sleep(longest.mul_f64((random % 1024) as f64 / 1024.0)).await;
        true
    }
}

/// Whether an answer of this status is made up for by another attempt, whatever it says.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    const SHORT: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(60);
    const PATIENT: Patience = Patience {
        connect: LONG,
        idle: SHORT,
        attempts: 1,
    };

    /// A server that does so with each connection.
    async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        address.to_string()
    }

    async fn put(url: &str, body: Bytes, trust: &Trust) -> Result<Answer, Lost> {
        let request = Request::put(url).body(Full::new(body)).expect("a request");
        Transport::new(trust, PATIENT).send(request, 100).await
    }

    fn nobody() -> Trust {
        Trust::new(None).expect("TLS")
    }

    #[tokio::test]
    async fn a_request_to_a_silent_server_times_out() {
        let silent = server(async |mut stream| {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes).await;
        })
        .await;
        let start = Instant::now();
        let lost = put(&format!("http://{silent}"), Bytes::new(), &nobody()).await;
        assert!(matches!(lost, Err(Lost::Unreachable(_))), "{lost:?}");
        assert!(start.elapsed() >= SHORT && start.elapsed() < LONG / 2);
        // TLS is a part of connecting.
        let start = Instant::now();
        let patience = Patience {
            connect: SHORT,
            idle: LONG,
            attempts: 1,
        };
        let request = Request::get(format!("https://{silent}")).body(Full::new(Bytes::new()));
        let transport = Transport::new(&nobody(), patience);
        let lost = transport.send(request.expect("a request"), 100).await;
        assert!(matches!(lost, Err(Lost::Unreachable(_))), "{lost:?}");
        assert!(start.elapsed() >= SHORT && start.elapsed() < LONG / 2);
    }

    #[tokio::test]
    async fn a_slow_request_does_not_time_out_while_bytes_move() {
        let slow = server(async |mut stream| {
            // More than what the buffers of the connection hold.
            let mut left = (64 << 20) + 100;
            let mut buffer = vec![0; 1 << 19];
            while left > 4000 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let read = stream.read(&mut buffer).await.expect("bytes");
                assert!(read > 0);
                left -= read.min(left);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.expect("written");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        })
        .await;
        let start = Instant::now();
        let body = Bytes::from(vec![0; 64 << 20]);
        let answer = put(&format!("http://{slow}"), body, &nobody()).await;
        assert_eq!(answer.expect("an answer").body, "ok");
        assert!(start.elapsed() > SHORT, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_or_too_long_is_an_error() {
        let answers = |answer: String| {
            server(move |mut stream| {
                let answer = answer.clone();
                async move {
                    let mut buffer = [0; 1000];
                    let _ = stream.read(&mut buffer).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            })
        };
        let short = answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok".to_owned()).await;
        let lost = put(&format!("http://{short}"), Bytes::new(), &nobody()).await;
        assert!(matches!(lost, Err(Lost::BrokenOff(_))), "{lost:?}");
        let text = "x".repeat(101);
        let long = answers(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n{text}"
        ))
        .await;
        let lost = put(&format!("http://{long}"), Bytes::new(), &nobody()).await;
        assert!(matches!(lost, Err(Lost::TooLong(100))), "{lost:?}");
    }

    #[tokio::test]
    async fn an_authority_of_a_file_is_trusted_besides_those_of_the_machine() {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let signed = signed.expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, signed.cert.pem()).expect("a file");
        let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key.expect("a key"))
            .expect("a certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let address = server(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut buffer = [0; 1000];
                let _ = stream.read(&mut buffer).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        let url = format!("https://{}", address.replace("127.0.0.1", "localhost"));
        let lost = put(&url, Bytes::new(), &nobody())
            .await
            .expect_err("a stranger");
        assert!(lost.to_string().contains("certificate"), "{lost}");
        let trust = Trust::new(Some(&file)).expect("TLS");
        let answer = put(&url, Bytes::new(), &trust).await.expect("an answer");
        assert_eq!(answer.body, "ok");
    }

    #[test]
    fn a_file_without_a_certificate_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        let said = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&file, text).expect("a file");
            }
            let error = Trust::new(Some(&file)).expect_err("no certificate");
            crate::failure::causes(&error)
        };
        assert!(said(None).contains("No such file"));
        assert!(said(Some("")).contains("there is no PEM certificate in"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(said(Some(broken)).contains("the certificates in"));
    }
}
