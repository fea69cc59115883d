//! The shape of the code: which crate may use which, and that the files of a crate use each other in one
//! direction only.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each crate with the crates that it may use. Arrows only go up in this list: a crate uses none that
/// stands below it.
const CRATES: [(&str, &[&str]); 11] = [
    ("hcb-source", &[]),
    ("hcb-cel", &[]),
    ("hcb-kubernetes", &[]),
    ("hcb-transfer", &[]),
    ("hcb-api", &["hcb-source", "hcb-kubernetes"]),
    (
        "hcb-reconciler",
        &["hcb-source", "hcb-kubernetes", "hcb-api"],
    ),
    (
        "hcb-simulator",
        &["hcb-source", "hcb-api", "hcb-reconciler"],
    ),
    ("hcb-spec", &["hcb-source", "hcb-kubernetes", "hcb-api"]),
    (
        "hcb-compile",
        &[
            "hcb-source",
            "hcb-cel",
            "hcb-kubernetes",
            "hcb-api",
            "hcb-spec",
        ],
    ),
    (
        "hcb-diff",
        &[
            "hcb-source",
            "hcb-kubernetes",
            "hcb-api",
            "hcb-spec",
            "hcb-compile",
        ],
    ),
    (
        "hcb",
        &[
            "hcb-source",
            "hcb-kubernetes",
            "hcb-transfer",
            "hcb-api",
            "hcb-reconciler",
            "hcb-spec",
            "hcb-compile",
            "hcb-diff",
        ],
    ),
];

/// Circles between files that are known, with the reason why each is still there. An entry whose circle is
/// gone fails the test, so that the list only gets shorter.
const KNOWN_CIRCLES: &[Circle] = &[
    Circle {
        package: "hcb-source",
        files: &["diag/report.rs", "diag/report/"],
        reason: "the list of report formats and each format, which uses what reports share",
    },
    Circle {
        package: "hcb-source",
        files: &["yaml.rs", "yaml/"],
        reason: "a YAML node and its reader",
    },
    Circle {
        package: "hcb-cel",
        files: &[""],
        reason: "the language and its libraries: the evaluator calls functions, which evaluate arguments",
    },
    Circle {
        package: "hcb-kubernetes",
        files: &["schema.rs", "schema/"],
        reason: "schemas and the catalogue that holds them",
    },
    Circle {
        package: "hcb-transfer",
        files: &[
            "credentials.rs",
            "credentials/",
            "failure.rs",
            "sign.rs",
            "transport.rs",
        ],
        reason: "a request is signed with credentials, which some sources fetch by a request",
    },
];

/// A circle between files.
struct Circle {
    /// The crate.
    package: &'static str,
    /// Its files, relative to the folder of sources of the crate; `x/` stands for all below a folder.
    files: &'static [&'static str],
    /// Why it is there.
    reason: &'static str,
}

impl Circle {
    /// Whether all files of a circle are among those of this one.
    fn holds(&self, package: &str, files: &[String]) -> bool {
        let is_listed = |file: &String| {
            self.files.iter().any(|known| {
                file == known
                    || (known.is_empty() || known.ends_with('/')) && file.starts_with(known)
            })
        };
        self.package == package && files.iter().all(is_listed)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn each_crate_uses_only_the_crates_above_it_in_the_list() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name").to_owned();
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        // What tests use makes no arrow: `kind` is null for what the crate itself uses.
        let own = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null() && !dependency["path"].is_null())
            .map(|dependency| dependency["name"].as_str().expect("a name").to_owned());
        found.insert(name, own.collect::<BTreeSet<_>>());
    }
    // The testbed is a test.
    found.remove("hcb-testbed");
    let listed: BTreeSet<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    for name in found.keys() {
        assert!(
            listed.contains(name.as_str()),
            "the crate {name} is not in the list of crates; add it where it belongs"
        );
    }
    for (index, (name, allowed)) in CRATES.iter().enumerate() {
        for other in *allowed {
            assert!(
                CRATES[..index].iter().any(|(above, _)| above == other),
                "{name} may use {other}, which stands below it"
            );
        }
        for used in &found[*name] {
            assert!(
                allowed.contains(&used.as_str()),
                "{name} uses {used}, which the list does not allow"
            );
        }
    }
}

