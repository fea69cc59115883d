//! What went wrong, in words that help.

use crate::credentials::CredentialsError;
use crate::layout::Place;
use crate::transport::{Answer, Lost, TrustError};
use crate::xml::Element;
use std::path::PathBuf;

/// What can go wrong with the files of an object store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no credentials to begin with.
    #[error("{}", no_credentials(.profile.as_deref(), .why))]
    NoCredentials {
        /// The profile that was asked for.
        profile: Option<String>,
        /// What the chain says.
        why: CredentialsError,
    },
    /// The certificates that are to be trusted cannot be.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The store's URL is none.
    #[error("`{0}` is no URL of an object store")]
    Endpoint(String),
    /// The store refused a request, or did not get it.
    #[error("{doing} {place}: {failure}")]
    Store {
        /// What was being done, as in `uploading to`.
        doing: &'static str,
        /// With what.
        place: Place,
        /// Why it was not.
        failure: Failure,
    },
    /// The store did as it was asked, and says something that cannot be.
    #[error("{place}: {problem}")]
    Answer {
        /// With what.
        place: Place,
        /// What cannot be.
        problem: String,
    },
    /// A key of the store that is no path below a folder.
    #[error("the key {key:?} in {bucket} is no path below a folder; it is not downloaded")]
    Key {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A file of this machine.
    #[error("{doing}`{path}`")]
    File {
        /// What was being done, with a space behind it, or nothing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// A file changed while it was uploaded.
    #[error(
        "`{0}` changed while it was uploaded; run the same command again when nothing writes to it"
    )]
    Changed(PathBuf),
    /// Two programs download the same object to the same place.
    #[error("`{0}` is being written by another hcb")]
    Locked(PathBuf),
    /// What came is not what the store keeps.
    #[error(
        "{place}: what came has not the {algorithm} that the store keeps; it was thrown away, so try again"
    )]
    Checksum {
        /// The object.
        place: Place,
        /// The checksum that was compared.
        algorithm: &'static str,
    },
    /// Whoever keeps the ids of unfinished uploads could not.
    #[error(transparent)]
    Memory(Box<dyn std::error::Error + Send + Sync>),
}

