//! The data that is submitted: the files, and where each goes.

use super::record::Record;
use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use hcb_transfer::layout::{PART, Place, relative_key};
use hcb_transfer::upload::{Memory, upload};
use hcb_transfer::{Client, Progress};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// How many small files are on their way at once.
const SMALL_AT_ONCE: usize = 8;

/// A file or a folder.
#[derive(Debug)]
pub(super) struct Data {
    /// Where it is, from the root.
    pub(super) path: PathBuf,
    /// The files with their keys below the folder of the run.
    pub(super) files: Vec<(PathBuf, String, u64)>,
    is_folder: bool,
}

impl Data {
    /// Looks at what there is, and sees to it that all of it can be read.
    pub(super) fn find(path: &Path) -> anyhow::Result<Self> {
        let name = || format!("the data `{}`", path.display());
        let metadata = fs::metadata(path).with_context(name)?;
        let path = path.canonicalize().with_context(name)?;
        let found = if metadata.is_dir() {
            below(&path)?
        } else {
            vec![path.clone()]
        };
        let base = if metadata.is_dir() {
            Some(&*path)
        } else {
            path.parent()
        };
        let mut files = Vec::new();
        for file in found {
            let opened = fs::File::open(&file).and_then(|opened| opened.metadata());
            let metadata = opened.with_context(|| format!("the data `{}`", file.display()))?;
            if !metadata.is_file() {
                bail!("`{}` is no file; only files are uploaded", file.display());
            }
            let key = base
                .and_then(|base| file.strip_prefix(base).ok())
                .and_then(relative_key);
            let key =
                key.with_context(|| format!("the name of `{}` is not UTF-8", file.display()))?;
            files.push((file, key, metadata.len()));
        }
        if files.is_empty() {
            bail!("there is no file in `{}`", path.display());
        }
        Ok(Self {
            path,
            files,
            is_folder: metadata.is_dir(),
        })
    }

    /// What the job is told: the file, or the folder.
    pub(super) fn target(&self, folder: &Place) -> Place {
        match &self.files[..] {
            [(_, key, _)] if !self.is_folder => folder.below(key),
            _ => folder.clone(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, _, size)| size).sum()
    }

    /// Uploads all of it: small files side by side, parts of large ones side by side.
    pub(super) async fn upload(
        &self,
        client: &Client,
        folder: &Place,
        record: &mut Record,
        progress: &dyn Progress,
    ) -> anyhow::Result<()> {
        let (small, large): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|(_, _, size)| *size <= PART);
        let small = small.into_iter().map(|(path, key, _)| async move {
            upload(client, path, &folder.below(key), &mut Nothing, progress).await
        });
        futures::stream::iter(small)
            .buffer_unordered(SMALL_AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await?;
        for (path, key, _) in large {
            upload(client, path, &folder.below(key), record, progress).await?;
        }
        Ok(())
    }
}

/// A small file is sent at once, so there is nothing to remember.
struct Nothing;

impl Memory for Nothing {
    fn get(&self, _: &Place) -> Option<String> {
        None
    }

    fn set(&mut self, _: &Place, _: Option<&str>) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// The files below a folder, sorted. Links are followed to files, not to folders, which could lead in
/// circles.
fn below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let name = || format!("the data `{}`", folder.display());
        for entry in fs::read_dir(&folder).with_context(name)? {
            let entry = entry.with_context(name)?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.is_dir() {
                bail!(
                    "`{}` is a link to a folder; put the folder itself there",
                    path.display()
                );
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_gets_the_path_of_a_single_file_and_the_folder_of_several() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("a")).expect("a folder");
        fs::write(folder.path().join("a/x.npz"), "x").expect("a file");
        fs::write(folder.path().join("y.npz"), "yy").expect("a file");
        let run = Place::parse("s3://data/digits/run-1/").expect("a place");

        let whole = Data::find(folder.path()).expect("data");
        let keys: Vec<_> = whole.files.iter().map(|(_, key, _)| key.as_str()).collect();
        assert_eq!((keys, whole.bytes()), (vec!["a/x.npz", "y.npz"], 3));
        assert_eq!(whole.target(&run), run);

        let file = Data::find(&folder.path().join("a/x.npz")).expect("data");
        assert_eq!(
            file.target(&run).to_string(),
            "s3://data/digits/run-1/x.npz"
        );
    }

    #[test]
    fn data_that_cannot_be_uploaded_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = |path: &Path| format!("{:#}", Data::find(path).expect_err("no data"));
        assert!(told(&folder.path().join("none")).contains("No such file"));
        assert!(told(folder.path()).contains("there is no file in"));
        std::os::unix::fs::symlink(".", folder.path().join("circle")).expect("a link");
        assert!(told(folder.path()).contains("is a link to a folder"));
    }
}
