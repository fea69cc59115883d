//! Uploads. What the store has already, with the same checksum, is not sent again, so that an upload
//! that was cut off is gone on with by starting it again.

use super::checksum::Crc64;
use super::failure::{self, explain};
use super::layout::{PART, Part, Place, parts};
use super::{CONCURRENCY, Progress};
use anyhow::{Context, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keeps the ids of unfinished uploads where they outlive this process.
pub trait Memory {
    /// The id of an unfinished upload to a place.
    fn get(&self, place: &Place) -> Option<String>;
    /// Keeps or forgets the id.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn set(&mut self, place: &Place, id: Option<&str>) -> anyhow::Result<()>;
}

/// A file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Its checksum, which the store confirmed.
    pub checksum: String,
}

/// Uploads a file. An upload that is cut off stays in the store, with its id in `memory`.
///
/// # Errors
/// What the store refuses, and a file that cannot be read or changes meanwhile.
pub async fn upload(
    client: &Client,
    path: &Path,
    place: &Place,
    memory: &mut dyn Memory,
    progress: &dyn Progress,
) -> anyhow::Result<Uploaded> {
    let name = || format!("`{}`", path.display());
    let file = File::open(path).with_context(name)?;
    let before = file.metadata().with_context(name)?;
    let upload = Upload {
        client,
        place,
        progress,
        file: Arc::new(file),
        path: path.to_owned(),
        size: before.len(),
    };
    let crc = match memory.get(place) {
        Some(id) => upload.go_on(id, memory).await?,
        None => match upload.is_there().await? {
            Some(crc) => crc,
            None if upload.size <= PART => upload.at_once().await?,
            None => upload.start(memory).await?,
        },
    };
    let after = std::fs::metadata(path).with_context(name)?;
    if !is_same(&before, &after) {
        bail!(
            "{} changed while it was uploaded; run the same command again when nothing writes to it",
            name()
        );
    }
    Ok(Uploaded {
        checksum: crc.text(),
    })
}

/// Whether a file is as it was.
fn is_same(before: &Metadata, after: &Metadata) -> bool {
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

struct Upload<'a> {
    client: &'a Client,
    place: &'a Place,
    progress: &'a dyn Progress,
    file: Arc<File>,
    path: PathBuf,
    size: u64,
}

/// A part that the store has.
struct Listed {
    size: u64,
    checksum: Option<String>,
    tag: String,
}

