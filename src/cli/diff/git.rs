//! Files of a Git revision, read without touching the work tree.
//!
//! This asks the `git` command: whoever has two revisions to compare has it, it knows every form of
//! repository (shallow, partial, worktrees, SHA-256), and a library (`gix` 0.90, without defaults) would add
//! 65 crates to the 260 that there are, for three questions.

use anyhow::{Context, anyhow, bail};
use hcb_source::diag::codes;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    root: PathBuf,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    /// Its full name.
    pub(super) id: String,
    /// What it is called in reports: `main at 1a2b3c4d`.
    pub(super) name: String,
}

/// Two commits to compare, as Git itself writes them: `A..B`, or `A...B` for what B changed since it
/// left A. `A` alone is `A...HEAD`, and nothing is the main branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) before: Option<String>,
    pub(super) after: String,
    pub(super) from_merge_base: bool,
}

impl Range {
    pub(super) fn parse(text: &str) -> Self {
        let or_head = |text: &str| if text.is_empty() { "HEAD" } else { text }.to_owned();
        let split = text
            .split_once("...")
            .map(|ends| (ends, true))
            .or_else(|| text.split_once("..").map(|ends| (ends, false)));
        match split {
            Some(((before, after), from_merge_base)) => Self {
                before: Some(or_head(before)),
                after: or_head(after),
                from_merge_base,
            },
            None => Self {
                before: (!text.is_empty()).then(|| text.to_owned()),
                after: "HEAD".to_owned(),
                from_merge_base: true,
            },
        }
    }
}

