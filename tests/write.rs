//! Writing the tree: all of it or nothing, and only hcb's own files.

use hcb_compile::tree::compare::{Refusal, compare};
use hcb_compile::tree::write::write;
use hcb_compile::tree::{HEADER, OWNED, Tree};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut all: BTreeMap<Arc<str>, Arc<str>> = files
        .iter()
        .map(|(path, content)| {
            (
                (*path).into(),
                format!("{HEADER}x.yaml\n{content}\n").into(),
            )
        })
        .collect();
    let owned: Vec<_> = all.keys().map(|path| &**path).collect();
    all.insert(
        OWNED.into(),
        format!("# The files of hcb.\n{}\n", owned.join("\n")).into(),
    );
    Tree { files: all }
}

/// Every file below a folder with its content.
fn content(folder: &Path) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .expect("a path below")
                    .to_string_lossy()
                    .into();
                found.insert(name, fs::read_to_string(path).expect("a text").into());
            }
        }
    }
    found
}

#[test]
fn new_files_are_written_and_stale_files_removed() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("out");
    let first = tree(&[("clusters/a/x.yaml", "1"), ("clusters/a/y.yaml", "1")]);
    let second = tree(&[("clusters/a/x.yaml", "2"), ("clusters/b/z.yaml", "1")]);

    let changes = write(&first, &out).expect("a first tree");
    assert_eq!((changes.added.len(), changes.unchanged), (3, 0));
    assert_eq!(content(&out), first.files);

    let changes = write(&second, &out).expect("a second tree");
    assert_eq!(changes.added, ["clusters/b/z.yaml"]);
    assert_eq!(changes.changed, [OWNED, "clusters/a/x.yaml"]);
    assert_eq!(changes.removed, ["clusters/a/y.yaml"]);
    assert_eq!(content(&out), second.files);
    assert_eq!(
        fs::read_dir(folder.path()).expect("the folder").count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_tree_that_is_up_to_date_is_not_touched() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("out");
    let tree = tree(&[("clusters/a/x.yaml", "1")]);
    write(&tree, &out).expect("a tree");
    let time = |path: &Path| {
        fs::metadata(path)
            .and_then(|m| m.modified())
            .expect("a time")
    };
    let before = (time(&out), time(&out.join("clusters/a/x.yaml")));
    std::thread::sleep(Duration::from_millis(20));

    assert!(write(&tree, &out).expect("a tree").is_empty());

    assert_eq!(before, (time(&out), time(&out.join("clusters/a/x.yaml"))));
}

#[test]
fn files_that_hcb_does_not_own_are_kept() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("out");
    write(&tree(&[("clusters/a/x.yaml", "1")]), &out).expect("a tree");
    fs::write(out.join("README.md"), "mine").expect("a file");
    fs::create_dir(out.join("notes")).expect("a folder");
    fs::write(out.join("notes/a.txt"), "mine too").expect("a file");
    #[cfg(unix)]
    std::os::unix::fs::symlink("README.md", out.join("link")).expect("a link");

    write(&tree(&[("clusters/a/x.yaml", "2")]), &out).expect("a tree");

    let found = content(&out);
    assert_eq!(&*found["README.md"], "mine");
    assert_eq!(&*found["notes/a.txt"], "mine too");
    #[cfg(unix)]
    assert!(
        fs::symlink_metadata(out.join("link"))
            .expect("the link")
            .is_symlink()
    );
}

#[test]
fn a_file_that_hcb_does_not_own_at_a_path_of_the_tree_is_an_error_and_nothing_changes() {
    for (path, text, what) in [
        (
            "clusters/a/mine.yaml",
            "kind: ConfigMap",
            "beside generated files",
        ),
        (
            "clusters/a/x.yaml",
            "kind: ConfigMap",
            "a generated file that was replaced by hand",
        ),
        ("gitops/mine.txt", "", "where an engine looks"),
    ] {
        let folder = TempDir::new().expect("a folder");
        let out = folder.path().join("out");
        write(
            &tree(&[("clusters/a/x.yaml", "1"), ("gitops/a.yaml", "1")]),
            &out,
        )
        .expect("a tree");
        fs::write(out.join(path), text).expect("a file");
        let before = content(&out);

        let refusal = write(&tree(&[("clusters/a/x.yaml", "2")]), &out).expect_err(what);

        assert!(
            matches!(refusal, Refusal::ForeignFiles(files) if files == [path]),
            "{what}"
        );
        assert_eq!(content(&out), before, "{what}");
    }
}

