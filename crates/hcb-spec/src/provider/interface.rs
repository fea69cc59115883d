//! What hcb asks of the settings of an autoscaler.

use crate::findings::Findings;
use crate::place::At;
use hcb_api::node_pool::Addition;

/// What hcb needs of the settings of every provider.
pub(crate) trait ProviderSettings {
    /// Checks that the provider accepts the names and values of the settings, which are at `at`.
    fn check(&self, findings: &mut Findings<'_>, at: &At);

    /// Which cluster holds the provider's objects, where that can be another than the one that is scaled.
    fn management(&self) -> Option<Management<'_>> {
        None
    }

    /// What the provider adds to nodes by itself, as far as it keeps pods away or lets them in.
    fn additions(&self) -> &'static [Addition] {
        &[]
    }

    /// Whether the provider makes the machines of a pool, so that it must know their type. It counts
    /// before there are any settings.
    fn makes_machines() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Why the provider refuses a name for a pool. It counts before there are any settings.
    fn refusal(_pool: &str) -> Option<Refusal>
    where
        Self: Sized,
    {
        None
    }
}

/// Why a provider refuses a name.
pub(crate) struct Refusal {
    /// That it does.
    pub(crate) message: String,
    /// What is wrong with the name.
    pub(crate) label: &'static str,
    /// What a name must be like.
    pub(crate) help: &'static str,
}

/// The cluster that holds a provider's objects.
pub(crate) struct Management<'a> {
    /// The one that the settings name.
    pub(crate) named: Option<&'a str>,
    /// The one that it is otherwise.
    pub(crate) default: ManagementDefault,
}

/// The cluster that holds the objects of a provider whose settings name none.
pub(crate) enum ManagementDefault {
    /// The cluster that jobs are created in.
    Source,
    /// The cluster that is scaled.
    Itself,
}
