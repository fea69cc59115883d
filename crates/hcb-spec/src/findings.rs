//! Where checks say what is wrong, and the checks of what occurs everywhere: names, quantities, durations,
//! labels, URLs.

use crate::place::At;
use crate::quantity::QuantityText;
use hcb_kubernetes::{Quantity, Seconds, names};
use hcb_source::diag::{Code, Diagnostic, Diagnostics, codes};
use hcb_source::source::Location;
use hcb_source::yaml::Node;
use std::collections::BTreeMap;
use url::Url;

/// The findings of a run, and the documents that they are about.
pub(crate) struct Findings<'a> {
    documents: &'a [Node],
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(documents: &'a [Node], diagnostics: &'a mut Diagnostics) -> Self {
        Self {
            documents,
            diagnostics,
        }
    }

    /// The location of `at`, or of the nearest key above that exists.
    pub(crate) fn locate(&self, at: &At) -> Location {
        at.locate(self.documents)
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn error(
        &self,
        code: Code,
        at: &At,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.locate(at), label)
    }

    pub(crate) fn warning(
        &self,
        code: Code,
        at: &At,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::warning(code, message).at(self.locate(at), label)
    }

    pub(crate) fn no_effect(&mut self, at: &At, why: &str) {
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

    /// Reads a quantity. If that is impossible, it adds a finding and returns zero.
    pub(crate) fn quantity(&mut self, text: &QuantityText, at: &At) -> Quantity {
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

    /// Reads a duration. If that is impossible, it adds a finding and returns zero.
    pub(crate) fn duration(&mut self, text: &str, at: &At) -> Seconds {
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

    /// Checks a name that must be a DNS label.
    pub(crate) fn name(&mut self, name: &str, at: &At) {
        self.named(name, at, names::dns_label(name));
    }

    /// Adds a finding if `problem` says what is wrong with a name.
    pub(crate) fn named(&mut self, name: &str, at: &At, problem: Option<String>) {
        if let Some(problem) = problem {
            let fixed = fixed_name(name);
            let mut diagnostic = self.error(
                codes::BAD_NAME,
                at,
                format!("the name `{name}` {problem}"),
                "not a name that can be used",
            );
            if names::dns_label(&fixed).is_none() && fixed != name {
                diagnostic = diagnostic.help(format!("did you mean `{fixed}`?"));
            }
            self.push(diagnostic);
        }
    }

    /// Checks the name of an environment variable, a key at `at`. Returns whether Kubernetes accepts it.
    pub(crate) fn environment_variable(&mut self, name: &str, at: &At) -> bool {
        let Some(problem) = names::environment_variable(name) else {
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

    /// Checks a key in a secret store.
    pub(crate) fn store_key(&mut self, key: &str, at: &At) {
        if let Some(problem) = names::store_key(key) {
            let diagnostic = self.error(
                codes::BAD_NAME,
                at,
                format!("the key `{key}` {problem}"),
                "not a key of a secret store",
            );
            self.push(diagnostic);
        }
    }

    /// Checks the keys and values of labels.
    pub(crate) fn labels(&mut self, labels: &BTreeMap<String, String>, at: &At) {
        for (key, value) in labels {
            if let Some(problem) = names::label_key(key) {
                let diagnostic = self.error(
                    codes::BAD_LABEL,
                    &at.name_of(key),
                    format!("the label key `{key}` {problem}"),
                    "Kubernetes refuses this key",
                );
                self.push(diagnostic);
            }
            if let Some(problem) = names::label_value(value) {
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

    /// Adds a finding for each name that is used twice. `what` are the named things.
    pub(crate) fn unique<'n>(&mut self, what: &str, names: impl Iterator<Item = (&'n str, At)>) {
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
                        .also(self.locate(earlier), "first here");
                    self.push(diagnostic);
                }
                None => {
                    first.insert(name, at);
                }
            }
        }
    }

    /// Checks that a URL has no credentials, which everyone could read in Git. A token is often written in
    /// place of the user, so only SSH may have one.
    pub(crate) fn no_password(&mut self, url: Option<&Url>, at: &At) {
        let has_secret = |url: &Url| {
            url.password().is_some() || url.scheme() != "ssh" && !url.username().is_empty()
        };
        if url.is_some_and(has_secret) {
            let diagnostic = self
                .error(
                    codes::SECRET_VALUE,
                    at,
                    "a password or a token in a URL would be written to Git",
                    "has credentials",
                )
                .help("remove them from the URL and give them to the engine as a secret");
            self.push(diagnostic);
        }
    }

    /// Checks the `https` URL of a server.
    pub(crate) fn https_url(&mut self, text: &str, at: &At, what: &str) {
        let url = Url::parse(text);
        let good = url.as_ref().is_ok_and(|url| {
            url.scheme() == "https"
                && url.host().is_some()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !good {
            let mut diagnostic = self.error(
                codes::BAD_URL,
                at,
                format!("`{text}` is not the URL of {what}"),
                "expected `https://HOST:PORT`",
            );
            if !text.contains("://") && Url::parse(&format!("https://{text}")).is_ok() {
                diagnostic = diagnostic.help(format!("did you mean `https://{text}`?"));
            }
            self.push(diagnostic);
        } else if url
            .as_ref()
            .is_ok_and(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
        {
            let diagnostic = self
                .warning(
                    codes::API_UNKNOWN,
                    at,
                    format!("`{text}` is reachable from its own machine only"),
                    "a loopback address",
                )
                .help("give the address that the other clusters see");
            self.push(diagnostic);
        }
        self.no_password(url.ok().as_ref(), at);
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

/// The most similar DNS label.
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