impl Upload<'_> {
    /// The checksum of the object where it is there already, whole and the same.
    async fn is_there(&self) -> anyhow::Result<Option<Crc64>> {
        let head = self.client.head_object();
        let head = head
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .checksum_mode(ChecksumMode::Enabled);
        let head = match head.send().await {
            Ok(head) => head,
            // Who may not look may still write, and a bucket that is not there is told of then.
            Err(error) if matches!(failure::status(&error), Some(403 | 404)) => return Ok(None),
            Err(error) => return Err(explain(&error, "looking at", self.place)),
        };
        let size = head.content_length().unwrap_or_default();
        if u64::try_from(size) != Ok(self.size) {
            return Ok(None);
        }
        let Some(theirs) = head.checksum_crc64_nvme() else {
            return Ok(None);
        };
        let mut whole = Crc64::of(b"");
        for part in parts(self.size) {
            let (_, crc) = self.read(part).await?;
            whole = whole.then(crc, part.length);
        }
        if whole.text() != theirs {
            return Ok(None);
        }
        self.progress.advance(self.size, false);
        Ok(Some(whole))
    }

    /// One request for all of it.
    async fn at_once(&self) -> anyhow::Result<Crc64> {
        let whole = Part {
            number: 1,
            offset: 0,
            length: self.size,
        };
        let (bytes, crc) = self.read(whole).await?;
        self.client
            .put_object()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .checksum_crc64_nvme(crc.text())
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| explain(&error, "uploading to", self.place))?;
        self.progress.advance(self.size, true);
        Ok(crc)
    }

    async fn start(&self, memory: &mut dyn Memory) -> anyhow::Result<Crc64> {
        let started = self
            .client
            .create_multipart_upload()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .send()
            .await
            .map_err(|error| explain(&error, "uploading to", self.place))?;
        let id = started
            .upload_id()
            .context("the store gave no id for the upload")?;
        // Before the first byte is sent: what was sent under an id that nobody knows is lost.
        memory.set(self.place, Some(id))?;
        self.parts(id, &BTreeMap::new(), memory).await
    }

    /// Goes on with an upload that was cut off, or starts anew where the store has forgotten it.
    async fn go_on(&self, id: String, memory: &mut dyn Memory) -> anyhow::Result<Crc64> {
        match self.listed(&id).await? {
            Some(listed) => self.parts(&id, &listed, memory).await,
            // It may have been completed just before hcb was ended.
            None => match self.is_there().await? {
                Some(crc) => {
                    memory.set(self.place, None)?;
                    Ok(crc)
                }
                None if self.size <= PART => self.at_once().await,
                None => self.start(memory).await,
            },
        }
    }

    /// The parts that the store has of an upload.
    async fn listed(&self, id: &str) -> anyhow::Result<Option<BTreeMap<i32, Listed>>> {
        let mut pages = self
            .client
            .list_parts()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(id)
            .into_paginator()
            .send();
        let mut listed = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if failure::code(&error).as_deref() == Some("NoSuchUpload") => {
                    return Ok(None);
                }
                Err(error) => return Err(explain(&error, "going on with", self.place)),
            };
            for part in page.parts() {
                let (Some(number), Some(tag)) = (part.part_number(), part.e_tag()) else {
                    continue;
                };
                let there = Listed {
                    size: part
                        .size()
                        .and_then(|size| size.try_into().ok())
                        .unwrap_or_default(),
                    checksum: part.checksum_crc64_nvme().map(str::to_owned),
                    tag: tag.to_owned(),
                };
                listed.insert(number, there);
            }
        }
        Ok(Some(listed))
    }

    /// Sends the parts that the store does not have, and completes the upload.
    async fn parts(
        &self,
        id: &str,
        listed: &BTreeMap<i32, Listed>,
        memory: &mut dyn Memory,
    ) -> anyhow::Result<Crc64> {
        let parts = parts(self.size);
        let sent = parts
            .iter()
            .map(|part| self.part(id, *part, listed.get(&part.number)));
        let mut sent: Vec<_> = futures::stream::iter(sent)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        sent.sort_by_key(|(number, ..)| *number);
        let mut whole = Crc64::of(b"");
        for ((_, crc, _), part) in sent.iter().zip(&parts) {
            whole = whole.then(*crc, part.length);
        }
        let completed = sent.into_iter().map(|(number, crc, tag)| {
            CompletedPart::builder()
                .part_number(number)
                .e_tag(tag)
                .checksum_crc64_nvme(crc.text())
                .build()
        });
        let completed = CompletedMultipartUpload::builder().set_parts(Some(completed.collect()));
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(id)
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(whole.text())
            .multipart_upload(completed.build())
            .send()
            .await
            .map_err(|error| explain(&error, "completing", self.place))?;
        if let Some(theirs) = answer.checksum_crc64_nvme()
            && theirs != whole.text()
        {
            bail!("{}: the store has other bytes than were sent", self.place);
        }
        memory.set(self.place, None)?;
        Ok(whole)
    }

    async fn part(
        &self,
        id: &str,
        part: Part,
        there: Option<&Listed>,
    ) -> anyhow::Result<(i32, Crc64, String)> {
        let (bytes, crc) = self.read(part).await?;
        if let Some(there) = there
            && there.size == part.length
            && there.checksum.as_ref() == Some(&crc.text())
        {
            self.progress.advance(part.length, false);
            return Ok((part.number, crc, there.tag.clone()));
        }
        let sent = self
            .client
            .upload_part()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(id)
            .part_number(part.number)
            .checksum_crc64_nvme(crc.text())
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| explain(&error, "uploading to", self.place))?;
        self.progress.advance(part.length, true);
        let tag = sent.e_tag().context("the store gave no tag for a part")?;
        Ok((part.number, crc, tag.to_owned()))
    }

    /// Reads a part and its checksum, off the threads that talk to the network.
    async fn read(&self, part: Part) -> anyhow::Result<(Vec<u8>, Crc64)> {
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(part.length).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, part.offset)?;
            let crc = Crc64::of(&bytes);
            std::io::Result::Ok((bytes, crc))
        });
        read.await?
            .with_context(|| format!("reading `{}`", self.path.display()))
    }
}
