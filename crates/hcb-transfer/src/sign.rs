//! Signature Version 4 of AWS, in headers.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.

use crate::credentials::Credentials;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, InvalidHeaderValue};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};
use std::fmt::Write;

/// All but what RFC 3986 does not reserve.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ENCODED_BUT_SLASHES: &AsciiSet = &ENCODED.remove(b'/');

/// What is asked of a service.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The host with its port, where that is not the scheme's.
    pub(crate) host: String,
    /// The path, encoded.
    pub(crate) path: String,
    /// The query, not encoded.
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: HeaderMap,
}

/// For whom a signature is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// A path of segments as it goes over the wire.
pub(crate) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, ENCODED_BUT_SLASHES).to_string()
}

impl Call {
    /// The query, encoded and sorted.
    pub(crate) fn encoded_query(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let mut pairs: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        pairs.sort();
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    }

    /// Adds the headers of a signature of all headers that are there and of a body with the SHA-256 `body`.
    pub(crate) fn sign(
        &mut self,
        scope: Scope<'_>,
        credentials: &Credentials,
        body: &str,
        now: Timestamp,
    ) -> Result<(), InvalidHeaderValue> {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = &time[..8];
        self.headers
            .insert(HOST, HeaderValue::from_str(&self.host)?);
        self.headers
            .insert(X_AMZ_DATE, HeaderValue::from_str(&time)?);
        self.headers
            .insert(X_AMZ_CONTENT_SHA256, HeaderValue::from_str(body)?);
        if let Some(token) = credentials.session_token() {
            let mut token = HeaderValue::from_str(token)?;
            token.set_sensitive(true);
            self.headers.insert(X_AMZ_SECURITY_TOKEN, token);
        }
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
            .collect();
        headers.sort();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = format!("{}\n{}\n{}\n", self.method, self.path, self.encoded_query());
        for (name, value) in &headers {
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{body}");

        let Scope { region, service } = scope;
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let canonical = hex_sha256(canonical.as_bytes());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
        let mut key = hmac_sha256(
            format!("AWS4{}", credentials.secret_access_key()).as_bytes(),
            date,
        );
        for part in [region, service, "aws4_request", &text] {
            key = hmac_sha256(key.as_ref(), part);
        }
        let signature = hex(key.as_ref());
        let id = credentials.access_key_id();
        let mut value = HeaderValue::from_str(&format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        ))?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// The SHA-256 of bytes in hexadecimal digits.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The SHA-1 of bytes in hexadecimal digits; it names files and protects nothing.
pub(crate) fn hex_sha1(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// What the documentation of S3 signs, with its account and its time.
    fn signature(call: &mut Call, body: &str) -> String {
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
        );
        let scope = Scope {
            region: "us-east-1",
            service: "s3",
        };
        let now = "2013-05-24T00:00:00Z".parse().expect("a time");
        call.sign(scope, &credentials, body, now)
            .expect("a signature");
        let value = call.headers[AUTHORIZATION].to_str().expect("text");
        let (_, signature) = value.split_once("Signature=").expect("a signature");
        signature.to_owned()
    }

    fn call(method: Method, path: &str, query: &[(&'static str, &str)]) -> Call {
        Call {
            method,
            host: "examplebucket.s3.amazonaws.com".to_owned(),
            path: encode_path(path),
            query: query
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            headers: HeaderMap::new(),
        }
    }

    #[test]
    fn signatures_are_those_of_the_documentation_of_s3() {
        let mut get = call(Method::GET, "/test.txt", &[]);
        get.headers
            .insert("range", HeaderValue::from_static("bytes=0-9"));
        assert_eq!(
            signature(&mut get, EMPTY),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );

        let mut put = call(Method::PUT, "/test$file.text", &[]);
        let date = HeaderValue::from_static("Fri, 24 May 2013 00:00:00 GMT");
        put.headers.insert("date", date);
        let class = HeaderValue::from_static("REDUCED_REDUNDANCY");
        put.headers.insert("x-amz-storage-class", class);
        assert_eq!(
            signature(&mut put, &hex_sha256(b"Welcome to Amazon S3.")),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );

        let mut list = call(Method::GET, "/", &[("max-keys", "2"), ("prefix", "J")]);
        assert_eq!(
            signature(&mut list, EMPTY),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
        let mut lifecycle = call(Method::GET, "/", &[("lifecycle", "")]);
        assert_eq!(
            signature(&mut lifecycle, EMPTY),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
    }

    #[test]
    fn a_session_token_is_sent_and_signed() {
        let mut get = call(Method::GET, "/x", &[]);
        let credentials = Credentials::new("id", "secret", Some("token"));
        let scope = Scope {
            region: "r",
            service: "s3",
        };
        get.sign(scope, &credentials, EMPTY, Timestamp::UNIX_EPOCH)
            .expect("a signature");
        assert_eq!(get.headers["x-amz-security-token"], "token");
        let value = get.headers[AUTHORIZATION].to_str().expect("text");
        assert!(value.contains("x-amz-date;x-amz-security-token"), "{value}");
        assert!(value.contains("Credential=id/19700101/r/s3/aws4_request"));
    }

    #[test]
    fn paths_and_queries_are_encoded_once() {
        assert_eq!(encode_path("/a b/%+\u{e4}~."), "/a%20b/%25%2B%C3%A4~.");
        let call = call(Method::GET, "/", &[("prefix", "a/b c"), ("list-type", "2")]);
        assert_eq!(call.encoded_query(), "list-type=2&prefix=a%2Fb%20c");
    }
}
