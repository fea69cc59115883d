//! Downloads. A file appears whole and checked or not at all; what came before a connection was lost is
//! kept beside it and gone on with. What is there is never overwritten unless that is asked for.

use crate::checksum::{Algorithm, Expected, Running};
use crate::client::Client;
use crate::failure::Error;
use crate::layout::{Place, relative_path};
use crate::requests::Head;
use crate::sign::hex_sha256;
use crate::{CONCURRENCY, Progress};
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
) -> Result<Vec<Object>, Error> {
    let keys = if place.is_folder() {
        let keys = client.keys(place).await;
        let keys = keys.map_err(|refused| refused.error("listing", place))?;
        // Some tools make an object for a folder.
        let keys = keys
            .into_iter()
            .filter(|key| !key.ends_with('/') && !skip(key));
        keys.collect()
    } else {
        vec![place.key.clone()]
    };
    let base = place.folder().key;
    let found = keys.into_iter().map(|key| async {
        let below = key.strip_prefix(&base).and_then(relative_path);
        let Some(below) = below else {
            return Err(Error::Key {
                bucket: place.bucket.clone(),
                key,
            });
        };
        let place = Place {
            bucket: place.bucket.clone(),
            key,
        };
        let head = client.head(&place).await;
        let head = head.map_err(|refused| refused.error("looking at", &place))?;
        Ok(Object {
            target: folder.join(below),
            size: head.size,
            checksum: checksum(&head),
            tag: head.tag,
            place,
        })
    });
    futures::stream::iter(found)
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}

/// The checksum of the whole object, where there is one: that of parts says nothing of the bytes.
fn checksum(head: &Head) -> Option<Expected> {
    if head.is_composite {
        return None;
    }
    let all = [
        (Algorithm::Crc64Nvme, &head.crc64nvme),
        (Algorithm::Sha256, &head.sha256),
        (Algorithm::Crc32C, &head.crc32c),
        (Algorithm::Crc32, &head.crc32),
    ];
    all.into_iter().find_map(|(algorithm, value)| {
        // A dash and a number follow a checksum of parts.
        let value = value.as_ref().filter(|value| !value.contains('-'))?;
        Some(Expected {
            algorithm,
            value: value.clone(),
        })
    })
}

impl Object {
    /// What is at its target.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn target_state(&self) -> Result<Target, Error> {
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
    fn unfinished(&self) -> PathBuf {
        let name = self.target.file_name().unwrap_or_default();
        let tag = hex_sha256(format!("{} {} {}", self.place, self.tag, self.size).as_bytes());
        let name = format!(".{}.{}.unfinished", name.to_string_lossy(), &tag[..12]);
        self.target.with_file_name(name)
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
) -> Result<(), Error> {
    let unfinished = object.unfinished();
    let folder = object.target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut running = object
        .checksum
        .as_ref()
        .map(|expected| Running::new(expected.algorithm));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&unfinished)
        .map_err(at(&unfinished))?;
    file.try_lock()
        .map_err(|_| Error::Locked(unfinished.clone()))?;
    let there = match file.metadata().map_err(at(&unfinished))?.len() {
        more if more > object.size => {
            file.set_len(0).map_err(at(&unfinished))?;
            0
        }
        there => there,
    };
    add_file(&unfinished, running.as_mut())?;
    progress.advance(there, false);
    receive(client, object, there, &mut file, running.as_mut(), progress).await?;
    file.sync_all().map_err(at(&unfinished))?;
    if let (Some(running), Some(expected)) = (running, &object.checksum)
        && running.text() != expected.value
    {
        fs::remove_file(&unfinished).map_err(at(&unfinished))?;
        return Err(Error::Checksum {
            place: object.place.clone(),
            algorithm: expected.algorithm.name(),
        });
    }
    if force {
        fs::rename(&unfinished, &object.target).map_err(at(&object.target))?;
    } else {
        // A link fails where there is something, a rename would replace it.
        fs::hard_link(&unfinished, &object.target).map_err(at(&object.target))?;
        fs::remove_file(&unfinished).map_err(at(&unfinished))?;
    }
    Ok(())
}

/// The error of a file.
fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::File {
        doing: "",
        path: path.to_owned(),
        source,
    }
}

/// Receives what is missing, in order, with some chunks on their way at once.
async fn receive(
    client: &Client,
    object: &Object,
    there: u64,
    file: &mut File,
    mut running: Option<&mut Running>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let count = (object.size - there).div_ceil(CHUNK);
    let chunks = (0..count).map(|index| async move {
        let start = there + index * CHUNK;
        let end = (start + CHUNK).min(object.size);
        let bytes = client.bytes(&object.place, start, end, &object.tag).await;
        let bytes = bytes.map_err(|refused| refused.error("downloading", &object.place))?;
        if bytes.len() as u64 != end - start {
            return Err(Error::Answer {
                place: object.place.clone(),
                problem: format!("the store sent {} bytes for {}", bytes.len(), end - start),
            });
        }
        Ok(bytes)
    });
    let mut chunks = futures::stream::iter(chunks).buffered(CONCURRENCY);
    while let Some(bytes) = chunks.next().await {
        let bytes = bytes?;
        file.write_all(&bytes).map_err(|source| Error::File {
            doing: "writing ",
            path: object.target.clone(),
            source,
        })?;
        if let Some(running) = &mut running {
            running.add(&bytes);
        }
        progress.advance(bytes.len() as u64, true);
    }
    Ok(())
}

fn add_file(path: &Path, running: Option<&mut Running>) -> Result<(), Error> {
    let Some(running) = running else {
        return Ok(());
    };
    let mut file = File::open(path).map_err(at(path))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(at(path))? {
            0 => return Ok(()),
            read => running.add(&buffer[..read]),
        }
    }
}
