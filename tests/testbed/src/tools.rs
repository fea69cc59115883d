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
    /// The module whose version the binaries say that they are of, as its own build tells them.
    release: Option<&'static str>,
    /// Whether it is only built once a test asks for something of it: what takes long to build and few need.
    on_demand: bool,
}

/// The packages in which programs of Kubernetes look for their version. Without it they say `v0.0.0`,
/// and charts that ask for a version of Kubernetes are refused.
const VERSION_PACKAGES: &[&str] = &[
    "k8s.io/component-base/version",
    "k8s.io/client-go/pkg/version",
];

const MODULES: &[Module] = &[
    Module {
        folder: "testbed/guard",
        packages: &[("hcb.dev/testbed/guard", "guard")],
        files: None,
        release: None,
        on_demand: false,
    },
    Module {
        folder: "testbed/etcd",
        packages: &[("go.etcd.io/etcd/server/v3", "etcd")],
        files: None,
        release: None,
        on_demand: false,
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
            ("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
        ],
        files: None,
        release: Some("k8s.io/kubernetes"),
        on_demand: false,
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
        release: None,
        on_demand: false,
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
        release: None,
        on_demand: false,
    },
    Module {
        folder: "testbed/versitygw",
        packages: &[("github.com/versity/versitygw/cmd/versitygw", "versitygw")],
        files: None,
        release: None,
        on_demand: false,
    },
    Module {
        folder: "testbed/internet",
        packages: &[("hcb.dev/testbed/internet", "internet")],
        files: None,
        release: None,
        on_demand: false,
    },
    Module {
        folder: "testbed/flux",
        packages: &[("github.com/fluxcd/source-controller", "source-controller")],
        files: Some((
            "github.com/fluxcd/source-controller",
            &[
                "config/crd/bases/source.toolkit.fluxcd.io_buckets.yaml",
                "config/crd/bases/source.toolkit.fluxcd.io_externalartifacts.yaml",
                "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
                "config/crd/bases/source.toolkit.fluxcd.io_helmcharts.yaml",
                "config/crd/bases/source.toolkit.fluxcd.io_helmrepositories.yaml",
                "config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
            ],
        )),
        release: None,
        on_demand: true,
    },
    Module {
        folder: "testbed/flux",
        packages: &[(
            "github.com/fluxcd/kustomize-controller",
            "kustomize-controller",
        )],
        files: Some((
            "github.com/fluxcd/kustomize-controller",
            &["config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"],
        )),
        release: None,
        on_demand: true,
    },
    Module {
        folder: "testbed/flux",
        packages: &[("github.com/fluxcd/helm-controller", "helm-controller")],
        files: Some((
            "github.com/fluxcd/helm-controller",
            &["config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"],
        )),
        release: None,
        on_demand: true,
    },
    Module {
        folder: "testbed/argocd",
        packages: &[("github.com/argoproj/argo-cd/v3/cmd", "argocd")],
        files: Some((
            "github.com/argoproj/argo-cd/v3",
            &["manifests/install.yaml"],
        )),
        release: None,
        on_demand: true,
    },
    Module {
        folder: "charts",
        packages: &[
            ("helm.sh/helm/v4/cmd/helm", "helm"),
            ("hcb.dev/hcb/tests/charts", "charts"),
        ],
        files: None,
        release: None,
        on_demand: false,
    },
];

