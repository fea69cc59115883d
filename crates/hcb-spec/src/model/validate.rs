//! The cross-checks: a [`Spec`] to a [`Model`], and everything that is wrong on the way.

mod autoscaler;
mod capacity;
mod cluster;
mod gitops;
mod mesh;
mod object_store;
mod placement;
mod platform;
mod provider;
mod versions;
mod workload;

use super::{ClusterIndex, Model, Quantity, Seconds};
use crate::spec::{At, QuantityText, Spec};
use hcb_source::diag::{Code, Diagnostic, Diagnostics, codes, suggest};
use std::collections::BTreeMap;

/// Checks everything that the shape of the spec cannot say, and resolves it. The model is `None`
/// only where the spec is so broken that there is nothing to resolve against; a caller goes on
/// only when `diagnostics` has no error.
pub fn validate(spec: &Spec, diagnostics: &mut Diagnostics) -> Option<Model> {
    let mut check = Check { spec, diagnostics };
    let cloud = &spec.cloud.spec;

    check.name(
        &spec.cloud.metadata.name,
        &spec.cloud_at.path("metadata.name"),
    );
    if spec.cloud.metadata.namespace.is_some() {
        check.no_effect(
            &spec.cloud_at.path("metadata.namespace"),
            "a HybridCloud has no namespace",
        );
    }
    let tiers = platform::tiers(&mut check);
    let mut clusters = cluster::clusters(&mut check, &tiers);
    if clusters.is_empty() {
        return None;
    }
    let source = platform::source(&mut check, &clusters);
    autoscaler::management(&mut check, &mut clusters, source);
    cluster::clashes(&mut check, &clusters);
    cluster::apis(&mut check, &clusters, source);
    let secrets = platform::secrets(&mut check);
    let mesh = mesh::mesh(&mut check, &clusters);
    let gitops = gitops::gitops(&mut check, &clusters, source);
    let scheduling = platform::scheduling(&mut check, &clusters, &tiers);
    let object_store = object_store::object_store(&mut check, &clusters, &secrets, mesh.is_some());
    let workloads = workload::workloads(&mut check, &clusters, &tiers, &scheduling);
    let namespaces = workload::namespaces(&mut check, &clusters, &workloads);
    capacity::fits(&mut check, &clusters, &workloads, mesh.is_some());
    Some(Model {
        name: spec.cloud.metadata.name.clone(),
        location: spec.locate(&spec.cloud_at.path("metadata.name")),
        gitops,
        tiers,
        clusters,
        source,
        mesh,
        scheduling,
        object_store,
        secrets,
        namespaces,
        workloads,
        addons: cloud.addons.clone(),
    })
}

