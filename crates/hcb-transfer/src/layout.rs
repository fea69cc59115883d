//! Where bytes go: the parts of a file, the keys of a folder, and where an object goes on disk.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The size of a part, and the size from which a file is sent in parts: small enough to lose little when
/// a connection breaks, large enough that requests do not count.
pub const PART: u64 = 16 << 20;
/// The most parts that S3 takes. Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const MOST_PARTS: u64 = 10_000;

/// A place in an object store: an object, or a folder if the key is empty or ends in `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The key, without a slash at its start.
    pub key: String,
}

impl Place {
    /// Of a URL `s3://BUCKET/KEY`.
    pub fn parse(url: &str) -> Option<Self> {
        // Not a URL's path: `#`, `?` and `%` are characters of a key like others.
        let (bucket, key) = url
            .strip_prefix("s3://")?
            .split_once('/')
            .unwrap_or((url.strip_prefix("s3://")?, ""));
        (!bucket.is_empty()).then(|| Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The folder that it is, or is in.
    #[must_use]
    pub fn folder(&self) -> Self {
        let end = self.key.rfind('/').map_or(0, |slash| slash + 1);
        self.with_key(&self.key[..end])
    }

    /// The last part of the key; of a folder, nothing.
    pub fn name(&self) -> &str {
        &self.key[self.folder().key.len()..]
    }

    /// A place below this folder.
    #[must_use]
    pub fn below(&self, relative: &str) -> Self {
        let folder = self.folder().key;
        self.with_key(&format!("{folder}{relative}"))
    }

    /// The same place for one run only: below a folder of the run's name.
    #[must_use]
    pub fn of_run(&self, run: &str) -> Self {
        self.below(&format!("{run}/{}", self.name()))
    }

    fn with_key(&self, key: &str) -> Self {
        Self {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: i32,
    /// Where it starts.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
}

/// The parts of a file of `size` bytes. The same size gives the same parts, so that an upload can be gone
/// on with. A file that is not larger than [`PART`] is one part.
pub fn parts(size: u64) -> Vec<Part> {
    let fewest = size.div_ceil(MOST_PARTS);
    let length = PART * fewest.div_ceil(PART).max(1);
    (0..size.div_ceil(length).max(1))
        .zip(1..)
        .map(|(index, number)| Part {
            number,
            offset: index * length,
            length: length.min(size - index * length),
        })
        .collect()
}

/// The key of a file below a folder that is uploaded: its path with `/` between segments.
pub fn relative_key(below: &Path) -> Option<String> {
    let segments: Option<Vec<_>> = below
        .components()
        .map(|component| match component {
            Component::Normal(segment) => segment.to_str(),
            _ => None,
        })
        .collect();
    segments.map(|segments| segments.join("/"))
}

/// Where an object with this key below a folder goes on disk: below a folder, never elsewhere. `None` for
/// a key that leads out of it, or that is no name of a file.
pub(crate) fn relative_path(key: &str) -> Option<PathBuf> {
    let is_name = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.len() <= 255
            && !segment
                .chars()
                .any(|c| c.is_control() || matches!(c, '\\' | ':'))
    };
    (!key.is_empty() && key.split('/').all(is_name)).then(|| key.split('/').collect())
}

/// An amount of bytes as people read it.
pub fn human(bytes: u64) -> String {
    let steps = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let step = steps.iter().find(|(_, bits)| bytes >= 1 << bits);
    step.map_or_else(
        || format!("{bytes} B"),
        |(name, bits)| format!("{:.1} {name}", bytes as f64 / f64::from(*bits).exp2()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(url: &str) -> Place {
        Place::parse(url).expect("a place")
    }

    #[test]
    fn places_are_read_and_written() {
        for url in ["s3://data/a/b.npz", "s3://data/", "s3://data/a#b?c%20/"] {
            assert_eq!(place(url).to_string(), url);
        }
        assert_eq!(place("s3://data").to_string(), "s3://data/");
        for url in ["", "s3://", "s3:///key", "https://data/key", "data/key"] {
            assert_eq!(Place::parse(url), None, "{url}");
        }
    }

    #[test]
    fn each_run_has_its_own_places() {
        let cases = [
            ("s3://models/mnist/", "s3://models/mnist/run-1/"),
            ("s3://models/", "s3://models/run-1/"),
            (
                "s3://models/mnist/final.keras",
                "s3://models/mnist/run-1/final.keras",
            ),
            ("s3://datasets/mnist.npz", "s3://datasets/run-1/mnist.npz"),
        ];
        for (url, expected) in cases {
            assert_eq!(place(url).of_run("run-1").to_string(), expected);
        }
    }

    #[test]
    fn keys_that_lead_elsewhere_are_refused() {
        for key in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/./b",
            "a\\b",
            "c:/x",
            "a\nb",
            "a/",
        ] {
            assert_eq!(relative_path(key), None, "{key:?}");
        }
        assert_eq!(relative_path("a/b.keras"), Some(PathBuf::from("a/b.keras")));
        assert_eq!(relative_key(Path::new("../x")), None);
    }

    proptest! {
        #[test]
        fn parts_cover_a_file_without_gaps(size in prop_oneof![0..PART * 3, 0..(5_u64 << 40)]) {
            let parts = parts(size);
            prop_assert!(!parts.is_empty() && parts.len() as u64 <= MOST_PARTS);
            let mut end = 0;
            for (part, number) in parts.iter().zip(1..) {
                prop_assert_eq!((part.number, part.offset), (number, end));
                // S3 takes no smaller part but the last, and none over 5 GiB.
                prop_assert!(part.length >= 5 << 20 || usize::try_from(part.number) == Ok(parts.len()));
                prop_assert!(part.length <= 5 << 30);
                end += part.length;
            }
            prop_assert_eq!(end, size);
        }

        #[test]
        fn no_key_leads_out_of_the_folder(key in "[a./\\\\:~ \\n-]{0,12}") {
            if let Some(path) = relative_path(&key) {
                let stays = path.components().all(|component| matches!(component, Component::Normal(_)));
                prop_assert!(stays && path.is_relative());
                prop_assert_eq!(relative_key(&path), Some(key));
            }
        }
    }
}
