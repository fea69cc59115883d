//! Plays External Secrets with a store in memory: what `PushSecrets` push, `ExternalSecrets` get.

use crate::access::get;
use crate::cluster::Cluster;
use anyhow::{Context, Result, bail};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Who External Secrets is for the API server.
const CONTROLLER: &str = "system:serviceaccount:external-secrets:external-secrets";

/// The secret store that all clusters share.
#[derive(Debug, Default)]
pub struct Store {
    values: BTreeMap<(String, String), Vec<u8>>,
    /// URLs of the spec with the addresses that the testbed serves them at.
    addresses: Vec<(String, String)>,
}

impl Store {
    /// A store for clusters whose spec says other URLs than the testbed's, as DNS would resolve them.
    pub fn new(addresses: Vec<(String, String)>) -> Self {
        Self {
            values: BTreeMap::new(),
            addresses,
        }
    }

    /// Puts a value where a person or another tool would.
    pub fn put(&mut self, key: &str, property: &str, value: &[u8]) {
        self.values
            .insert((key.to_owned(), property.to_owned()), value.to_vec());
    }

    /// Does what every `PushSecret` of a cluster asks for.
    ///
    /// # Errors
    /// Where a Secret that is pushed does not appear.
    pub async fn push(&mut self, cluster: &Cluster) -> Result<()> {
        for object in list(cluster, "/apis/external-secrets.io/v1alpha1/pushsecrets").await? {
            let namespace = object["metadata"]["namespace"]
                .as_str()
                .context("a namespace")?;
            let name = object["spec"]["selector"]["secret"]["name"]
                .as_str()
                .context("the name of a Secret")?;
            let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
            for data in object["spec"]["data"].as_array().into_iter().flatten() {
                let key = data["match"]["remoteRef"]["remoteKey"]
                    .as_str()
                    .context("a key")?;
                let mut found = BTreeMap::new();
                // The token controller fills the Secret of a service account a moment later.
                crate::wait_for(
                    &format!("{namespace}/{name} in {}", cluster.name),
                    Duration::from_secs(30),
                    async || {
                        let secret = secrets.get_opt(name).await?;
                        found = secret.and_then(|secret| secret.data).unwrap_or_default();
                        Ok(!found.is_empty())
                    },
                )
                .await?;
                for (property, value) in &found {
                    self.put(key, property, &value.0);
                }
            }
        }
        Ok(())
    }

    /// Makes the Secret of every `ExternalSecret` of a cluster whose keys are in the store. Those whose
    /// keys are not wait, as they would for the real one.
    ///
    /// # Errors
    /// Where a template is none that this can fill.
    pub async fn pull(&self, cluster: &Cluster) -> Result<()> {
        // Policies go by who writes a value.
        let client = cluster.client_as(CONTROLLER).await?;
        for object in list(cluster, "/apis/external-secrets.io/v1/externalsecrets").await? {
            let namespace = object["metadata"]["namespace"]
                .as_str()
                .context("a namespace")?;
            let mut values = BTreeMap::new();
            let mut is_complete = true;
            for data in object["spec"]["data"].as_array().into_iter().flatten() {
                let field = |path: &str| {
                    data.pointer(path)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned()
                };
                match self
                    .values
                    .get(&(field("/remoteRef/key"), field("/remoteRef/property")))
                {
                    Some(value) => drop(values.insert(field("/secretKey"), value.clone())),
                    None => is_complete = false,
                }
            }
            if !is_complete {
                continue;
            }
            let target = &object["spec"]["target"];
            let templates = target["template"]["data"].as_object();
            let filled = match templates {
                None => values,
                Some(templates) => templates
                    .iter()
                    .map(|(key, text)| {
                        Ok((
                            key.clone(),
                            self.fill(text.as_str().unwrap_or_default(), &values)?
                                .into_bytes(),
                        ))
                    })
                    .collect::<Result<_>>()?,
            };
            let name = target["name"]
                .as_str()
                .or(object["metadata"]["name"].as_str())
                .context("a name")?;
            let data: Map<_, _> = filled
                .into_iter()
                .map(|(key, value)| Ok((key, serde_json::to_value(ByteString(value))?)))
                .collect::<Result<_>>()?;
            let metadata = &target["template"]["metadata"];
            let secret = json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "type": target["template"]["type"].as_str().unwrap_or("Opaque"),
                "metadata": {"name": name, "namespace": namespace, "labels": metadata["labels"], "annotations": metadata["annotations"]},
                "data": data,
            });
            let parameters = PatchParams::apply("external-secrets").force();
            let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
            secrets
                .patch(name, &parameters, &Patch::Apply(&secret))
                .await?;
        }
        Ok(())
    }

    /// Fills `{{ .key }}` and `{{ .key | b64enc }}`, the only actions that hcb writes.
    fn fill(&self, template: &str, values: &BTreeMap<String, Vec<u8>>) -> Result<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let (action, after) = after.split_once("}}").context("an action without an end")?;
            let mut parts = action.split('|').map(str::trim);
            let key = parts
                .next()
                .and_then(|part| part.strip_prefix('.'))
                .context("an action that is no key")?;
            let value = values.get(key).with_context(|| format!("no value {key}"))?;
            match parts.next() {
                None => filled.push_str(std::str::from_utf8(value)?),
                Some("b64enc") => {
                    let encoded = serde_json::to_value(ByteString(value.clone()))?;
                    filled.push_str(encoded.as_str().unwrap_or_default());
                }
                Some(other) => bail!("the testbed's store does not know the function {other}"),
            }
            rest = after;
        }
        filled.push_str(rest);
        for (from, to) in &self.addresses {
            filled = filled.replace(from, to);
        }
        Ok(filled)
    }
}

async fn list(cluster: &Cluster, path: &str) -> Result<Vec<Value>> {
    let request = get(path)?;
    match cluster.client.request::<Value>(request).await {
        Ok(list) => Ok(list["items"].as_array().cloned().unwrap_or_default()),
        // A cluster without the definitions has no such objects.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
