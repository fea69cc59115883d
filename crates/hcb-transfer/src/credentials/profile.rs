//! The credentials of a profile, and of the roles that it assumes with those of another.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html>.

use super::{Chain, Credentials, CredentialsError, container, machine, process, sso, sts};
use crate::profiles::{Profiles, Section};

/// Where the first credentials of a chain of roles come from.
#[derive(Debug)]
enum Base<'a> {
    Keys(Credentials),
    Process(&'a str),
    WebIdentity {
        role: sts::Role<'a>,
        token: &'a str,
    },
    Sso(sso::Sso<'a>),
    /// `credential_source`.
    Named(&'a str),
}

/// The credentials of the profile of this name.
pub(super) async fn named(chain: &Chain, name: &str) -> Result<Credentials, CredentialsError> {
    let profiles = chain.known_profiles()?;
    let (base, roles) = resolve(profiles, name)?;
    let mut credentials = match base {
        Base::Keys(credentials) => credentials,
        Base::Process(command) => process::run(command).await?,
        Base::WebIdentity { role, token } => sts::web_identity(chain, role, token).await?,
        Base::Sso(sso) => sso::load(chain, &sso).await?,
        Base::Named(source) => {
            let found = match source {
                "Environment" => chain.of_environment(),
                "EcsContainer" => container::load(chain).await?,
                "Ec2InstanceMetadata" => machine::load(chain).await?,
                _ => {
                    return Err(problem(
                        name,
                        format!(
                            "`credential_source` is Environment, EcsContainer or Ec2InstanceMetadata, not `{source}`"
                        ),
                    ));
                }
            };
            found
                .ok_or_else(|| problem(name, format!("the source `{source}` has no credentials")))?
        }
    };
    for role in roles {
        credentials = sts::assume_role(chain, &credentials, role).await?;
    }
    Ok(credentials)
}

/// The credentials of the profile that the environment names, or of the default one. Where neither says
/// anything of credentials, the chain goes on.
pub(super) async fn usual(chain: &Chain) -> Result<Option<Credentials>, CredentialsError> {
    let name = chain.profile();
    let profile = chain.known_profiles()?.get(name);
    match profile {
        None if chain.environment.get("AWS_PROFILE").is_none() => return Ok(None),
        Some(profile) if !says_anything(profile) => return Ok(None),
        _ => {}
    }
    named(chain, name).await.map(Some)
}

fn says_anything(profile: &Section) -> bool {
    let settings = [
        "aws_access_key_id",
        "aws_secret_access_key",
        "credential_process",
        "credential_source",
        "role_arn",
        "sso_account_id",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    ];
    settings.iter().any(|name| profile.contains_key(*name))
}

/// The base, and the roles to assume one after another.
fn resolve<'a>(
    profiles: &'a Profiles,
    name: &str,
) -> Result<(Base<'a>, Vec<sts::Role<'a>>), CredentialsError> {
    let mut roles = Vec::new();
    let mut visited: Vec<String> = Vec::new();
    let mut next = name.to_owned();
    let base = loop {
        let Some(profile) = profiles.get(&next) else {
            let problem_text = match visited.last() {
                Some(from) => format!("there is none, though `{from}` names it as its source"),
                None => "there is none of this name".to_owned(),
            };
            return Err(problem(&next, problem_text));
        };
        let get = |setting: &str| profile.get(setting).map(String::as_str);
        if visited.contains(&next) {
            return Err(problem(&next, "it is its own source by others"));
        }
        // Keys of a source are what it is a source of; only the first profile's role stands before its keys.
        if !visited.is_empty()
            && let Ok(keys) = keys(profile, &next)
        {
            break Base::Keys(keys);
        }
        visited.push(next.clone());
        let role = get("role_arn").filter(|_| get("web_identity_token_file").is_none());
        let Some(arn) = role else {
            break base(profiles, profile, &next)?;
        };
        roles.push(sts::Role::of(profile, arn));
        match (get("source_profile"), get("credential_source")) {
            (Some(source), None) if source == next => {
                break base(profiles, profile, &next)?;
            }
            (Some(source), None) => source.clone_into(&mut next),
            (None, Some(source)) => break Base::Named(source),
            _ => {
                return Err(problem(
                    &next,
                    "beside `role_arn`, either `source_profile` or `credential_source` is needed",
                ));
            }
        }
    };
    roles.reverse();
    Ok((base, roles))
}

/// Where a profile that assumes no role has its credentials from.
fn base<'a>(
    profiles: &'a Profiles,
    profile: &'a Section,
    name: &str,
) -> Result<Base<'a>, CredentialsError> {
    let get = |setting: &str| profile.get(setting).map(String::as_str);
    if let Some(source) = get("credential_source") {
        return Ok(Base::Named(source));
    }
    if let Some(token) = get("web_identity_token_file") {
        let arn = get("role_arn").ok_or_else(|| {
            problem(
                name,
                "beside `web_identity_token_file`, `role_arn` is needed",
            )
        })?;
        let role = sts::Role::of(profile, arn);
        return Ok(Base::WebIdentity { role, token });
    }
    if let Some(sso) = sso::Sso::of(profiles, profile).map_err(|text| problem(name, text))? {
        return Ok(Base::Sso(sso));
    }
    if let Some(command) = get("credential_process") {
        return Ok(Base::Process(command));
    }
    keys(profile, name).map(Base::Keys)
}

fn keys(profile: &Section, name: &str) -> Result<Credentials, CredentialsError> {
    let get = |setting: &str| profile.get(setting).filter(|value| !value.is_empty());
    match (get("aws_access_key_id"), get("aws_secret_access_key")) {
        (Some(id), Some(secret)) => Ok(Credentials::new(
            id,
            secret,
            get("aws_session_token").map(String::as_str),
        )),
        (None, None) => Err(problem(name, "it has no credentials")),
        (None, _) => Err(problem(name, "it lacks `aws_access_key_id`")),
        (_, None) => Err(problem(name, "it lacks `aws_secret_access_key`")),
    }
}

fn problem(profile: &str, problem: impl Into<String>) -> CredentialsError {
    CredentialsError::Profile {
        profile: profile.to_owned(),
        problem: problem.into(),
    }
}
