//! The kinds of findings. Each has a page of its own in `docs/codes/`, which the binary carries:
//! `hcb explain-code HCB101` prints it.

use rust_embed::RustEmbed;

/// The number of a kind of finding. Numbers are never given twice.
///
/// 1xx reading, 2xx the shape of the spec, 3xx names and references, 4xx what cannot work at run
/// time, 5xx templates, schemas and what must fit together across clusters, 6xx the output tree, 7xx
/// policies, 8xx what a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

#[derive(RustEmbed)]
#[folder = "codes/"]
struct Pages;

impl Code {
    /// The code as users see it: `HCB101`.
    pub fn id(self) -> String {
        format!("HCB{:03}", self.0)
    }

    /// The code that is written `id`, in any case, with or without `HCB`.
    pub fn parse(id: &str) -> Option<Code> {
        let upper = id.to_uppercase();
        let number: u16 = upper.strip_prefix("HCB").unwrap_or(&upper).parse().ok()?;
        ALL.iter().copied().find(|code| code.0 == number)
    }

    /// The long form, Markdown: what it means, an example, how to fix it.
    pub fn page(self) -> String {
        Pages::get(&format!("{}.md", self.id())).map_or_else(String::new, |page| {
            String::from_utf8_lossy(&page.data).into_owned()
        })
    }

    /// The title of the page, one line.
    pub fn title(self) -> String {
        let page = self.page();
        let first = page.lines().next().unwrap_or_default();
        first
            .trim_start_matches('#')
            .trim()
            .trim_start_matches(&format!("{}:", self.id()))
            .trim()
            .to_owned()
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code($number);)*
        /// Every code there is, in order.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    /// A file or folder that was named cannot be read.
    UNREADABLE = 100;
    /// The text is not YAML.
    YAML_SYNTAX = 101;
    /// A key is in a mapping twice.
    DUPLICATE_KEY = 102;
    /// Aliases, merge keys, custom tags, keys that are not words.
    YAML_FEATURE = 103;
    /// The text is not UTF-8.
    NOT_UTF8 = 104;

    /// A document of another kind or version.
    UNKNOWN_DOCUMENT = 200;
    /// No `HybridCloud` document, or more than one.
    ONE_CLOUD = 201;
    /// A field that the spec does not have.
    UNKNOWN_FIELD = 202;
    /// A field that must be there.
    MISSING_FIELD = 203;
    /// A value of the wrong type.
    WRONG_TYPE = 204;
    /// A value that is not among those allowed.
    NOT_ALLOWED = 205;
    /// A number or length out of its bounds.
    OUT_OF_BOUNDS = 206;
    /// A text that is not written as it must be.
    BAD_FORMAT = 207;

    /// Two things with the same name.
    DUPLICATE_NAME = 300;
    /// A cluster that is not in the spec.
    UNKNOWN_CLUSTER = 301;
    /// A tier that `scheduling.tiers` does not have.
    UNKNOWN_TIER = 302;
    /// A priority that `scheduling.priorities` does not have.
    UNKNOWN_PRIORITY = 303;
    /// A name that Kubernetes or Istio refuses.
    BAD_NAME = 304;
    /// A quantity that Kubernetes cannot read.
    BAD_QUANTITY = 305;
    /// A duration that cannot be read.
    BAD_DURATION = 306;
    /// A URL that cannot be used.
    BAD_URL = 307;
    /// A schedule that cron cannot read.
    BAD_SCHEDULE = 308;
    /// A label key or value that Kubernetes refuses.
    BAD_LABEL = 309;
    /// An image reference that cannot be used.
    BAD_IMAGE = 310;
    /// Two clusters share what must differ.
    CLUSTERS_CLASH = 311;
    /// CIDRs that cannot be read or overlap.
    BAD_CIDR = 312;
    /// A path that leads out of the tree, or is not one.
    BAD_PATH = 313;

