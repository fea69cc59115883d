//! The real servers, built once from pinned Go modules into a cache outside of the checkout.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often a build that takes long says so.
const PROGRESS: Duration = Duration::from_secs(15);

/// A Go module of this folder and what is built of it.
struct Module {
    /// The folder, below `tests/`.
    folder: &'static str,
    /// Packages with the names that their binaries get.
    packages: &'static [(&'static str, &'static str)],
    /// Files of the module `.0` that are kept beside the binaries: paths below its root.
    files: Option<(&'static str, &'static [&'static str])>,
}

const MODULES: &[Module] = &[
    Module {
        folder: "testbed/guard",
        packages: &[("hcb.dev/testbed/guard", "guard")],
        files: None,
    },
    Module {
        folder: "testbed/etcd",
        packages: &[("go.etcd.io/etcd/server/v3", "etcd")],
        files: None,
    },
    Module {
        folder: "testbed/kubernetes",
        packages: &[
            ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
            (
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "kube-controller-manager",
            ),
            ("k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
        ],
        files: None,
    },
    Module {
        folder: "testbed/kwok",
        packages: &[("sigs.k8s.io/kwok/cmd/kwok", "kwok")],
        files: Some((
            "sigs.k8s.io/kwok",
            &[
                "kustomize/stage/node/fast/node-initialize.yaml",
                "kustomize/stage/node/heartbeat/node-heartbeat.yaml",
                "kustomize/stage/pod/fast/pod-ready.yaml",
                "kustomize/stage/pod/fast/pod-delete.yaml",
            ],
        )),
    },
    Module {
        folder: "testbed/karpenter",
        packages: &[("sigs.k8s.io/karpenter/kwok", "karpenter")],
        files: Some((
            "sigs.k8s.io/karpenter",
            &[
                "kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml",
                "kwok/charts/crds/karpenter.sh_nodeclaims.yaml",
                "kwok/charts/crds/karpenter.sh_nodeoverlays.yaml",
                "kwok/charts/crds/karpenter.sh_nodepools.yaml",
                "kwok/charts/crds/autoscaling.x-k8s.io_capacitybuffers.yaml",
            ],
        )),
    },
    Module {
        folder: "testbed/versitygw",
        packages: &[("github.com/versity/versitygw/cmd/versitygw", "versitygw")],
        files: None,
    },
    Module {
        folder: "charts",
        packages: &[("helm.sh/helm/v4/cmd/helm", "helm")],
        files: None,
    },
];

/// Istio takes as long to build as all else together, so only tests of the mesh wait for it.
const ISTIO: Module = Module {
    folder: "testbed/istio",
    packages: &[
        (
            "istio.io/istio/pilot/cmd/pilot-discovery",
            "pilot-discovery",
        ),
        ("istio.io/istio/pilot/cmd/pilot-agent", "pilot-agent"),
        ("istio.io/istio/istioctl/cmd/istioctl", "istioctl"),
        ("hcb.dev/testbed/istio", "xds"),
    ],
    files: Some((
        "istio.io/istio",
        &["tools/packaging/common/envoy_bootstrap.json"],
    )),
};

/// Where binaries and files of the modules are.
#[derive(Debug, Clone)]
pub struct Tools {
    folders: Vec<PathBuf>,
}

impl Tools {
    /// Builds what the cache does not have. Blocks, for minutes the first time, and says so.
    ///
    /// # Errors
    /// Where Go is missing or a build fails.
    pub fn get() -> Result<Self> {
        Self::of(MODULES)
    }

    /// Istio's programs, built as those of [`Tools::get`].
    ///
    /// # Errors
    /// Where Go is missing or a build fails.
    pub fn istio() -> Result<Self> {
        Self::of(&[ISTIO])
    }

    fn of(modules: &[Module]) -> Result<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the folder of the tests")?;
        let folders = modules
            .iter()
            .map(|module| {
                built(tests, module).with_context(|| format!("building {}", module.folder))
            })
            .collect::<Result<_>>()?;
        Ok(Self { folders })
    }

    /// A binary by name.
    ///
    /// # Panics
    /// Where no module has it.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.file(name)
    }

    /// A file that came with a module, by its name without folders.
    ///
    /// # Panics
    /// Where no module has it.
    pub fn file(&self, name: &str) -> PathBuf {
        let mut candidates = self.folders.iter().map(|folder| folder.join(name));
        candidates
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no module of the testbed has {name}"))
    }
}

/// The cache: `HCB_TESTBED_CACHE`, or a folder of the user's.
pub(crate) fn cache() -> Result<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = named("HCB_TESTBED_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|folder| folder.join("hcb-testbed")))
        .or_else(|| named("HOME").map(|folder| folder.join(".cache/hcb-testbed")))
        .context("set HCB_TESTBED_CACHE to a folder for the testbed's binaries")?;
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Makes `folder` of the cache with `make`, which fills the folder it is given, unless it is there.
/// Several processes can ask for the same: one makes it, the others wait.
pub(crate) fn cached(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache()?;
    let folder = cache.join(name);
    if folder.exists() {
        return Ok(folder);
    }
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !folder.exists() {
        let unfinished = tempfile::tempdir_in(&cache)?;
        make(unfinished.path())?;
        fs::rename(unfinished.keep(), &folder)?;
    }
    Ok(folder)
}

fn built(tests: &Path, module: &Module) -> Result<PathBuf> {
    let source = tests.join(module.folder);
    let mut hash = Sha256::new();
    for entry in sorted(&source)? {
        let is_ours = |extension: &str| matches!(extension, "mod" | "sum" | "go");
        if entry
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(is_ours)
        {
            hash.update(fs::read(&entry)?);
        }
    }
    for (package, name) in module.packages {
        hash.update(format!("{package} {name}\n"));
    }
    let name = module.folder.rsplit('/').next().unwrap_or_default();
    cached(&format!("{name}-{}", short(hash)), |folder| {
        for (package, name) in module.packages {
            build(&source, package, &folder.join(name))?;
        }
        if let Some((path, files)) = &module.files {
            let root = go(&source, &["list", "-m", "-f", "{{.Dir}}", path])?;
            for file in *files {
                let from = Path::new(root.trim()).join(file);
                let name = from.file_name().context("a file name")?;
                // The module cache is read-only; copies of its files must not be.
                fs::write(folder.join(name), fs::read(&from)?)?;
            }
        }
        Ok(())
    })
}

/// The first characters of a hash in hex.
pub(crate) fn short(hash: Sha256) -> String {
    use std::fmt::Write;
    hash.finalize()[..8]
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Builds one package of the module in `source` to `binary`.
pub(crate) fn build(source: &Path, package: &str, binary: &Path) -> Result<()> {
    let binary = binary.to_str().context("a path in UTF-8")?;
    let name = package
        .rsplit('/')
        .find(|part| !part.starts_with('v'))
        .unwrap_or(package)
        .to_owned();
    let (done, is_done) = channel::<()>();
    let progress = std::thread::spawn(move || {
        let start = Instant::now();
        while is_done.recv_timeout(PROGRESS) == Err(RecvTimeoutError::Timeout) {
            crate::say(&format!(
                "building {name}, the first time only: {} s",
                start.elapsed().as_secs()
            ));
        }
    });
    let result = go(
        source,
        &[
            "build",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
            binary,
            package,
        ],
    );
    drop(done);
    let _ = progress.join();
    result.map(drop)
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let described = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| described.clone())?;
    if !output.status.success() {
        bail!("{described}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs Go and returns what it printed.
pub(crate) fn go(folder: &Path, arguments: &[&str]) -> Result<String> {
    output(Command::new("go").args(arguments).current_dir(folder))
        .context("the testbed is built with Go: https://go.dev/doc/install")
}
