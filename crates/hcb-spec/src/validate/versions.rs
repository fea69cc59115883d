//! Checks of versions: what works together, and what must not drift apart.

use super::check::Check;
use hcb_kubernetes::image;
use hcb_source::diag::codes;

/// The scheduler and the reconciler are configured in the formats of their versions.
pub(super) fn scheduling(check: &mut Check<'_>) {
    let spec = &check.spec.cloud.spec.scheduling;
    let at = check.cloud().key("scheduling");
    let rules = crate::scheduling::rules(spec.engine);
    if !rules.is_tested(&spec.version) {
        let diagnostic = check
            .warning(
                codes::VERSION_MISMATCH,
                &at.key("version"),
                format!("this hcb was not tested with {} {}", rules.name, spec.version),
                "another minor version",
            )
            .help(format!(
                "its scheduler is configured for {}: leave the field out, or try the version before",
                rules.minor
            ));
        check.push(diagnostic);
    }
    let own = env!("CARGO_PKG_VERSION");
    let tag = image::tag(&spec.reconciler.image).unwrap_or_default();
    let number = tag.strip_prefix('v').unwrap_or(tag);
    let is_release =
        number.split('.').count() == 3 && number.split('.').all(|part| part.parse::<u32>().is_ok());
    if is_release && number != own {
        let diagnostic = check
            .warning(
                codes::VERSION_MISMATCH,
                &at.path("reconciler.image"),
                format!("the reconciler is hcb {number}, and its configuration is written by hcb {own}"),
                "another version",
            )
            .help("it refuses a configuration that it does not understand, and goes on with the one before: compile with the version that runs");
        check.push(diagnostic);
    }
}