    /// No cluster that jobs could burst to.
    NO_BURST_TIER = 400;
    /// Weights that cannot be right.
    BAD_WEIGHTS = 401;
    /// A minimum over its maximum.
    MIN_OVER_MAX = 402;
    /// A workload that fits on no node of any cluster it may run on.
    FITS_NOWHERE = 403;
    /// A residency that no cluster meets.
    RESIDENCY_UNMET = 404;
    /// Placement that leaves no cluster.
    NO_CLUSTER_LEFT = 405;
    /// An autoscaled pool without what its provider needs.
    AUTOSCALER_SETTINGS = 406;
    /// A pool that grows without a limit, or limits that the pools cannot reach.
    AUTOSCALER_LIMITS = 407;
    /// Versions that do not work together.
    VERSION_MISMATCH = 408;
    /// A Kubernetes version that hcb has no schemas for.
    KUBERNETES_UNKNOWN = 409;
    /// A budget that cannot hold, or that has no prices to count with.
    BUDGET = 410;
    /// A workload that uses data where no object store is.
    NO_OBJECT_STORE = 411;
    /// A setting without effect.
    NO_EFFECT = 413;
    /// A cluster without the address of its API server, which is needed.
    API_UNKNOWN = 414;
    /// A setting that would weaken security.
    WEAK_SECURITY = 415;

    /// A template that cannot be read or rendered.
    TEMPLATE = 500;
    /// A manifest that its kind's schema refuses.
    SCHEMA = 501;
    /// A manifest of a kind without a schema.
    SCHEMA_UNKNOWN = 502;
    /// Two manifests for one object, or one path.
    DUPLICATE_OBJECT = 503;
    /// A secret value in a manifest.
    SECRET_VALUE = 504;
    /// Clusters of one mesh without one root of trust.
    NO_SHARED_ROOT = 510;
    /// Parts of a cluster's mesh that name different networks or meshes.
    MESH_NETWORK = 511;
    /// An east-west gateway that its configuration does not select.
    MESH_GATEWAY = 512;
    /// A Secret by which istiod does not find another cluster.
    REMOTE_SECRET = 513;
    /// Parts of different versions that must be of one.
    VERSION_SKEW = 514;

    /// A file in the output folder that hcb does not own.
    FOREIGN_FILE = 600;
    /// An output folder that must not be written to.
    BAD_OUTPUT = 601;
    /// The committed tree is not what the spec says.
    DRIFT = 602;
    /// A file could not be written; the old tree is unchanged.
    WRITE_FAILED = 603;

    /// A policy or binding that the API server would refuse for its shape.
    POLICY_SHAPE = 700;
    /// An expression of a policy that the API server would refuse.
    POLICY_EXPRESSION = 701;
    /// An expression of a policy that cannot be evaluated without the API server.
    POLICY_UNSUPPORTED = 702;
    /// A manifest, or a part of the spec, that breaks a policy.
    POLICY = 710;
    /// A file of a policy that is incomplete or wrong.
    POLICY_FILE = 711;
    /// A policy that could not be evaluated.
    POLICY_UNDECIDED = 712;
    /// A policy that does not exist.
    UNKNOWN_POLICY = 713;
    /// A parameter that a policy does not have.
    POLICY_PARAM = 714;
    /// An exception that cannot be right.
    EXCEPTION = 715;
    /// An exception that has expired.
    EXCEPTION_EXPIRED = 716;
    /// An exception that expires soon.
    EXCEPTION_EXPIRES = 717;
    /// An exception that nothing needs.
    EXCEPTION_UNUSED = 718;
    /// A test of a policy that failed.
    POLICY_TEST = 719;

    /// A change that needs care when it is applied.
    IMPACT = 801;
    /// A revision that cannot be read from Git.
    REVISION = 802;
}

/// The codes of findings in manifests. A spec that passes its own checks must lead to none of them.
pub const OF_MANIFESTS: [Code; 3] = [TEMPLATE, SCHEMA, SCHEMA_UNKNOWN];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        for code in ALL {
            let page = code.page();
            assert!(
                page.starts_with(&format!("# {}: ", code.id())),
                "docs/codes/{}.md is missing or does not start with its title",
                code.id()
            );
        }
        let pages: Vec<_> = Pages::iter().collect();
        assert_eq!(pages.len(), ALL.len(), "a page without a code: {pages:?}");
    }

    #[test]
    fn numbers_are_given_once_and_in_order() {
        assert!(ALL.is_sorted_by(|a, b| a < b));
    }
}