#[test]
fn files_of_a_crate_use_each_other_in_one_direction() {
    let mut problems = Vec::new();
    let mut circles = Vec::new();
    for (package, _) in CRATES {
        let folder = match package {
            "hcb" => root().join("src"),
            _ => root().join("crates").join(package).join("src"),
        };
        for files in Crate::read(&folder).circles() {
            circles.push((package, files));
        }
    }
    for (package, files) in &circles {
        if !KNOWN_CIRCLES
            .iter()
            .any(|known| known.holds(package, files))
        {
            problems.push(format!(
                "{package}: these files use each other in a circle: {}",
                files.join(", ")
            ));
        }
    }
    for known in KNOWN_CIRCLES {
        if !circles
            .iter()
            .any(|(package, files)| known.holds(package, files))
        {
            problems.push(format!(
                "{}: the circle of {} is gone ({}); take it out of KNOWN_CIRCLES",
                known.package,
                known.files.join(", "),
                known.reason
            ));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_circle_is_found_through_use_lines_and_through_paths() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file that can be written");
    };
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\n");
    write("a.rs", "use super::b::{self, B};\n// crate::c::C\n");
    write(
        "b.rs",
        "mod inner;\nfn f() -> inner::I { \"crate::a\"; todo!() }\n#[cfg(test)]\nmod tests { use crate::a::A; }\n",
    );
    write("b/inner.rs", "pub struct I;\n");
    write("c.rs", "use crate::{a::A, b::B};\n");
    assert!(Crate::read(folder.path()).circles().is_empty());
    write("b/inner.rs", "use crate::{\n    a::A,\n};\n");
    assert_eq!(
        Crate::read(folder.path()).circles(),
        [["a.rs", "b.rs", "b/inner.rs"]]
    );
    write("b/inner.rs", "fn f() { super::g() }\n");
    assert_eq!(
        Crate::read(folder.path()).circles(),
        [["b.rs", "b/inner.rs"]]
    );
}

/// The files of a crate, and which use which.
struct Crate {
    /// The modules with the file of each.
    modules: BTreeMap<Vec<String>, String>,
    /// The file with those that it uses.
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let mut modules = BTreeMap::new();
        collect(folder, folder, &mut modules);
        let mut read = Self {
            modules,
            uses: BTreeMap::new(),
        };
        for (module, file) in &read.modules {
            let text = fs::read_to_string(folder.join(file)).expect("a file that can be read");
            let used = read.used(module, &code(&text));
            let others = used.into_iter().filter(|used| used != file);
            read.uses.insert(file.clone(), others.collect());
        }
        read
    }

    /// The files that the code of a module names, by `use` or by a path.
    fn used(&self, module: &[String], code: &str) -> BTreeSet<String> {
        let words = words(code);
        let mut used = BTreeSet::new();
        let mut index = 0;
        while index < words.len() {
            let follows_path = index > 0 && words[index - 1] == "::";
            let is_path = words.get(index + 1).is_some_and(|next| *next == "::");
            if is_path && !follows_path {
                self.path(module, &words, &mut index, &mut used);
            } else {
                index += 1;
            }
        }
        used
    }

    /// Reads a path or a tree of paths that begins at `index`, which is then behind it.
    fn path(
        &self,
        module: &[String],
        words: &[&str],
        index: &mut usize,
        used: &mut BTreeSet<String>,
    ) {
        let first = words[*index];
        let mut at = match first {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module[..module.len().saturating_sub(1)].to_vec(),
            // A path that begins with a child of this module; all others are of other crates or of a
            // module that a `use` line names.
            _ => {
                let child = [module, &[first.to_owned()]].concat();
                if !self.modules.contains_key(&child) {
                    *index += 1;
                    return;
                }
                child
            }
        };
        *index += 2;
        while words.get(*index) == Some(&"super") && words.get(*index + 1) == Some(&"::") {
            at.pop();
            *index += 2;
        }
        self.tree(&at, words, index, used);
    }

    /// What follows a module in a path: a name, a path, or several in braces.
    fn tree(&self, at: &[String], words: &[&str], index: &mut usize, used: &mut BTreeSet<String>) {
        let Some(word) = words.get(*index) else {
            return;
        };
        if *word != "{" {
            let next = [at, &[(*word).to_owned()]].concat();
            *index += 1;
            if self.modules.contains_key(&next) {
                if words.get(*index) == Some(&"::") {
                    *index += 1;
                    self.tree(&next, words, index, used);
                } else {
                    used.extend(self.modules.get(&next).cloned());
                }
            } else {
                // An item of the module, or the module itself where it is `self`.
                used.extend(self.modules.get(at).cloned());
            }
            return;
        }
        *index += 1;
        while let Some(word) = words.get(*index) {
            match *word {
                "}" => {
                    *index += 1;
                    return;
                }
                "," => *index += 1,
                _ => {
                    self.tree(at, words, index, used);
                    // What is left of an item: `as other`, or a path below it.
                    let mut depth = 0;
                    while let Some(word) = words.get(*index) {
                        match *word {
                            "{" => depth += 1,
                            "}" | "," if depth == 0 => break,
                            "}" => depth -= 1,
                            _ => {}
                        }
                        *index += 1;
                    }
                }
            }
        }
    }

    /// The sets of files each of which uses each other, by whatever way.
    fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> = self
            .uses
            .keys()
            .map(|file| {
                let mut reached = BTreeSet::new();
                let mut rest: Vec<&String> = self.uses[file].iter().collect();
                while let Some(next) = rest.pop() {
                    if reached.insert(next) {
                        rest.extend(&self.uses[next]);
                    }
                }
                (file, reached)
            })
            .collect();
        let mut circles: Vec<Vec<String>> = Vec::new();
        for (file, reaches) in &reached {
            if !reaches.contains(file) || circles.iter().any(|circle| circle.contains(file)) {
                continue;
            }
            let circle = reaches
                .iter()
                .filter(|other| reached[**other].contains(file));
            circles.push(circle.map(|file| (**file).clone()).collect());
        }
        circles
    }
}

