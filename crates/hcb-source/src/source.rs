//! The texts a run reads, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// One text that was read: its path as the user named it, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as given on the command line or found below a given folder.
    pub path: PathBuf,
    /// The whole text, UTF-8.
    pub text: String,
    /// The purpose of the text.
    pub role: Role,
    line_starts: Vec<usize>,
}

/// The purpose of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is a part of the spec.
    Spec,
    /// It is one of the files of a policy.
    Policy,
}

/// Index of a file in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A byte range in one file: what a finding underlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A position for people: both numbers count from one, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct LineColumn {
    /// Line, from one.
    pub line: usize,
    /// Column in characters, from one.
    pub column: usize,
}

/// All the texts of a run.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Location {
    /// The place of `range` in `file`. Texts of more than 4 GiB are refused when they are read.
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            file,
            start: clamp(range.start),
            end: clamp(range.end),
        }
    }

    /// The byte range, to index the file's text with.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Sources {
    /// Adds a text of the spec and returns its id.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> FileId {
        self.add_as(Role::Spec, path, text)
    }

    /// Adds a text and returns its id.
    pub fn add_as(
        &mut self,
        role: Role,
        path: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> FileId {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.files.push(SourceFile {
            path: path.into(),
            text,
            role,
            line_starts,
        });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// The file with this id.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// All files with their ids, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        (0..).map(FileId).zip(&self.files)
    }

    /// The files of this role with their ids, in the order they were added.
    pub fn of(&self, role: Role) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.iter().filter(move |(_, file)| file.role == role)
    }

    /// Whether no text was added.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The path of the file that `location` is in.
    pub fn path(&self, location: Location) -> &Path {
        &self.file(location.file).path
    }

    /// Line and column of the first byte of `location`.
    pub fn line_column(&self, location: Location) -> LineColumn {
        self.file(location.file)
            .line_column(location.start as usize)
    }
}

impl SourceFile {
    /// Line and column of a byte offset; an offset past the end is the end.
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1];
        LineColumn {
            line,
            column: self.text[start..offset].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "a: ü\nbö: x\n");
        let x = Location::new(file, 11..12);
        assert_eq!(&sources.file(file).text[x.range()], "x");
        assert_eq!(sources.line_column(x), LineColumn { line: 2, column: 5 });
    }
}
