//! The requests of S3 that are needed.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>.

use crate::client::{Asked, Client, Refused, malformed};
use crate::failure::Error;
use crate::layout::Place;
use crate::transport::Answer;
use crate::xml::Element;
use bytes::Bytes;
use http::Method;
use std::fmt::Write;

const CRC64NVME: &str = "x-amz-checksum-crc64nvme";

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

impl Client {
    /// Whether a bucket is there. Credentials that may not look at it may still write to it, so a bucket to which
    /// access is denied counts as there.
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
        // A store that says no has words to say, and one that sends more than was asked for has not understood.
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        let asked = Asked::new(Method::GET, place)
            .header("range", format!("bytes={start}-{}", end - 1))
            // Not the second half of what took its place meanwhile.
            .header("if-match", tag)
            .most(length.max(1 << 16));
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
            .header("content-type", "application/xml")
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
