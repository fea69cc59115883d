//! Downloads. A file appears whole and checked or not at all; what came before a connection was lost is
//! kept beside it and gone on with. What is there is never overwritten unless that is asked for.

use super::checksum::{Algorithm, Expected, Running};
use super::failure::explain;
use super::layout::{Place, relative_path};
use super::{CONCURRENCY, Progress};
use anyhow::{Context, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use futures::{StreamExt, TryStreamExt};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// How much is asked for at once.
const CHUNK: u64 = 8 << 20;

/// An object that is to be downloaded.
#[derive(Debug, Clone)]
pub struct Object {
    /// Where it is.
    pub place: Place,
    /// Where it goes.
    pub target: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// What the store says changes when the object does.
    tag: String,
    /// Its checksum, where the store keeps one of the whole object.
    pub checksum: Option<Expected>,
}

/// What is at the target of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Free,
    /// The same file.
    Same,
    /// Another file, or something else.
    Other,
}

/// The objects at a place, with where each goes below `folder`. `skip` leaves keys out.
///
/// # Errors
/// What the store refuses, and keys that lead out of the folder.
pub async fn objects(
    client: &Client,
    place: &Place,
    folder: &Path,
    skip: impl Fn(&str) -> bool,
) -> anyhow::Result<Vec<Object>> {
    let mut places = Vec::new();
    if place.is_folder() {
        let mut pages = client
            .list_objects_v2()
            .bucket(&place.bucket)
            .prefix(&place.key)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain(&error, "listing", place))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            // Some tools make an object for a folder.
            places.extend(
                keys.filter(|key| !key.ends_with('/') && !skip(key))
                    .map(str::to_owned),
            );
        }
    } else {
        places.push(place.key.clone());
    }
    let base = place.folder().key;
    let found = places.into_iter().map(|key| async {
        let below = key.strip_prefix(&base).and_then(relative_path);
        let Some(below) = below else {
            bail!(
                "the key {key:?} in {} is no path below a folder; it is not downloaded",
                place.bucket
            );
        };
        let place = Place {
            bucket: place.bucket.clone(),
            key,
        };
        let head = client
            .head_object()
            .bucket(&place.bucket)
            .key(&place.key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .map_err(|error| explain(&error, "looking at", &place))?;
        Ok(Object {
            target: folder.join(below),
            size: head
                .content_length()
                .and_then(|size| size.try_into().ok())
                .unwrap_or_default(),
            tag: head.e_tag().unwrap_or_default().to_owned(),
            checksum: checksum(&head),
            place,
        })
    });
    futures::stream::iter(found)
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}

/// The checksum of the whole object, where there is one: that of parts says nothing of the bytes.
fn checksum(head: &HeadObjectOutput) -> Option<Expected> {
    if head.checksum_type() == Some(&ChecksumType::Composite) {
        return None;
    }
    let all = [
        (Algorithm::Crc64Nvme, head.checksum_crc64_nvme()),
        (Algorithm::Sha256, head.checksum_sha256()),
        (Algorithm::Crc32C, head.checksum_crc32_c()),
        (Algorithm::Crc32, head.checksum_crc32()),
    ];
    all.into_iter().find_map(|(algorithm, value)| {
        // A dash and a number follow a checksum of parts.
        let value = value.filter(|value| !value.contains('-'))?;
        Some(Expected {
            algorithm,
            value: value.to_owned(),
        })
    })
}

impl Object {
    /// What is at its target.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn target_state(&self) -> anyhow::Result<Target> {
        let Ok(metadata) = fs::symlink_metadata(&self.target) else {
            return Ok(Target::Free);
        };
        let Some(expected) = &self.checksum else {
            return Ok(Target::Other);
        };
        if !metadata.is_file() || metadata.len() != self.size {
            return Ok(Target::Other);
        }
        let mut running = Running::new(expected.algorithm);
        add_file(&self.target, Some(&mut running))?;
        let same = running.text() == expected.value;
        Ok(if same { Target::Same } else { Target::Other })
    }

    /// Where its bytes are until they are all there. The name changes with the object, so that halves of
    /// two objects are never put together.
    fn unfinished(&self) -> anyhow::Result<PathBuf> {
        let name = self.target.file_name().context("a name of a file")?;
        let tag =
            hcb_source::digest::short(&format!("{} {} {}", self.place, self.tag, self.size), 12);
        let name = format!(".{}.{tag}.unfinished", name.to_string_lossy());
        Ok(self.target.with_file_name(name))
    }
}