/// What every check needs: the spec for places, and somewhere to say what is wrong.
struct Check<'a> {
    spec: &'a Spec,
    diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    /// Where everything of the cloud stands.
    fn cloud(&self) -> At {
        self.spec.cloud_at.key("spec")
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn error(
        &self,
        code: Code,
        at: &At,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.spec.locate(at), label)
    }

    fn warning(
        &self,
        code: Code,
        at: &At,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::warning(code, message).at(self.spec.locate(at), label)
    }

    fn no_effect(&mut self, at: &At, why: &str) {
        let diagnostic = self
            .warning(
                codes::NO_EFFECT,
                at,
                format!("this has no effect: {why}"),
                "without effect",
            )
            .help("remove it");
        self.push(diagnostic);
    }

    /// A quantity; zero where it cannot be read, which was said then.
    fn quantity(&mut self, text: &QuantityText, at: &At) -> Quantity {
        if let Some(quantity) = Quantity::parse(&text.0) {
            return quantity;
        }
        let help = quantity_help(&text.0);
        let diagnostic = self
            .error(
                codes::BAD_QUANTITY,
                at,
                format!("`{}` is not a quantity", text.0),
                "Kubernetes cannot read this",
            )
            .help(help);
        self.push(diagnostic);
        Quantity::default()
    }

    /// A duration; zero where it cannot be read, which was said then.
    fn duration(&mut self, text: &str, at: &At) -> Seconds {
        if let Some(duration) = Seconds::parse(text) {
            return duration;
        }
        let diagnostic = self
            .error(
                codes::BAD_DURATION,
                at,
                format!("`{text}` is not a duration"),
                "cannot be read as a duration",
            )
            .help(if text.parse::<u64>().is_ok() {
                format!("did you mean `{text}s`?")
            } else {
                "write whole hours, minutes and seconds, such as `90s`, `1h30m` or `7d`".to_owned()
            });
        self.push(diagnostic);
        Seconds::parse("0s").unwrap_or_else(|| unreachable!("a duration"))
    }

    /// A name that must be a DNS label.
    fn name(&mut self, name: &str, at: &At) {
        self.named(name, at, hcb_kubernetes::names::dns_label(name));
    }

    /// Says what is wrong with a name, where something is.
    fn named(&mut self, name: &str, at: &At, problem: Option<String>) {
        if let Some(problem) = problem {
            let fixed = fixed_name(name);
            let mut diagnostic = self.error(
                codes::BAD_NAME,
                at,
                format!("the name `{name}` {problem}"),
                "not a name that can be used",
            );
            if hcb_kubernetes::names::dns_label(&fixed).is_none() && fixed != name {
                diagnostic = diagnostic.help(format!("did you mean `{fixed}`?"));
            }
            self.push(diagnostic);
        }
    }

    /// The name of an environment variable, a key at `at`; whether Kubernetes takes it.
    fn environment_variable(&mut self, name: &str, at: &At) -> bool {
        let Some(problem) = hcb_kubernetes::names::environment_variable(name) else {
            return true;
        };
        let diagnostic = self.error(
            codes::BAD_NAME,
            &at.name_of(name),
            format!("the environment variable `{name}` {problem}"),
            "not the name of a variable",
        );
        self.push(diagnostic);
        false
    }

    /// A key in a secret store.
    fn store_key(&mut self, key: &str, at: &At) {
        if let Some(problem) = hcb_kubernetes::names::store_key(key) {
            let diagnostic = self.error(
                codes::BAD_NAME,
                at,
                format!("the key `{key}` {problem}"),
                "not a key of a secret store",
            );
            self.push(diagnostic);
        }
    }

    /// Labels, of whatever.
    fn labels(&mut self, labels: &BTreeMap<String, String>, at: &At) {
        for (key, value) in labels {
            if let Some(problem) = hcb_kubernetes::names::label_key(key) {
                let diagnostic = self.error(
                    codes::BAD_LABEL,
                    &at.name_of(key),
                    format!("the label key `{key}` {problem}"),
                    "Kubernetes refuses this key",
                );
                self.push(diagnostic);
            }
            if let Some(problem) = hcb_kubernetes::names::label_value(value) {
                let diagnostic = self.error(
                    codes::BAD_LABEL,
                    &at.key(key),
                    format!("the label value `{value}` {problem}"),
                    "Kubernetes refuses this value",
                );
                self.push(diagnostic);
            }
        }
    }

    /// A reference to a cluster. `None` where there is no such cluster, which is said unless the
    /// cluster may be among those that could not be read.
    fn cluster(
        &mut self,
        name: &str,
        clusters: &[super::Cluster],
        at: &At,
    ) -> Option<ClusterIndex> {
        let found = clusters.iter().position(|cluster| cluster.name == name);
        if found.is_none() && !self.spec.incomplete.clusters {
            let known = clusters.iter().map(|cluster| cluster.name.as_str());
            let diagnostic = self
                .error(
                    codes::UNKNOWN_CLUSTER,
                    at,
                    format!("there is no cluster `{name}`"),
                    "not in `spec.clusters`",
                )
                .maybe_help(suggest(name, known));
            self.push(diagnostic);
        }
        found
    }

    /// Says which of several named things have the same name.
    fn unique<'n>(&mut self, what: &str, names: impl Iterator<Item = (&'n str, At)>) {
        let mut first: BTreeMap<&str, At> = BTreeMap::new();
        for (name, at) in names {
            match first.get(name) {
                Some(earlier) => {
                    let diagnostic = self
                        .error(
                            codes::DUPLICATE_NAME,
                            &at,
                            format!("there are two {what} named `{name}`"),
                            "again here",
                        )
                        .also(self.spec.locate(earlier), "first here");
                    self.push(diagnostic);
                }
                None => {
                    first.insert(name, at);
                }
            }
        }
    }
}

fn quantity_help(text: &str) -> String {
    let trimmed = text.trim();
    let guesses = [
        trimmed.trim_end_matches(['b', 'B']).to_owned(),
        trimmed.trim_end_matches(['b', 'B']).replace(' ', ""),
        trimmed.replace('_', ""),
        trimmed.replace(',', "."),
        trimmed
            .replace("gi", "Gi")
            .replace("mi", "Mi")
            .replace("ki", "Ki"),
        trimmed.trim_start_matches('-').to_owned(),
    ];
    guesses
        .iter()
        .find(|guess| *guess != text && Quantity::parse(guess).is_some())
        .map_or_else(
            || "write a number with an optional suffix, such as `4`, `500m`, `16Gi`".to_owned(),
            |guess| format!("did you mean `{guess}`?"),
        )
}

/// The nearest DNS label.
fn fixed_name(name: &str) -> String {
    let mapped: String = name
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
            _ => '-',
        })
        .take(63)
        .collect();
    mapped.trim_matches('-').to_owned()
}