/// Istio takes as long to build as all else together, so only tests of the mesh wait for it.
static ISTIO: Module = Module {
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
    release: None,
    on_demand: false,
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
        Self::of(MODULES.iter().filter(|module| !module.on_demand))
    }

    /// The object store alone, for tests that need no cluster.
    ///
    /// # Errors
    /// Where Go is missing or a build fails.
    pub fn object_store() -> Result<Self> {
        let needed = ["testbed/guard", "testbed/versitygw"];
        let is_needed = |module: &&Module| needed.contains(&module.folder);
        Self::of(MODULES.iter().filter(is_needed))
    }

    /// Istio's programs, built as those of [`Tools::get`].
    ///
    /// # Errors
    /// Where Go is missing or a build fails.
    pub fn istio() -> Result<Self> {
        Self::of([&ISTIO])
    }

    fn of(modules: impl IntoIterator<Item = &'static Module>) -> Result<Self> {
        let tests = folder_of_tests()?;
        let folders = modules
            .into_iter()
            .map(|module| {
                built(&tests, module).with_context(|| format!("building {}", module.folder))
            })
            .collect::<Result<_>>()?;
        Ok(Self { folders })
    }

    /// A binary by name. Blocks for minutes where it has to be built first.
    ///
    /// # Panics
    /// Where no module has it, or it does not build.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.file(name)
    }

    /// A file that came with a module, by its name without folders. Blocks for minutes where the module has to
    /// be built first.
    ///
    /// # Panics
    /// Where no module has it, or the module does not build.
    pub fn file(&self, name: &str) -> PathBuf {
        let mut candidates = self.folders.iter().map(|folder| folder.join(name));
        if let Some(found) = candidates.find(|path| path.exists()) {
            return found;
        }
        let module = MODULES.iter().find(|module| has(module, name));
        let module = module.unwrap_or_else(|| panic!("no module of the testbed has {name}"));
        let folder = folder_of_tests().and_then(|tests| built(&tests, module));
        folder
            .unwrap_or_else(|error| panic!("building {}: {error:#}", module.folder))
            .join(name)
    }
}

/// Whether a module that is built on demand has a file.
fn has(module: &Module, name: &str) -> bool {
    let is_binary = module.packages.iter().any(|(_, binary)| *binary == name);
    let mut files = module.files.iter().flat_map(|(_, files)| files.iter());
    module.on_demand && (is_binary || files.any(|file| file.rsplit('/').next() == Some(name)))
}

fn folder_of_tests() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(folder.context("the folder of the tests")?.to_owned())
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
    if let Some(release) = module.release {
        hash.update(format!("{release} {}\n", VERSION_PACKAGES.join(" ")));
    }
    let name = module.folder.rsplit('/').next().unwrap_or_default();
    cached(&format!("{name}-{}", short(hash)), |folder| {
        let version = module
            .release
            .map(|release| version_flags(&source, release))
            .transpose()?
            .unwrap_or_default();
        for (package, name) in module.packages {
            link(&source, package, &folder.join(name), &version)?;
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

/// What the linker is told, so that a program of Kubernetes knows the version that the module in
/// `source` pins.
fn version_flags(source: &Path, release: &str) -> Result<String> {
    let version = go(source, &["list", "-m", "-f", "{{.Version}}", release])?;
    let version = version.trim();
    let numbers: Vec<_> = version.trim_start_matches('v').split('.').collect();
    let [major, minor, ..] = numbers[..] else {
        bail!("{release} is of no version: {version}");
    };
    let flags: Vec<_> = VERSION_PACKAGES
        .iter()
        .map(|package| {
            format!(" -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}")
        })
        .collect();
    Ok(flags.concat())
}

/// Builds one package of the module in `source` to `binary`.
pub(crate) fn build(source: &Path, package: &str, binary: &Path) -> Result<()> {
    link(source, package, binary, "")
}

/// Builds one package with further flags for the linker.
fn link(source: &Path, package: &str, binary: &Path, flags: &str) -> Result<()> {
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
            &format!("-ldflags=-s -w{flags}"),
            "-o",
            binary,
            package,
        ],
    );
    drop(done);
    let _ = progress.join();
    result.map(drop)
}

/// The folder of a module in Go's cache, where the registry serves `MODULE@VERSION`.
pub(crate) fn served(module: &str) -> Option<PathBuf> {
    let arguments = ["mod", "download", "-json", module];
    let answer = go(&std::env::temp_dir(), &arguments).ok()?;
    let answer: serde_json::Value = serde_json::from_str(&answer).ok()?;
    answer["Dir"].as_str().map(PathBuf::from)
}

/// Copies a folder of source to change it: Go's cache of modules is read-only, and a person's checkout
/// is theirs.
pub(crate) fn copy_source(from: &Path, to: &Path) -> Result<()> {
    output(Command::new("cp").arg("-r").arg(from).arg(to))?;
    output(Command::new("chmod").args(["-R", "u+w"]).arg(to)).map(drop)
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