/// Why the store did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no such bucket.
    #[error(
        "there is no bucket `{0}`; make it (`aws s3 mb s3://{0}`), or name another in the spec"
    )]
    NoBucket(String),
    /// The access key is not one of the store's.
    #[error("the store does not know the access key; are these the credentials of this store?")]
    UnknownKey,
    /// The secret key is not that of the access key.
    #[error("the secret key does not match the access key")]
    WrongSecret,
    /// Temporary credentials have ended.
    #[error("the credentials have expired; log in again")]
    Expired,
    /// The store and this machine do not agree on the time.
    #[error("the clock of this machine is wrong by minutes")]
    SkewedClock,
    /// The store is full, or a quota is used up.
    #[error(
        "the store has no space left ({0}); what was sent is kept, so make room and run the same command again"
    )]
    NoSpace(String),
    /// The credentials are good, but not for this.
    #[error("access denied; the credentials may not do this in the bucket `{0}`")]
    Denied(String),
    /// The store got other bytes than were sent.
    #[error("the bytes were damaged on the way; try again")]
    Damaged,
    /// There is no such object.
    #[error("it is not there")]
    NotThere,
    /// The store was not reached, or did not answer.
    #[error("no connection to the store: {0}")]
    NoConnection(Lost),
    /// The answer broke off.
    #[error("the connection was lost; run the same command again, and it goes on")]
    BrokenOff(#[source] Lost),
    /// Credentials ended, and no new ones could be got.
    #[error("the credentials cannot be renewed: {0}")]
    Credentials(#[from] CredentialsError),
    /// The store says something else.
    #[error("the store says {code}: {message}")]
    Other {
        /// Its code for it.
        code: String,
        /// Its words.
        message: String,
    },
    /// The store answers with a status alone.
    #[error("the store answers with the status {0}")]
    Status(u16),
    /// The store answers with what is no answer to the question.
    #[error("the store gave {0}")]
    Malformed(String),
    /// The request cannot be made, since something in it is no value of a header.
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
}

/// All causes of an error, the outermost first, each said once.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if said.last().is_none_or(|last| !last.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

fn no_credentials(profile: Option<&str>, why: &CredentialsError) -> String {
    match profile {
        Some(profile) => format!(
            "the profile `{profile}` gives no credentials; is it in ~/.aws/config or ~/.aws/credentials? ({why})"
        ),
        None => format!(
            "there are no credentials for the object store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws with --profile ({why})"
        ),
    }
}

/// What a store says when it refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// A word for it; HEAD requests get none.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refusal {
    /// Of an answer that is no success, or of one that says so only in its body.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        let error = Element::parse(&answer.body).filter(|root| root.name() == "Error");
        if answer.status.is_success() && error.is_none() {
            return None;
        }
        let text = |name: &str| {
            let text = error.as_ref().and_then(|error| error.text(name));
            text.unwrap_or_default().trim().to_owned()
        };
        Some(Self {
            status: answer.status.as_u16(),
            code: text("Code"),
            message: text("Message"),
        })
    }

    /// Whether another attempt may help, by what the store says.
    pub(crate) fn is_transient(&self) -> bool {
        let codes = [
            "BandwidthLimitExceeded",
            "InternalError",
            "PriorRequestNotComplete",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceUnavailable",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ];
        codes.contains(&self.code.as_str())
    }

    /// What it comes to, in a bucket.
    pub(crate) fn explain(self, bucket: &str) -> Failure {
        let Self {
            status,
            code,
            message,
        } = self;
        let text = message.to_lowercase();
        match (code.as_str(), status) {
            ("NoSuchBucket", _) => Failure::NoBucket(bucket.to_owned()),
            // The second is what Versity's gateway says.
            ("InvalidAccessKeyId" | "XAdminUserNotFound", _) => Failure::UnknownKey,
            ("SignatureDoesNotMatch", _) => Failure::WrongSecret,
            ("ExpiredToken" | "ExpiredTokenException", _) => Failure::Expired,
            ("RequestTimeTooSkewed", _) => Failure::SkewedClock,
            (
                "QuotaExceeded"
                | "EntityTooLarge"
                | "XMinioStorageFull"
                | "XMinioAdminBucketQuotaExceeded"
                | "InsufficientStorage",
                _,
            )
            | (_, 507) => Failure::NoSpace(message),
            _ if text.contains("no space left") || text.contains("quota") => {
                Failure::NoSpace(message)
            }
            ("AccessDenied", _) | (_, 403) => Failure::Denied(bucket.to_owned()),
            ("BadDigest" | "XAmzContentChecksumMismatch", _) => Failure::Damaged,
            ("NoSuchKey" | "NotFound", _) | (_, 404) => Failure::NotThere,
            _ if !code.is_empty() => Failure::Other { code, message },
            _ => Failure::Status(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of an answer.
    fn said(status: u16, code: &str, message: &str) -> String {
        let body = if code.is_empty() {
            String::new()
        } else {
            format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")
        };
        let answer = Answer {
            status: http::StatusCode::from_u16(status).expect("a status"),
            headers: http::HeaderMap::new(),
            body: body.into(),
        };
        let refusal = Refusal::of(&answer).expect("a refusal");
        refusal.explain("data").to_string()
    }

    #[test]
    fn every_refusal_is_reported_with_what_to_do() {
        let cases = [
            (
                404,
                "NoSuchBucket",
                "",
                "there is no bucket `data`; make it (`aws s3 mb s3://data`)",
            ),
            (
                403,
                "InvalidAccessKeyId",
                "",
                "the store does not know the access key",
            ),
            (
                404,
                "XAdminUserNotFound",
                "",
                "the store does not know the access key",
            ),
            (
                403,
                "SignatureDoesNotMatch",
                "",
                "the secret key does not match the access key",
            ),
            (
                400,
                "ExpiredToken",
                "",
                "the credentials have expired; log in again",
            ),
            (
                403,
                "RequestTimeTooSkewed",
                "",
                "the clock of this machine is wrong by minutes",
            ),
            (
                400,
                "QuotaExceeded",
                "10 GiB",
                "the store has no space left (10 GiB); what was sent is kept",
            ),
            (
                507,
                "XMinioStorageFull",
                "full",
                "the store has no space left (full)",
            ),
            (
                500,
                "InternalError",
                "write: No space left on device",
                "the store has no space left",
            ),
            (507, "", "", "the store has no space left"),
            (
                403,
                "AccessDenied",
                "",
                "access denied; the credentials may not do this in the bucket `data`",
            ),
            (403, "", "", "access denied"),
            (
                400,
                "BadDigest",
                "",
                "the bytes were damaged on the way; try again",
            ),
            (404, "NoSuchKey", "", "it is not there"),
            (404, "", "", "it is not there"),
            (
                412,
                "PreconditionFailed",
                "changed",
                "the store says PreconditionFailed: changed",
            ),
            (502, "", "", "the store answers with the status 502"),
            // A completion that fails after the answer began.
            (
                200,
                "InternalError",
                "try again",
                "the store says InternalError: try again",
            ),
        ];
        for (status, code, message, expected) in cases {
            let said = said(status, code, message);
            assert!(said.contains(expected), "{status} {code}: {said}");
        }
    }

    #[test]
    fn a_cause_that_its_error_already_names_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Outer {
            text: &'static str,
            source: std::io::Error,
        }
        let error = |text| Outer {
            text,
            source: std::io::Error::other("refused"),
        };
        assert_eq!(causes(&error("sending")), "sending: refused");
        assert_eq!(causes(&error("it was refused")), "it was refused");
    }
}
