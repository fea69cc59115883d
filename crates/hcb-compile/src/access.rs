//! How one cluster gets to use another's API server, without a secret in Git.
//!
//! The owner has a service account and a Secret that Kubernetes fills with its token. A `PushSecret`
//! (or a person) brings token and CA into the secret store; the user has an `ExternalSecret` that
//! makes a kubeconfig of them. Mesh, scheduler, reconciler and engine all go this way.

use crate::unit::Unit;
use hcb_spec::model::{Cluster, Model};
use hcb_spec::spec::Exchange;
use serde_json::{Value, json};

/// The token, in templates of External Secrets.
pub(crate) const TOKEN: &str = "{{ .token }}";

/// A purpose for which one cluster uses another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// What for; part of the key in the store.
    pub(crate) purpose: &'static str,
    /// The service account in the owner.
    pub(crate) account: &'static str,
    /// Its namespace.
    pub(crate) namespace: &'static str,
}

/// What an `ExternalSecret` makes of the token and the CA.
pub(crate) struct Target<'a> {
    /// Name of the Secret.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its labels.
    pub(crate) labels: Value,
    /// Its annotations.
    pub(crate) annotations: Value,
    /// Its content: templates of External Secrets that use `.token` and `.ca`.
    pub(crate) data: Value,
}

impl Access {
    /// The key in the store that holds `token` and `ca.crt`.
    pub(crate) fn key(&self, model: &Model, owner: &Cluster) -> String {
        model
            .secrets
            .key(&format!("clusters/{}/{}", owner.name, self.purpose))
    }

    /// The owner's side. `create_account` unless a chart creates the service account.
    pub(crate) fn grant(
        &self,
        unit: &mut Unit,
        model: &Model,
        owner: &Cluster,
        create_account: bool,
    ) {
        if create_account {
            unit.add(
                "access/service-account.yaml",
                owner.location,
                json!({ "name": self.account, "namespace": self.namespace }),
            );
        }
        let secret = format!("{}-token", self.account);
        unit.add(
            "access/token.yaml",
            owner.location,
            json!({ "name": secret, "namespace": self.namespace, "account": self.account }),
        );
        self.push(unit, model, owner);
    }

    /// Brings the token into the store, where that is not left to a person.
    pub(crate) fn push(&self, unit: &mut Unit, model: &Model, owner: &Cluster) {
        if model.secrets.exchange == Exchange::Push {
            unit.add(
                "access/push-secret.yaml",
                owner.location,
                json!({
                    "name": format!("{}-token", self.account),
                    "namespace": self.namespace,
                    "store": model.secrets.store,
                    "refreshInterval": model.secrets.refresh_interval,
                    "key": self.key(model, owner),
                    "token": TOKEN,
                }),
            );
        }
    }

    /// The user's side.
    pub(crate) fn receive(
        &self,
        unit: &mut Unit,
        model: &Model,
        owner: &Cluster,
        target: &Target<'_>,
    ) {
        let key = self.key(model, owner);
        external_secret(
            unit,
            model,
            owner.location,
            target,
            &json!([
                { "secretKey": "token", "remoteRef": { "key": key, "property": "token" } },
                { "secretKey": "ca", "remoteRef": { "key": key, "property": "ca.crt" } },
            ]),
        );
    }
}

/// Adds an `ExternalSecret` that fills `target` from keys of the store.
pub(crate) fn external_secret(
    unit: &mut Unit,
    model: &Model,
    origin: hcb_source::source::Location,
    target: &Target<'_>,
    data: &Value,
) {
    unit.add(
        "access/external-secret.yaml",
        origin,
        json!({
            "name": target.name,
            "namespace": target.namespace,
            "labels": target.labels,
            "annotations": target.annotations,
            "template": target.data,
            "store": model.secrets.store,
            "refreshInterval": model.secrets.refresh_interval,
            "data": data,
        }),
    );
}

/// A kubeconfig for `owner` as a template of External Secrets.
pub(crate) fn kubeconfig(owner: &Cluster) -> String {
    let name = &owner.name;
    hcb_source::yaml::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": name,
            "cluster": {
                "server": owner.api_server,
                "certificate-authority-data": "{{ .ca | b64enc }}",
            },
        }],
        "users": [{ "name": name, "user": { "token": TOKEN } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
    }))
}