/// The modules below a folder, each with its file.
fn collect(root: &Path, folder: &Path, modules: &mut BTreeMap<Vec<String>, String>) {
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, modules);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let below = path.strip_prefix(root).expect("a path below");
        let segments: Vec<_> = below
            .iter()
            .map(|segment| segment.to_string_lossy().into_owned())
            .collect();
        let file = segments.join("/");
        let mut module: Vec<String> = below
            .with_extension("")
            .iter()
            .map(|segment| segment.to_string_lossy().into_owned())
            .collect();
        match module.last().map(String::as_str) {
            Some("main") if module.len() == 1 => continue,
            Some("lib") if module.len() == 1 => module.clear(),
            Some("mod") => drop(module.pop()),
            _ => {}
        }
        modules.insert(module, file);
    }
}

/// The code of a file without comments, texts and unit tests.
fn code(text: &str) -> String {
    // Unit tests stand at the end.
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text);
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_text(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            rest[start..]
                .find(&close)
                .map_or(rest.len(), |end| start + end + close.len())
        } else if character == '"' {
            text_length(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'{'") || rest.starts_with("'}'") {
            3
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[length..];
    }
    code
}

/// How many `#` a raw text begins with, where one begins here.
fn raw_text(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a text in quotes.
fn text_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The words of code: names, `::`, and each other character.
fn words(code: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = code;
    while let Some(character) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_name(character) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            character.len_utf8()
        };
        if !character.is_whitespace() {
            words.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    words
}
