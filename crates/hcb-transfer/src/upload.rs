//! Uploads. What the store has already, with the same checksum, is not sent again, so that an upload
//! that was cut off is gone on with by starting it again.

use crate::checksum::Crc64;
use crate::client::Client;
use crate::failure::Error;
use crate::layout::{PART, Part, Place, parts};
use crate::requests::{Listed, Sent};
use crate::{CONCURRENCY, Progress};
use bytes::Bytes;
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
    fn set(
        &mut self,
        place: &Place,
        id: Option<&str>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
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
) -> Result<Uploaded, Error> {
    let named = |source| Error::File {
        doing: "",
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(named)?;
    let before = file.metadata().map_err(named)?;
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
    let after = std::fs::metadata(path).map_err(named)?;
    if !is_same(&before, &after) {
        return Err(Error::Changed(path.to_owned()));
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

impl Upload<'_> {
    /// The checksum of the object where it is there already, whole and the same.
    async fn is_there(&self) -> Result<Option<Crc64>, Error> {
        let head = match self.client.head(self.place).await {
            Ok(head) => head,
            // Credentials that may not look may still write, and a missing bucket is reported by the first write.
            Err(refused) if matches!(refused.status(), Some(403 | 404)) => return Ok(None),
            Err(refused) => return Err(refused.error("looking at", self.place)),
        };
        let Some(theirs) = head.crc64nvme.filter(|_| head.size == self.size) else {
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
    async fn at_once(&self) -> Result<Crc64, Error> {
        let whole = Part {
            number: 1,
            offset: 0,
            length: self.size,
        };
        let (bytes, crc) = self.read(whole).await?;
        let sent = self.client.put(self.place, bytes, &crc.text()).await;
        sent.map_err(|refused| refused.error("uploading to", self.place))?;
        self.progress.advance(self.size, true);
        Ok(crc)
    }

    async fn start(&self, memory: &mut dyn Memory) -> Result<Crc64, Error> {
        let id = self.client.start(self.place).await;
        let id = id.map_err(|refused| refused.error("uploading to", self.place))?;
        // Before the first byte is sent: what was sent under an id that nobody knows is lost.
        memory.set(self.place, Some(&id)).map_err(Error::Memory)?;
        self.parts(&id, BTreeMap::new(), memory).await
    }

    /// Goes on with an upload that was cut off, or starts anew where the store has forgotten it.
    async fn go_on(&self, id: String, memory: &mut dyn Memory) -> Result<Crc64, Error> {
        let listed = self.client.listed(self.place, &id).await;
        match listed.map_err(|refused| refused.error("going on with", self.place))? {
            Some(listed) => {
                let listed = listed.into_iter().map(|part| (part.number, part));
                self.parts(&id, listed.collect(), memory).await
            }
            // It may have been completed just before hcb was ended.
            None => match self.is_there().await? {
                Some(crc) => {
                    memory.set(self.place, None).map_err(Error::Memory)?;
                    Ok(crc)
                }
                None if self.size <= PART => self.at_once().await,
                None => self.start(memory).await,
            },
        }
    }

    /// Sends the parts that the store does not have, and completes the upload.
    async fn parts(
        &self,
        id: &str,
        listed: BTreeMap<i32, Listed>,
        memory: &mut dyn Memory,
    ) -> Result<Crc64, Error> {
        let parts = parts(self.size);
        let sent = parts
            .iter()
            .map(|part| self.part(id, *part, listed.get(&part.number)));
        let mut sent: Vec<_> = futures::stream::iter(sent)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        sent.sort_by_key(|(sent, _)| sent.number);
        let mut whole = Crc64::of(b"");
        for ((_, crc), part) in sent.iter().zip(&parts) {
            whole = whole.then(*crc, part.length);
        }
        let sent: Vec<_> = sent.into_iter().map(|(sent, _)| sent).collect();
        let told = self
            .client
            .complete(self.place, id, &sent, &whole.text())
            .await
            .map_err(|refused| refused.error("completing", self.place))?;
        if told.is_some_and(|theirs| theirs != whole.text()) {
            return Err(Error::Answer {
                place: self.place.clone(),
                problem: "the store has other bytes than were sent".to_owned(),
            });
        }
        memory.set(self.place, None).map_err(Error::Memory)?;
        Ok(whole)
    }

    async fn part(
        &self,
        id: &str,
        part: Part,
        there: Option<&Listed>,
    ) -> Result<(Sent, Crc64), Error> {
        let (bytes, crc) = self.read(part).await?;
        let checksum = crc.text();
        let number = part.number;
        let is_there = |there: &&Listed| {
            there.size == part.length && there.checksum.as_ref() == Some(&checksum)
        };
        let there = there.filter(is_there).map(|there| there.tag.clone());
        let was_there = there.is_some();
        let tag = match there {
            Some(tag) => tag,
            None => self
                .client
                .put_part(self.place, id, number, bytes, &checksum)
                .await
                .map_err(|refused| refused.error("uploading to", self.place))?,
        };
        self.progress.advance(part.length, !was_there);
        let sent = Sent {
            number,
            checksum,
            tag,
        };
        Ok((sent, crc))
    }

    /// Reads a part and its checksum, off the threads that talk to the network.
    async fn read(&self, part: Part) -> Result<(Bytes, Crc64), Error> {
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(part.length).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, part.offset)?;
            let crc = Crc64::of(&bytes);
            std::io::Result::Ok((Bytes::from(bytes), crc))
        });
        let read = read.await.unwrap_or_else(|error| Err(error.into()));
        read.map_err(|source| Error::File {
            doing: "reading ",
            path: self.path.clone(),
            source,
        })
    }
}
