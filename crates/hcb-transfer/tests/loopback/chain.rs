//! Every link of the chain of credentials gives those that a request to the store is then signed with.

use crate::servers::Server;
use crate::services::{container, in_hours, machine, sso, sts};
use crate::user::User;
use hcb_transfer::{Client, Credentials, Environment, Options};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

fn pair(id: &str, token: &str) -> (String, String) {
    (id.to_owned(), token.to_owned())
}

/// The file of the token of what has this SHA-1.
fn token_file(user: &User, sha1: &str, token: &str, hours: i64) -> PathBuf {
    let kept = json!({
        "accessToken": token, "expiresAt": in_hours(hours), "region": "eu-west-1",
        "clientId": "client", "clientSecret": "client-secret", "refreshToken": "refresh",
        "registrationExpiresAt": in_hours(1000),
    });
    user.write(&format!(".aws/sso/cache/{sha1}.json"), &kept.to_string())
}

/// `printf %s company | sha1sum`.
const SHA1_OF_COMPANY: &str = "71b21161ffa1e6516bcc072aaf5ef38cbe85b511";
/// `printf %s https://example.awsapps.com/start | sha1sum`.
const SHA1_OF_URL: &str = "e8be5486177c5b5392bd9aa76563515b29358e6e";
const SSO_SESSION: &str = "[default]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = Trainer\n[sso-session company]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\nsso_registration_scopes = sso:account:access\n";

#[tokio::test]
async fn keys_of_the_environment_sign_with_their_token() {
    let user = User::new()
        .with_keys("env")
        .with("AWS_SESSION_TOKEN", "env-token");
    assert_eq!(user.signs().await, pair("env", "env-token"));
}

#[tokio::test]
async fn given_credentials_win_over_all_others() {
    let user = User::new().with_keys("env");
    let given = Credentials::new("given", "secret", None);
    let seen = user.asks(|options| options.credentials = Some(given)).await;
    assert_eq!(seen.expect("an answer").signer().0, "given");
}

#[tokio::test]
async fn a_profile_is_chosen_by_default_by_variable_or_by_option() {
    let credentials = "[default]\naws_access_key_id = first\naws_secret_access_key = s\n[work]\naws_access_key_id = work\naws_secret_access_key = s\naws_session_token = work-token\n";
    let user = User::new().with_credentials(credentials);
    assert_eq!(user.signs().await, pair("first", ""));
    let user = user.with("AWS_PROFILE", "work");
    assert_eq!(user.signs().await, pair("work", "work-token"));

    // Keys in the environment win over that, but not over a profile that is asked for.
    let user = user.with_keys("env");
    assert_eq!(user.signs().await, pair("env", ""));
    let asked = user.asks(|options| options.profile = Some("work".to_owned()));
    assert_eq!(asked.await.expect("an answer").signer().0, "work");
    let missing = user.asks(|options| options.profile = Some("none".to_owned()));
    let said = missing.await.expect_err("no profile").to_string();
    assert_eq!(
        said,
        "the profile `none` gives no credentials; is it in ~/.aws/config or ~/.aws/credentials? (the profile `none`: there is none of this name)"
    );
}

#[tokio::test]
async fn variables_say_where_the_files_of_profiles_are() {
    let user = User::new();
    let config = user.write("elsewhere/config", "[profile work]\nregion = eu-west-3\n");
    let keys = "[work]\naws_access_key_id = work\naws_secret_access_key = s\n";
    user.write("elsewhere/keys", keys);
    let user = user
        .with("AWS_CONFIG_FILE", config.display().to_string())
        .with("AWS_SHARED_CREDENTIALS_FILE", "~/elsewhere/keys")
        .with("AWS_PROFILE", "work");
    let seen = user.asks(|_| {}).await.expect("an answer");
    assert_eq!(seen.signer(), pair("work", "eu-west-3/s3"));
}

