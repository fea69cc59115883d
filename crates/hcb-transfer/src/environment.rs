//! What is read of the process: its environment variables and the user's home, as a value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The variables and the home folder that credentials, region and endpoint are looked up in.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
}

// The values are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("home", &self.home)
            .finish()
    }
}

impl Environment {
    /// That of this process. A variable that is not UTF-8 counts as not set.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self {
            variables: variables.collect(),
            home: std::env::home_dir(),
        }
    }

    /// One with these variables and this home.
    pub fn new<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
        home: Option<&Path>,
    ) -> Self {
        let variables = variables.into_iter();
        Self {
            variables: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            home: home.map(Path::to_owned),
        }
    }

    /// The value of a variable; an empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?;
        (!value.trim().is_empty()).then_some(value.as_str())
    }

    /// Whether a variable says `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// The home folder.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// A path as it stands in a variable or a profile, where `~/` is the home.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), &self.home) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set_and_secrets_are_not_printed() {
        let environment = Environment::new(
            [
                ("EMPTY", " "),
                ("AWS_SECRET_ACCESS_KEY", "hidden"),
                ("ON", "True"),
            ],
            Some(Path::new("/home/ada")),
        );
        assert_eq!(environment.get("EMPTY"), None);
        assert_eq!(environment.get("AWS_SECRET_ACCESS_KEY"), Some("hidden"));
        assert!(environment.is_true("ON") && !environment.is_true("EMPTY"));
        assert!(!format!("{environment:?}").contains("hidden"));
    }

    #[test]
    fn a_tilde_is_the_home() {
        let environment = Environment::new([("", "")], Some(Path::new("/home/ada")));
        assert_eq!(environment.path("~/x"), Path::new("/home/ada/x"));
        assert_eq!(environment.path("/y/~/z"), Path::new("/y/~/z"));
    }
}