#[test]
fn a_folder_that_hcb_never_wrote_is_not_taken_over() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path();
    fs::create_dir_all(out.join("clusters/a")).expect("a folder");
    fs::write(out.join("clusters/a/x.yaml"), "kind: ConfigMap").expect("a file");
    let refusal = compare(&tree(&[("clusters/b/y.yaml", "1")]), out).expect_err("foreign files");
    assert!(matches!(refusal, Refusal::ForeignFiles(_)));
}

#[test]
fn unsuitable_output_folders_are_refused() {
    let folder = TempDir::new().expect("a folder");
    let tree = tree(&[("clusters/a/x.yaml", "1")]);
    fs::create_dir_all(folder.path().join("repository/.git")).expect("a folder");
    fs::write(folder.path().join("file"), "").expect("a file");
    let here = std::env::current_dir().expect("a folder");
    for out in [
        folder.path().join("repository"),
        folder.path().join("file"),
        here,
    ] {
        let refusal = write(&tree, &out).expect_err("a bad output folder");
        assert!(
            matches!(refusal, Refusal::BadOutput(_)),
            "{}: {refusal}",
            out.display()
        );
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_the_output_folder_stays_a_link() {
    let folder = TempDir::new().expect("a folder");
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).expect("a folder");
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    let tree = tree(&[("clusters/a/x.yaml", "1")]);
    write(&tree, &link).expect("a tree");
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
    assert_eq!(content(&real), tree.files);
}

/// A spec of a few files whose tree differs by `marker`.
fn spec(folder: &Path, marker: &str) {
    fs::create_dir_all(folder).expect("a folder");
    let cloud =
        include_str!("valid/minimal/cloud.yaml").replace("name: acme", &format!("name: {marker}"));
    fs::write(folder.join("cloud.yaml"), cloud).expect("a file");
}

fn compile(spec: &Path, out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hcb"));
    command
        .arg("compile")
        .arg(spec)
        .arg("--out")
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn after_being_killed_at_any_point_the_tree_is_either_the_old_or_the_new_one() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("out");
    let mut expected = Vec::new();
    for marker in ["one", "two"] {
        let spec_folder = folder.path().join(marker);
        spec(&spec_folder, marker);
        assert!(
            compile(&spec_folder, &out)
                .status()
                .expect("a run")
                .success()
        );
        expected.push(content(&out));
    }
    assert_ne!(expected[0], expected[1]);
    let started = std::time::Instant::now();
    assert!(
        compile(&folder.path().join("one"), &out)
            .status()
            .expect("a run")
            .success()
    );
    let whole = started.elapsed();
    let mut killed = 0;
    for round in 0..80_u32 {
        let marker = ["two", "one"][round as usize % 2];
        let mut child = compile(&folder.path().join(marker), &out)
            .spawn()
            .expect("a run");
        // From the start of a run to just after its end.
        std::thread::sleep(whole * round / 70);
        let _ = child.kill();
        killed += u32::from(!child.wait().expect("an end").success());
        assert!(
            expected.contains(&content(&out)),
            "round {round}: neither tree"
        );
    }
    assert!(killed > 20, "only {killed} of 80 runs were killed in time");
}

#[test]
fn old_leftovers_of_killed_runs_are_removed() {
    let folder = TempDir::new().expect("a folder");
    let hour = Duration::from_hours(1);
    let make = |name: &str, age: Duration| {
        let path = folder.path().join(name);
        fs::create_dir(&path).expect("a folder");
        fs::write(path.join("x"), "").expect("a file");
        let time = std::time::SystemTime::now() - age;
        fs::File::open(&path)
            .and_then(|folder| folder.set_modified(time))
            .expect("a time");
        path
    };
    let old = make(".hcb-tree-old", 2 * hour);
    let new = make(".hcb-tree-new", hour / 60);
    let other = make("mine", 9 * hour);

    write(
        &tree(&[("clusters/a/x.yaml", "1")]),
        &folder.path().join("out"),
    )
    .expect("a tree");

    assert_eq!(
        [old.exists(), new.exists(), other.exists()],
        [false, true, true]
    );
}

#[test]
fn two_concurrent_runs_leave_one_of_the_two_trees_complete() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("out");
    let mut expected = Vec::new();
    for marker in ["one", "two"] {
        spec(&folder.path().join(marker), marker);
        assert!(
            compile(&folder.path().join(marker), &out)
                .status()
                .expect("a run")
                .success()
        );
        expected.push(content(&out));
    }
    for _ in 0..15 {
        let mut children: Vec<_> = ["one", "two"]
            .iter()
            .map(|marker| {
                compile(&folder.path().join(marker), &out)
                    .spawn()
                    .expect("a run")
            })
            .collect();
        for child in &mut children {
            child.wait().expect("an end");
        }
        assert!(expected.contains(&content(&out)));
    }
}
