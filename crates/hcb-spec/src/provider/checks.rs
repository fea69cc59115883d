//! Checks that several providers share.

use crate::findings::Findings;
use crate::place::At;
use hcb_source::diag::codes;

impl Findings<'_> {
    /// Checks an ARN of AWS.
    pub(in crate::provider) fn arn(&mut self, arn: &str, at: &At) {
        self.must(
            at,
            arn,
            "an ARN such as `arn:aws:iam::123456789012:role/nodes`",
            |text| text.starts_with("arn:") && text.split(':').count() >= 6 && is_word(text),
        );
    }

    /// Checks a name of the provider; `wanted` says what it names.
    pub(in crate::provider) fn word(&mut self, text: &str, at: &At, wanted: &str) {
        self.must(at, text, wanted, is_word);
    }

    /// Adds a finding unless `is_fine` accepts the text; `wanted` says what would be accepted.
    pub(in crate::provider) fn must(
        &mut self,
        at: &At,
        text: &str,
        wanted: &str,
        is_fine: impl Fn(&str) -> bool,
    ) {
        if !is_fine(text) {
            let diagnostic = self
                .error(
                    codes::AUTOSCALER_SETTINGS,
                    at,
                    format!("`{text}` is not {wanted}"),
                    "the provider takes no such value",
                )
                .help("`hcb explain-code HCB406` shows the settings of each provider");
            self.push(diagnostic);
        }
    }
}

/// Checks the kind of an object.
pub(super) fn kind(findings: &mut Findings<'_>, kind: &str, at: &At) {
    findings.must(at, kind, "a kind such as `EC2NodeClass`", |text| {
        text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric())
    });
}

/// Whether a text is not empty and has only characters that occur in names of providers.
pub(super) fn is_word(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

/// Whether a text is `MAJOR.MINOR.PATCH`, with an optional suffix of semantic versioning.
pub(super) fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    let is_number = |part: &&str| {
        !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.len() <= 128 && is_word(text) && numbers.len() == 3 && numbers.iter().all(is_number)
}