#[tokio::test]
async fn a_role_is_assumed_with_the_keys_of_its_source() {
    let sts = sts().await;
    let user = User::new()
        .with("AWS_ENDPOINT_URL_STS", &sts.url)
        .with_config("[default]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/trainer\nsource_profile = base\nexternal_id = x 1\nrole_session_name = ada\nduration_seconds = 900\n")
        .with_credentials("[base]\naws_access_key_id = base\naws_secret_access_key = s\naws_session_token = base-token\n");
    assert_eq!(user.signs().await, pair("trainer-key", "trainer-token"));
    let asked = sts.last();
    assert_eq!(asked.signer(), pair("base", "eu-west-1/sts"));
    assert_eq!(asked.token(), "base-token");
    for field in [
        "Action=AssumeRole&",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftrainer",
        "RoleSessionName=ada",
        "ExternalId=x+1",
        "DurationSeconds=900",
    ] {
        assert!(asked.body.contains(field), "{}", asked.body);
    }
}

#[tokio::test]
async fn roles_are_assumed_one_after_another() {
    let sts = sts().await;
    let user = User::new()
        .with("AWS_ENDPOINT_URL_STS", &sts.url)
        .with_config("[profile c]\nrole_arn = arn:aws:iam::1:role/third\nsource_profile = b\n[profile b]\nrole_arn = arn:aws:iam::1:role/second\nsource_profile = a\n[profile a]\naws_access_key_id = a\naws_secret_access_key = s\n");
    let seen = user.asks(|options| options.profile = Some("c".to_owned()));
    assert_eq!(seen.await.expect("an answer").signer().0, "third-key");
    let signers: Vec<_> = sts.seen().iter().map(|seen| seen.signer().0).collect();
    assert_eq!(signers, ["a", "second-key"]);
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_reported_in_the_words_of_sts() {
    let sts = sts().await;
    let user = User::new()
        .with("AWS_ENDPOINT_URL_STS", &sts.url)
        .with_config("[default]\nrole_arn = arn:aws:iam::1:role/forbidden\nsource_profile = default\naws_access_key_id = a\naws_secret_access_key = s\n");
    let said = user.refused().await;
    assert!(said.ends_with("(STS: AccessDenied: not you)"), "{said}");
}

#[tokio::test]
async fn profiles_that_cannot_be_resolved_say_why() {
    let cases = [
        (
            "role_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile = default\n",
            "it is its own source by others",
        ),
        (
            "role_arn = r\nsource_profile = b\n",
            "the profile `b`: there is none, though `default` names it as its source",
        ),
        (
            "role_arn = r\n",
            "either `source_profile` or `credential_source` is needed",
        ),
        (
            "role_arn = r\nsource_profile = b\ncredential_source = Environment\n",
            "either `source_profile` or `credential_source` is needed",
        ),
        (
            "role_arn = r\ncredential_source = Elsewhere\n",
            "not `Elsewhere`",
        ),
        (
            "role_arn = r\ncredential_source = Environment\n",
            "the source `Environment` has no credentials",
        ),
        (
            "aws_access_key_id = a\n",
            "it lacks `aws_secret_access_key`",
        ),
        ("web_identity_token_file = /t\n", "`role_arn` is needed"),
        ("sso_session = none\n", "there is no `[sso-session]`"),
        ("sso_start_url = x\n", "`sso_region` is missing"),
        (
            "region\n",
            "config`, line 2: neither `[section]` nor `name = value`",
        ),
    ];
    for (profile, expected) in cases {
        let user = User::new().with_config(&format!("[default]\n{profile}"));
        let said = user.refused().await;
        assert!(said.contains(expected), "{profile}: {said}");
    }
}

#[tokio::test]
async fn a_program_gives_credentials() {
    let user = User::new();
    let answer = json!({
        "Version": 1, "AccessKeyId": "program", "SecretAccessKey": "s",
        "SessionToken": "program-token", "Expiration": in_hours(1),
    });
    let script = format!("[ \"$1\" = 'two words' ] && cat <<'E'\n{answer}\nE\n");
    let script = user.write("bin/give credentials", &script);
    let command = |argument: &str| {
        format!(
            "[default]\ncredential_process = sh '{}' {argument}\n",
            script.display()
        )
    };
    let user = user.with_config(&command("\"two words\""));
    assert_eq!(user.signs().await, pair("program", "program-token"));

    let user = user.with_config(&command("other; echo no >&2; exit 3"));
    let said = user.refused().await;
    assert!(
        said.contains("`credential_process`: exit status: 3: no"),
        "{said}"
    );
    let user = user.with_config("[default]\ncredential_process = echo secret\n");
    let said = user.refused().await;
    assert!(
        said.contains("its output is no JSON") && !said.contains("secret)"),
        "{said}"
    );
}

#[tokio::test]
async fn a_web_identity_of_the_environment_or_of_a_profile_assumes_a_role() {
    let sts = sts().await;
    let user = User::new().with("AWS_ENDPOINT_URL_STS", &sts.url);
    let token = user.write("token", "identity\n").display().to_string();
    let user = user
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .with("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod")
        .with("AWS_ROLE_SESSION_NAME", "ada");
    assert_eq!(user.signs().await, pair("pod-key", "pod-token"));
    let asked = sts.last();
    assert_eq!(asked.header("authorization"), "");
    for field in [
        "Action=AssumeRoleWithWebIdentity&",
        "WebIdentityToken=identity",
        "RoleSessionName=ada",
    ] {
        assert!(asked.body.contains(field), "{}", asked.body);
    }

    let profile = |token: &str| {
        format!(
            "[default]\nrole_arn = arn:aws:iam::1:role/profile\nweb_identity_token_file = {token}\n"
        )
    };
    let user = User::new()
        .with("AWS_ENDPOINT_URL_STS", &sts.url)
        .with_config(&profile("~/no-token"));
    let said = user.refused().await;
    assert!(
        said.contains("no-token") && said.contains("No such file"),
        "{said}"
    );
    user.write("token", "identity");
    let user = user.with_config(&profile("~/token"));
    assert_eq!(user.signs().await, pair("profile-key", "profile-token"));
}

#[tokio::test]
async fn a_user_who_is_logged_in_by_sso_gets_the_credentials_of_the_role() {
    let sso = sso().await;
    let user = User::new()
        .with("AWS_ENDPOINT_URL_SSO", &sso.url)
        .with_config(SSO_SESSION);
    let said = user.refused().await;
    assert!(
        said.contains("SSO: nobody has logged in; run `aws sso login`"),
        "{said}"
    );
    token_file(&user, SHA1_OF_COMPANY, "logged-in", 8);
    assert_eq!(user.signs().await, pair("sso", "logged-in"));

    // The older form, without a session.
    let user = User::new().with("AWS_ENDPOINT_URL_SSO", &sso.url).with_config(
        "[default]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = Trainer\n",
    );
    token_file(&user, SHA1_OF_URL, "logged-in", 8);
    assert_eq!(user.signs().await, pair("sso", "logged-in"));
    token_file(&user, SHA1_OF_URL, "logged-in", -1);
    let said = user.refused().await;
    assert!(
        said.contains("SSO: the login has expired; run `aws sso login`"),
        "{said}"
    );
}

#[tokio::test]
async fn an_expiring_login_by_sso_is_renewed_and_saved() {
    let sso = sso().await;
    let user = User::new()
        .with("AWS_ENDPOINT_URL_SSO", &sso.url)
        .with("AWS_ENDPOINT_URL_SSO_OIDC", &sso.url)
        .with_config(SSO_SESSION);
    let file = token_file(&user, SHA1_OF_COMPANY, "ended", -1);
    assert_eq!(user.signs().await, pair("sso", "renewed"));
    let text = fs::read(&file).expect("a file");
    let kept: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(kept["accessToken"], "renewed");
    assert_eq!(kept["refreshToken"], "refresh-2");
    assert_eq!(kept["clientId"], "client");
    // The next one needs no other.
    assert_eq!(user.signs().await, pair("sso", "renewed"));
    let renewals = sso
        .seen()
        .into_iter()
        .filter(|seen| seen.target == "/token");
    assert_eq!(renewals.count(), 1);
}

#[tokio::test]
async fn a_container_gives_credentials_for_its_token() {
    let container = container().await;
    let user = User::new();
    let token = user
        .write("token", "container-secret\n")
        .display()
        .to_string();
    let url = format!("{}/v2/credentials/x", container.url);
    let user = user
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong");
    let said = user.refused().await;
    assert!(said.contains("the container's credentials: 403"), "{said}");
    let user = user.with("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token);
    assert_eq!(user.signs().await, pair("container", "container-token"));

    let user = user.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x");
    let said = user.refused().await;
    assert!(
        said.contains("`http://192.0.2.1/x` is neither HTTPS nor this machine"),
        "{said}"
    );
}

#[tokio::test]
async fn a_machine_gives_the_credentials_of_its_role_and_its_region() {
    let machine = machine().await;
    let user = User::new().with("AWS_EC2_METADATA_DISABLED", "false").with(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        format!("{}/", machine.url),
    );
    let seen = user
        .asks(|options| options.region = Some("r".to_owned()))
        .await;
    let seen = seen.expect("an answer");
    assert_eq!(seen.signer(), pair("machine", "eu-south-2/s3"));
    assert_eq!(seen.token(), "machine-token");

    let count = machine.seen().len();
    let user = user.with("AWS_EC2_METADATA_DISABLED", "TRUE");
    let said = user.refused().await;
    assert!(
        said.starts_with("there are no credentials for the object store; set AWS_ACCESS_KEY_ID"),
        "{said}"
    );
    assert_eq!(machine.seen().len(), count);
}

#[tokio::test]
async fn a_role_is_assumed_with_the_credentials_of_the_machine_or_the_environment() {
    let (sts, machine) = (sts().await, machine().await);
    let role = |source: &str| {
        format!(
            "[default]\nregion = r\nrole_arn = arn:aws:iam::1:role/next\ncredential_source = {source}\n[profile plain]\nregion = r\n"
        )
    };
    let user = User::new()
        .with("AWS_ENDPOINT_URL_STS", &sts.url)
        .with("AWS_EC2_METADATA_DISABLED", "false")
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.url)
        .with_config(&role("Ec2InstanceMetadata"));
    assert_eq!(user.signs().await, pair("next-key", "next-token"));
    assert_eq!(sts.last().signer().0, "machine");

    let user = user.with_config(&role("Environment")).with_keys("env");
    let asked = user.asks(|options| options.profile = Some("default".to_owned()));
    assert_eq!(asked.await.expect("an answer").signer().0, "next-key");
    assert_eq!(sts.last().signer().0, "env");
}

#[tokio::test]
async fn the_first_link_that_has_credentials_gives_them() {
    let (sts, container, machine) = (sts().await, container().await, machine().await);
    let mut user = User::new()
        .with_keys("env")
        .with_credentials("[default]\naws_access_key_id = profile\naws_secret_access_key = s\n")
        .with("AWS_ENDPOINT_URL_STS", &sts.url)
        .with("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod")
        .with(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/v2/credentials/x", container.url),
        )
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-secret")
        .with("AWS_EC2_METADATA_DISABLED", "false")
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.url);
    let token = user.write("token", "identity").display().to_string();
    user = user.with("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    assert_eq!(user.signs().await.0, "env");
    user = user.with("AWS_ACCESS_KEY_ID", "");
    assert_eq!(user.signs().await.0, "profile");
    // A profile that says nothing of credentials lets the chain go on.
    user = user.with_credentials("[default]\nregion = r\n");
    assert_eq!(user.signs().await.0, "pod-key");
    user = user.with("AWS_WEB_IDENTITY_TOKEN_FILE", "");
    assert_eq!(user.signs().await.0, "container");
    user = user.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", "");
    assert_eq!(user.signs().await.0, "machine");
}

#[tokio::test]
async fn the_region_is_that_of_the_environment_the_profile_the_caller_or_the_default() {
    let user = User::new().with_keys("env");
    let region = async |user: &User, known: Option<&str>| {
        let seen = user.asks(|options| options.region = known.map(str::to_owned));
        seen.await.expect("an answer").signer().1
    };
    assert_eq!(region(&user, None).await, "us-east-1/s3");
    assert_eq!(region(&user, Some("known")).await, "known/s3");
    let user = user.with_config("[default]\nregion = profile\n");
    assert_eq!(region(&user, Some("known")).await, "profile/s3");
    let user = user.with("AWS_DEFAULT_REGION", "second");
    assert_eq!(region(&user, Some("known")).await, "second/s3");
    let user = user.with("AWS_REGION", "first");
    assert_eq!(region(&user, Some("known")).await, "first/s3");
}

#[tokio::test]
async fn the_endpoint_is_that_of_the_caller_the_environment_or_the_profile() {
    let [caller, s3, all, profile] = [
        Server::store().await,
        Server::store().await,
        Server::store().await,
        Server::store().await,
    ];
    let reached = async |user: &User, endpoint: Option<&String>| {
        let mut options = user.options();
        options.endpoint = endpoint.cloned();
        let client = Client::connect(options).await.expect("a client");
        assert!(client.has_bucket("data").await.expect("an answer"));
    };
    let counts = || [&caller, &s3, &all, &profile].map(|server| server.seen().len());
    let user = User::new().with_keys("env").with_config(&format!(
        "[default]\nservices = local\n[services local]\ns3 =\n  endpoint_url = {}\n",
        profile.url
    ));
    reached(&user, None).await;
    assert_eq!(counts(), [0, 0, 0, 1]);
    let user = user.with("AWS_ENDPOINT_URL", &all.url);
    reached(&user, None).await;
    assert_eq!(counts(), [0, 0, 1, 1]);
    let user = user.with("AWS_ENDPOINT_URL_S3", &s3.url);
    reached(&user, None).await;
    assert_eq!(counts(), [0, 1, 1, 1]);
    reached(&user, Some(&caller.url)).await;
    assert_eq!(counts(), [1, 1, 1, 1]);
    let broken = user.asks(|options| options.endpoint = Some("localhost:9000".to_owned()));
    let said = broken.await.expect_err("no URL").to_string();
    assert_eq!(said, "`localhost:9000` is no URL of an object store");
}

#[tokio::test]
async fn expiring_credentials_are_renewed_between_requests() {
    let given = AtomicUsize::new(0);
    // The second time, and from then on, the container gives none.
    let container = Server::start(move |_| {
        let number = given.fetch_add(1, Ordering::SeqCst);
        let seconds = if number == 0 { 30 } else { 3600 };
        let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
        let answer = json!({
            "AccessKeyId": format!("container-{number}"), "SecretAccessKey": "s", "Token": "t",
            "Expiration": expires.to_string(),
        });
        (200, answer.to_string())
    })
    .await;
    let store = Server::store().await;
    let user = User::new()
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url)
        .with("AWS_ENDPOINT_URL_S3", &store.url);
    let client = Client::connect(user.options()).await.expect("a client");
    for _ in 0..3 {
        client.has_bucket("data").await.expect("an answer");
    }
    let signers: Vec<_> = store.seen().iter().map(|seen| seen.signer().0).collect();
    assert_eq!(signers, ["container-1", "container-1", "container-1"]);
    assert_eq!(container.seen().len(), 2);
}

