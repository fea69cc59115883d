//! What an object store refuses, in words that help.

use super::layout::Place;
use anyhow::anyhow;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// All causes of an error, the outermost first, each said once.
pub fn causes(error: &dyn Error) -> String {
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

/// The code of what the store answered, where it answered.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<String> {
    let service = error.as_service_error()?;
    service.code().map(str::to_owned)
}

/// The HTTP status of the answer, where there is one. HEAD requests get no code.
pub fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// Says what went wrong at a place, and what helps.
pub fn explain<E>(error: &SdkError<E>, doing: &str, place: &Place) -> anyhow::Error
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let status = status(error);
    let code = code(error).unwrap_or_default();
    let message = error
        .as_service_error()
        .and_then(|error| error.message())
        .unwrap_or_default()
        .to_owned();
    let bucket = &place.bucket;
    let lost = matches!(
        error,
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_)
    );
    let text = message.to_lowercase();
    match (code.as_str(), status) {
        ("NoSuchBucket", _) => anyhow!(
            "{doing} {place}: there is no bucket `{bucket}`; make it (`aws s3 mb s3://{bucket}`), or name another in the spec"
        ),
        ("InvalidAccessKeyId", _) => anyhow!(
            "{doing} {place}: the store does not know the access key; are these the credentials of this store?"
        ),
        ("SignatureDoesNotMatch", _) => {
            anyhow!("{doing} {place}: the secret key does not match the access key")
        }
        ("ExpiredToken" | "ExpiredTokenException", _) => {
            anyhow!("{doing} {place}: the credentials have expired; log in again")
        }
        ("RequestTimeTooSkewed", _) => {
            anyhow!("{doing} {place}: the clock of this machine is wrong by minutes")
        }
        (
            "QuotaExceeded"
            | "EntityTooLarge"
            | "XMinioStorageFull"
            | "XMinioAdminBucketQuotaExceeded"
            | "InsufficientStorage",
            _,
        )
        | (_, Some(507)) => no_space(doing, place, &message),
        _ if text.contains("no space left") || text.contains("quota") => {
            no_space(doing, place, &message)
        }
        ("AccessDenied", _) | (_, Some(403)) => anyhow!(
            "{doing} {place}: access denied; the credentials may not do this in the bucket `{bucket}`"
        ),
        ("BadDigest" | "XAmzContentChecksumMismatch", _) => {
            anyhow!("{doing} {place}: the bytes were damaged on the way; try again")
        }
        ("NoSuchKey" | "NotFound", _) | (_, Some(404)) => {
            anyhow!("{doing} {place}: it is not there")
        }
        _ if lost => anyhow!(
            "{doing} {place}: no connection to the store: {}",
            causes(error)
        ),
        _ if !code.is_empty() => anyhow!("{doing} {place}: the store says {code}: {message}"),
        _ => anyhow!("{doing} {place}: {}", causes(error)),
    }
}

fn no_space(doing: &str, place: &Place, message: &str) -> anyhow::Error {
    anyhow!(
        "{doing} {place}: the store has no space left ({message}); what was sent is kept, so make room and run the same command again"
    )
}