/// Downloads an object. Its target must be free, or is overwritten with `force`.
///
/// # Errors
/// What the store refuses, a connection that is lost, and bytes that are not those of the checksum.
pub async fn download(
    client: &Client,
    object: &Object,
    force: bool,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    let unfinished = object.unfinished()?;
    let folder = object.target.parent().context("a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    let name = || format!("`{}`", unfinished.display());
    let mut running = object
        .checksum
        .as_ref()
        .map(|expected| Running::new(expected.algorithm));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&unfinished)
        .with_context(name)?;
    file.try_lock()
        .map_err(|_| anyhow::anyhow!("{} is being written by another hcb", name()))?;
    let there = match file.metadata()?.len() {
        more if more > object.size => {
            file.set_len(0)?;
            0
        }
        there => there,
    };
    add_file(&unfinished, running.as_mut())?;
    progress.advance(there, false);
    receive(client, object, there, &mut file, running.as_mut(), progress).await?;
    file.sync_all().with_context(name)?;
    if let (Some(running), Some(expected)) = (running, &object.checksum)
        && running.text() != expected.value
    {
        fs::remove_file(&unfinished)?;
        bail!(
            "{}: what came has not the {} that the store keeps; it was thrown away, so try again",
            object.place,
            expected.algorithm.name()
        );
    }
    if force {
        fs::rename(&unfinished, &object.target)?;
    } else {
        // A link fails where there is something, a rename would replace it.
        fs::hard_link(&unfinished, &object.target)
            .with_context(|| format!("`{}`", object.target.display()))?;
        fs::remove_file(&unfinished)?;
    }
    Ok(())
}

/// Receives what is missing, in order, with some chunks on their way at once.
async fn receive(
    client: &Client,
    object: &Object,
    there: u64,
    file: &mut File,
    mut running: Option<&mut Running>,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    let step = usize::try_from(CHUNK)?;
    let chunks = (there..object.size).step_by(step).map(|start| async move {
        let end = (start + CHUNK).min(object.size) - 1;
        let answer = client
            .get_object()
            .bucket(&object.place.bucket)
            .key(&object.place.key)
            .range(format!("bytes={start}-{end}"))
            // Not the second half of what took its place meanwhile.
            .if_match(&object.tag)
            .send()
            .await
            .map_err(|error| explain(&error, "downloading", &object.place))?;
        let bytes = answer.body.collect().await.with_context(|| {
            format!(
                "downloading {}: the connection was lost; run the same command again, and it goes on",
                object.place
            )
        })?;
        let bytes = bytes.into_bytes();
        anyhow::ensure!(
            bytes.len() as u64 == end + 1 - start,
            "{}: the store sent {} bytes for {}",
            object.place,
            bytes.len(),
            end + 1 - start
        );
        Ok(bytes)
    });
    let mut chunks = futures::stream::iter(chunks).buffered(CONCURRENCY);
    while let Some(bytes) = chunks.next().await {
        let bytes = bytes?;
        file.write_all(&bytes)
            .with_context(|| format!("writing `{}`", object.target.display()))?;
        if let Some(running) = &mut running {
            running.add(&bytes);
        }
        progress.advance(bytes.len() as u64, true);
    }
    Ok(())
}

fn add_file(path: &Path, running: Option<&mut Running>) -> anyhow::Result<()> {
    let Some(running) = running else {
        return Ok(());
    };
    let mut file = File::open(path).with_context(|| format!("`{}`", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => running.add(&buffer[..read]),
        }
    }
}