#[tokio::test]
async fn credentials_that_cannot_be_renewed_are_used_until_they_expire() {
    let given = AtomicUsize::new(0);
    let container = Server::start(move |_| {
        if given.fetch_add(1, Ordering::SeqCst) > 0 {
            return (400, String::new());
        }
        let expires = Timestamp::now() + SignedDuration::from_secs(2);
        let answer = json!({
            "AccessKeyId": "short", "SecretAccessKey": "s", "Token": "t",
            "Expiration": expires.to_string(),
        });
        (200, answer.to_string())
    })
    .await;
    let store = Server::store().await;
    let user = User::new()
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url)
        .with("AWS_ENDPOINT_URL_S3", &store.url);
    let client = Client::connect(user.options()).await.expect("a client");
    client.has_bucket("data").await.expect("an answer");
    assert_eq!(store.last().signer().0, "short");
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let said = client
        .has_bucket("data")
        .await
        .expect_err("they ended")
        .to_string();
    assert!(said.contains("reaching s3://data/: the credentials cannot be renewed: the container's credentials: 400"), "{said}");
}

#[tokio::test]
async fn missing_credentials_are_reported_with_the_places_that_were_searched() {
    let nobody = Environment::new([("AWS_EC2_METADATA_DISABLED", "true")], None::<&Path>);
    let options = Options {
        environment: nobody,
        ..Options::default()
    };
    let said = Client::connect(options)
        .await
        .expect_err("none")
        .to_string();
    assert_eq!(
        said,
        "there are no credentials for the object store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws with --profile (neither the environment nor a profile, a web identity, a container or the machine has any)"
    );
}
