//! The profiles of `~/.aws/config` and `~/.aws/credentials`.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.

use crate::environment::Environment;
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The settings of a section by their names in lower case; those below a setting as `s3.endpoint_url`.
pub(crate) type Section = BTreeMap<String, String>;

/// All sections of both files.
#[derive(Default)]
pub(crate) struct Profiles {
    all: BTreeMap<String, Section>,
    sessions: BTreeMap<String, Section>,
    services: BTreeMap<String, Section>,
}

// The values are secrets.
impl fmt::Debug for Profiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Profiles")
            .field("all", &self.all.keys())
            .finish_non_exhaustive()
    }
}

/// A file of profiles that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfilesError {
    /// It is there and cannot be read.
    #[error("`{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is neither a section nor a setting.
    #[error("`{path}`, line {line}: neither `[section]` nor `name = value`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Profiles {
    /// Those of the two files, which need not be there.
    pub(crate) fn read(environment: &Environment) -> Result<Self, ProfilesError> {
        let path = |variable: &str, default: &str| {
            environment.path(environment.get(variable).unwrap_or(default))
        };
        let mut profiles = Self::default();
        let config = path("AWS_CONFIG_FILE", "~/.aws/config");
        for (header, section) in sections(&config)? {
            profiles.add_config(&header, section);
        }
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
        for (header, section) in sections(&credentials)? {
            profiles.all.entry(header).or_default().extend(section);
        }
        Ok(profiles)
    }

    fn add_config(&mut self, header: &str, section: Section) {
        let (kind, name) = header
            .split_once(char::is_whitespace)
            .unwrap_or(("", header));
        let name = name.trim().trim_matches(['"', '\'']).to_owned();
        let sections = match (kind, name.as_str()) {
            ("profile", _) | ("", "default") => &mut self.all,
            ("sso-session", _) => &mut self.sessions,
            ("services", _) => &mut self.services,
            // Another tool's.
            _ => return,
        };
        sections.entry(name).or_default().extend(section);
    }

    /// A profile.
    pub(crate) fn get(&self, name: &str) -> Option<&Section> {
        self.all.get(name)
    }

    /// What profiles name with `sso_session`.
    pub(crate) fn session(&self, name: &str) -> Option<&Section> {
        self.sessions.get(name)
    }

    /// The endpoint of a service (`s3`, `sts`) for a profile, where it names one.
    pub(crate) fn endpoint(&self, profile: &str, service: &str) -> Option<&str> {
        let profile = self.get(profile)?;
        let services = profile
            .get("services")
            .and_then(|name| self.services.get(name));
        let endpoint = services.and_then(|all| all.get(&format!("{service}.endpoint_url")));
        endpoint
            .or_else(|| profile.get("endpoint_url"))
            .map(String::as_str)
    }
}

/// The sections of a file with what stands between their brackets.
fn sections(path: &Path) -> Result<Vec<(String, Section)>, ProfilesError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(source) => {
            return Err(ProfilesError::Unreadable {
                path: path.to_owned(),
                source,
            });
        }
    };
    parse(&text).map_err(|line| ProfilesError::Malformed {
        path: path.to_owned(),
        line,
    })
}

/// The sections of a text, or the number of the line that is neither a section nor a setting.
fn parse(text: &str) -> Result<Vec<(String, Section)>, usize> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    // The setting that an indented line belongs to.
    let mut last: Option<String> = None;
    for (line, number) in text.lines().zip(1..) {
        let is_indented = line.starts_with([' ', '\t']);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let (false, Some(header)) = (is_indented, trimmed.strip_prefix('[')) {
            let (header, _) = header.split_once(']').ok_or(number)?;
            sections.push((header.trim().to_owned(), Section::new()));
            last = None;
            continue;
        }
        let (_, section) = sections.last_mut().ok_or(number)?;
        let setting = trimmed
            .split_once('=')
            .map(|(name, value)| (name.trim().to_lowercase(), without_comment(value)));
        match (is_indented, &last, setting) {
            (true, Some(above), setting) => {
                let value = section.entry(above.clone()).or_default();
                match setting {
                    Some((name, below)) if value.is_empty() => {
                        section.insert(format!("{above}.{name}"), below.to_owned());
                    }
                    _ => {
                        value.push('\n');
                        value.push_str(trimmed);
                    }
                }
            }
            (_, _, Some((name, value))) if !name.is_empty() => {
                section.insert(name.clone(), value.to_owned());
                last = Some(name);
            }
            _ => return Err(number),
        }
    }
    Ok(sections)
}

/// A value up to a comment, which a space precedes.
fn without_comment(value: &str) -> &str {
    let comments = [" #", " ;", "\t#", "\t;"];
    let end = comments.iter().filter_map(|start| value.find(start)).min();
    value[..end.unwrap_or(value.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str, credentials: &str) -> Profiles {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join(".aws");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("config"), config).expect("a file");
        std::fs::write(folder.join("credentials"), credentials).expect("a file");
        let environment = Environment::new([("", "")], Some(home.path()));
        Profiles::read(&environment).expect("profiles")
    }

    #[test]
    fn both_files_make_one_profile_and_the_credentials_file_wins() {
        let profiles = read(
            "; a comment\n[default]\nregion = eu-west-1 # here\n\n[profile work]\nregion=eu-north-1\naws_access_key_id = OLD\n[work]\nregion = ignored\n",
            "[work]\nAWS_ACCESS_KEY_ID = NEW\naws_secret_access_key = a#b=c\n",
        );
        let default = profiles.get("default").expect("a profile");
        assert_eq!(default["region"], "eu-west-1");
        let work = profiles.get("work").expect("a profile");
        assert_eq!(work["region"], "eu-north-1");
        assert_eq!(work["aws_access_key_id"], "NEW");
        assert_eq!(work["aws_secret_access_key"], "a#b=c");
    }

    #[test]
    fn the_endpoint_of_a_service_wins_over_that_of_the_profile() {
        let profiles = read(
            "[profile a]\nservices = local\nendpoint_url = http://all\n[services local]\ns3 =\n  endpoint_url = http://s3\n  other = 1\nsts =\n  endpoint_url = http://sts\n[profile b]\ns3 =\n  max_concurrent_requests = 20\nregion = r\n[sso-session \"my company\"]\nsso_region = x\n",
            "",
        );
        assert_eq!(profiles.endpoint("a", "s3"), Some("http://s3"));
        assert_eq!(profiles.endpoint("a", "sts"), Some("http://sts"));
        assert_eq!(profiles.endpoint("a", "sso"), Some("http://all"));
        assert_eq!(profiles.endpoint("b", "s3"), None);
        assert_eq!(profiles.get("b").expect("a profile")["region"], "r");
        assert!(profiles.session("my company").is_some());
    }

    #[test]
    fn an_invalid_line_is_reported_by_its_number() {
        assert_eq!(parse("[default]\nregion\n"), Err(2));
        assert_eq!(parse("region = x\n"), Err(1));
        assert_eq!(parse("[default\n"), Err(1));
        assert_eq!(parse("[default]\n = x\n"), Err(2));
    }

    #[test]
    fn missing_files_hold_no_profiles() {
        let environment = Environment::new([("AWS_CONFIG_FILE", "/nowhere/at/all")], None);
        let profiles = Profiles::read(&environment).expect("profiles");
        assert!(profiles.get("default").is_none());
    }
}
