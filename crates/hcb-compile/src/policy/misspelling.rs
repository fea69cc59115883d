//! Names in expressions that are not known, and those that were probably meant.

use hcb_cel::CompileError;
use hcb_source::diag::suggest;

/// What to do about an expression that does not compile: what the compiler of CEL says, or which name was probably
/// meant.
pub(super) fn help_with(error: &CompileError) -> Option<String> {
    error.help.clone().or_else(|| {
        let unknown = error.unknown.as_ref()?;
        suggest(&unknown.name, unknown.known.iter().map(String::as_str))
    })
}
