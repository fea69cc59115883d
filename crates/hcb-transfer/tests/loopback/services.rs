//! The services of the chain: STS, the metadata of a machine, a container, SSO.

use crate::servers::Server;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// The time in so many hours, as services write it.
pub(crate) fn in_hours(hours: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(hours)).to_string()
}

/// An STS that gives each role the key `ROLE-key` and the token `ROLE-token`.
pub(crate) async fn sts() -> Server {
    Server::start(|seen| {
        let field = |name: &str| {
            let fields = url::form_urlencoded::parse(seen.body.as_bytes());
            let found = fields.into_iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.into_owned())
        };
        let action = field("Action").unwrap_or_default();
        let arn = field("RoleArn").unwrap_or_default();
        let role = arn.rsplit('/').next().unwrap_or_default();
        if role == "forbidden" {
            let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
            return (403, body.to_owned());
        }
        let expires = in_hours(1);
        (200, format!("<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser/><Credentials><AccessKeyId>{role}-key</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>{role}-token</SessionToken><Expiration>{expires}</Expiration></Credentials></{action}Result></{action}Response>"))
    })
    .await
}

/// The metadata of a machine of EC2 with a role, which wants a token.
pub(crate) async fn machine() -> Server {
    Server::start(|seen| {
        let is_token = seen.header("x-aws-ec2-metadata-token") == "imds-token";
        match (seen.method.as_str(), seen.target.as_str()) {
            ("PUT", "/latest/api/token") => {
                let ttl = seen.header("x-aws-ec2-metadata-token-ttl-seconds");
                assert_eq!(ttl, "21600");
                (200, "imds-token".to_owned())
            }
            _ if !is_token => (401, String::new()),
            (_, "/latest/meta-data/placement/region") => (200, "eu-south-2".to_owned()),
            (_, "/latest/meta-data/iam/security-credentials/") => (200, "node\n".to_owned()),
            (_, "/latest/meta-data/iam/security-credentials/node") => {
                let answer = json!({
                    "Code": "Success", "AccessKeyId": "machine", "SecretAccessKey": "s",
                    "Token": "machine-token", "Expiration": in_hours(6),
                });
                (200, answer.to_string())
            }
            _ => (404, String::new()),
        }
    })
    .await
}

/// The credentials of a container, for who shows the token.
pub(crate) async fn container() -> Server {
    Server::start(|seen| {
        if seen.header("authorization") != "container-secret" || seen.target != "/v2/credentials/x"
        {
            return (403, String::new());
        }
        let answer = json!({
            "AccessKeyId": "container", "SecretAccessKey": "s", "Token": "container-token",
            "Expiration": in_hours(6), "RoleArn": "r",
        });
        (200, answer.to_string())
    })
    .await
}

/// A portal and an identity service of IAM Identity Center, in one. The portal knows two tokens.
pub(crate) async fn sso() -> Server {
    Server::start(|seen| {
        if seen.target == "/token" {
            let asked: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
            let expected = json!({
                "clientId": "client", "clientSecret": "client-secret",
                "grantType": "refresh_token", "refreshToken": "refresh",
            });
            assert_eq!(asked, expected);
            let answer = json!({
                "accessToken": "renewed", "expiresIn": 3600, "refreshToken": "refresh-2",
                "tokenType": "Bearer",
            });
            return (200, answer.to_string());
        }
        let token = seen.header("x-amz-sso_bearer_token");
        if !["logged-in", "renewed"].contains(&token) {
            return (
                401,
                json!({"message": "Session token not found or invalid"}).to_string(),
            );
        }
        assert_eq!(
            seen.target,
            "/federation/credentials?account_id=123456789012&role_name=Trainer"
        );
        let expires = (Timestamp::now() + SignedDuration::from_hours(1)).as_millisecond();
        let answer = json!({"roleCredentials": {
            "accessKeyId": "sso", "secretAccessKey": "s", "sessionToken": token,
            "expiration": expires,
        }});
        (200, answer.to_string())
    })
    .await
}