impl Repository {
    /// The repository that a path is in.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let root = super::super::input::repository_root(path).ok_or_else(|| {
            anyhow!(
                "[{}] `{}` is in no Git repository",
                codes::REVISION.id(),
                path.display()
            )
        })?;
        Ok(Self { root })
    }

    /// The root of its work tree.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.root)
            .args(["-c", "core.quotePath=false"])
            .args(arguments)
            // Messages are looked at, and nothing here is worth a question to a person.
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null());
        command
    }

    fn ask(&self, arguments: &[&str]) -> anyhow::Result<Result<String, String>> {
        let output = self
            .git(arguments)
            .output()
            .with_context(|| format!("[{}] running `git`", codes::REVISION.id()))?;
        Ok(if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        })
    }

    /// The commit that a revision names.
    pub(super) fn commit(&self, revision: &str) -> anyhow::Result<Commit> {
        let id = self.id(revision)?.ok_or_else(|| {
            anyhow!(
                "[{}] there is no revision `{revision}` in `{}`; a shallow clone lacks most of them: fetch it, or clone with the whole history",
                codes::REVISION.id(),
                self.root.display()
            )
        })?;
        let short = &id[..id.len().min(8)];
        let name = if id.starts_with(revision) {
            short.to_owned()
        } else {
            format!("{revision} at {short}")
        };
        Ok(Commit { id, name })
    }

    fn id(&self, revision: &str) -> anyhow::Result<Option<String>> {
        let commit = format!("{revision}^{{commit}}");
        // No revision is taken for an option.
        let arguments = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ];
        Ok(self.ask(&arguments)?.ok())
    }

    /// The main branch, by the names that it commonly has.
    fn main_branch(&self) -> anyhow::Result<String> {
        for name in [
            "origin/HEAD",
            "origin/main",
            "origin/master",
            "main",
            "master",
        ] {
            if self.id(name)?.is_some() {
                return Ok(name.to_owned());
            }
        }
        bail!(
            "[{}] the main branch is none of `origin/HEAD`, `main` and `master`; name it, as in `--git=trunk`",
            codes::REVISION.id()
        )
    }

    /// The two commits of a range.
    pub(super) fn range(&self, range: &Range) -> anyhow::Result<(Commit, Commit)> {
        let before = match &range.before {
            Some(revision) => revision.clone(),
            None => self.main_branch()?,
        };
        let (before, after) = (self.commit(&before)?, self.commit(&range.after)?);
        if !range.from_merge_base {
            return Ok((before, after));
        }
        let base = self.ask(&["merge-base", &before.id, &after.id])?.map_err(|_| {
            anyhow!(
                "[{}] `{}` and `{}` have no commit in common that is here; a shallow clone lacks it: clone with the whole history (`fetch-depth: 0`)",
                codes::REVISION.id(),
                before.name,
                after.name
            )
        })?;
        let name = if base == before.id {
            before.name
        } else {
            format!(
                "{} (where it left {})",
                &base[..base.len().min(8)],
                before.name
            )
        };
        Ok((Commit { id: base, name }, after))
    }

    /// The files below a folder, or the one file, of a commit: their paths from the root, and their
    /// bytes. Links and submodules are left out.
    pub(super) fn files(
        &self,
        commit: &Commit,
        below: &Path,
        extensions: &[&str],
    ) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
        let below = below.to_string_lossy();
        // A path is one, whatever characters are in it.
        let mut list = self.git(&[
            "--literal-pathspecs",
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            &commit.id,
        ]);
        if !below.is_empty() {
            list.arg("--").arg(below.as_ref());
        }
        let output = list.output().context("running `git ls-tree`")?;
        if !output.status.success() {
            bail!(
                "[{}] reading {}: {}",
                codes::REVISION.id(),
                commit.name,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let listed = String::from_utf8_lossy(&output.stdout);
        let wanted: Vec<(&str, PathBuf)> = listed
            .split('\0')
            .filter_map(|line| {
                let (facts, path) = line.split_once('\t')?;
                let mut facts = facts.split(' ');
                let (mode, _, id) = (facts.next()?, facts.next()?, facts.next()?);
                let path = PathBuf::from(path);
                let hidden = path
                    .iter()
                    .any(|part| part.to_string_lossy().starts_with('.'));
                let named = path
                    .extension()
                    .is_some_and(|found| extensions.iter().any(|one| found == *one));
                (mode.starts_with("100") && named && !hidden).then_some((id, path))
            })
            .collect();
        let ids: Vec<_> = wanted.iter().map(|(id, _)| *id).collect();
        let contents = self.contents(&ids)?;
        Ok(wanted
            .into_iter()
            .map(|(_, path)| path)
            .zip(contents)
            .collect())
    }

    /// The contents of blobs, by one process for all.
    fn contents(&self, ids: &[&str]) -> anyhow::Result<Vec<Vec<u8>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut process = self
            .git(&["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("running `git cat-file`")?;
        let mut questions = process
            .stdin
            .take()
            .context("the input of `git cat-file`")?;
        let answers = process
            .stdout
            .take()
            .context("the output of `git cat-file`")?;
        let asked: String = ids.iter().flat_map(|id| [*id, "\n"]).collect();
        // Asked from a thread of its own: neither side waits for the other with a full pipe.
        let asking = std::thread::spawn(move || questions.write_all(asked.as_bytes()));
        let mut reader = BufReader::new(answers);
        let mut contents = Vec::with_capacity(ids.len());
        for id in ids {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let size: usize = header
                .trim()
                .rsplit(' ')
                .next()
                .and_then(|size| size.parse().ok())
                .with_context(|| {
                    format!(
                        "[{}] the object {id}: {}",
                        codes::REVISION.id(),
                        header.trim()
                    )
                })?;
            // The bytes, and the line end after them.
            let mut content = vec![0; size + 1];
            reader.read_exact(&mut content)?;
            content.pop();
            contents.push(content);
        }
        let _ = asking.join();
        process.wait()?;
        Ok(contents)
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn ranges_are_written_as_git_writes_them() {
        let range = |before: Option<&str>, after: &str, from_merge_base| Range {
            before: before.map(str::to_owned),
            after: after.to_owned(),
            from_merge_base,
        };
        for (text, expected) in [
            ("", range(None, "HEAD", true)),
            ("main", range(Some("main"), "HEAD", true)),
            ("v1..v2", range(Some("v1"), "v2", false)),
            ("v1...v2", range(Some("v1"), "v2", true)),
            ("v1..", range(Some("v1"), "HEAD", false)),
            ("..v2", range(Some("HEAD"), "v2", false)),
        ] {
            assert_eq!(Range::parse(text), expected, "{text}");
        }
    }
}
