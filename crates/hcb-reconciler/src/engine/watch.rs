//! Watches of one kind of object in one cluster, and the facts that they make.

use super::object::{Object, WatchedKind};
use crate::core::facts::Fact;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use kube::Client;
use kube::api::{Api, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use std::fmt;
use tokio::sync::mpsc::Sender;

/// How many objects a list brings at once, so that no list is in memory as a whole.
const PAGE: u32 = 500;

/// A watch of one kind of object in one cluster. It does nothing until it runs.
pub struct Watch {
    source: Box<dyn Source>,
    fields: &'static str,
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Watch")
            .field(&self.source.name())
            .finish()
    }
}

impl Watch {
    /// Of all objects of a kind in a cluster, by its index in the configuration, read with what the kind asks for.
    pub fn new<K: WatchedKind>(cluster: usize, context: K::Context) -> Self {
        Self {
            source: Box::new(Kind::<K> { cluster, context }),
            fields: "",
        }
    }

    /// Of those only that a field selector lets through.
    #[must_use]
    pub fn of_fields(mut self, fields: &'static str) -> Self {
        self.fields = fields;
        self
    }

    /// The fact that an object makes, as JSON, where it is there, or gone.
    ///
    /// # Errors
    /// Where it is no object of the kind.
    pub fn fact(
        &mut self,
        object: Value,
        is_gone: bool,
    ) -> Result<Option<Fact>, serde_json::Error> {
        self.source.fact(object, is_gone)
    }

    /// The name of the kind.
    pub fn kind(&self) -> &'static str {
        self.source.name()
    }

    /// Whether it makes facts of demands.
    pub fn makes_demands(&self) -> bool {
        self.source.makes_demands()
    }

    /// Watches until the receiver is dropped. `name` is the cluster's.
    pub(crate) fn run(
        self,
        client: Client,
        name: String,
        facts: Sender<Fact>,
    ) -> BoxFuture<'static, ()> {
        self.source.run(client, self.fields, name, facts)
    }

    /// The facts that the objects make which are there now.
    pub(crate) fn list(self, client: Client) -> BoxFuture<'static, Result<Vec<Fact>, kube::Error>> {
        self.source.list(client, self.fields)
    }
}

/// A watch, whatever its kind.
trait Source: Send {
    fn name(&self) -> &'static str;
    fn makes_demands(&self) -> bool;
    fn fact(&mut self, object: Value, is_gone: bool) -> Result<Option<Fact>, serde_json::Error>;
    fn run(
        self: Box<Self>,
        client: Client,
        fields: &'static str,
        name: String,
        facts: Sender<Fact>,
    ) -> BoxFuture<'static, ()>;
    fn list(
        self: Box<Self>,
        client: Client,
        fields: &'static str,
    ) -> BoxFuture<'static, Result<Vec<Fact>, kube::Error>>;
}

struct Kind<K: WatchedKind> {
    cluster: usize,
    context: K::Context,
}

impl<K: WatchedKind> Source for Kind<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn makes_demands(&self) -> bool {
        K::MAKES_DEMANDS
    }

    fn fact(&mut self, object: Value, is_gone: bool) -> Result<Option<Fact>, serde_json::Error> {
        let object: Object<K> = serde_json::from_value(object)?;
        Ok(if is_gone {
            Some(K::gone(&mut self.context, &object))
        } else {
            K::observed(&mut self.context, &object)
        })
    }

    fn run(
        mut self: Box<Self>,
        client: Client,
        fields: &'static str,
        name: String,
        facts: Sender<Fact>,
    ) -> BoxFuture<'static, ()> {
        async move {
            let api: Api<Object<K>> = Api::all(client);
            let mut config = watcher::Config::default().page_size(PAGE);
            if !fields.is_empty() {
                config = config.fields(fields);
            }
            let events = watcher::watcher(api, config).default_backoff();
            tokio::pin!(events);
            while let Some(event) = events.next().await {
                let fact = match event {
                    Ok(event) => self.event(&event),
                    Err(error) => {
                        let kind = K::NAME;
                        tracing::warn!(cluster = name, kind, %error, "a watch broke; it is taken up again");
                        None
                    }
                };
                if let Some(fact) = fact
                    && facts.send(fact).await.is_err()
                {
                    return;
                }
            }
        }
        .boxed()
    }

    fn list(
        mut self: Box<Self>,
        client: Client,
        fields: &'static str,
    ) -> BoxFuture<'static, Result<Vec<Fact>, kube::Error>> {
        async move {
            let api: Api<Object<K>> = Api::all(client);
            let listed = api.list(&ListParams::default().fields(fields)).await?;
            let objects = listed.items.iter();
            Ok(objects
                .filter_map(|object| K::observed(&mut self.context, object))
                .collect())
        }
        .boxed()
    }
}

impl<K: WatchedKind> Kind<K> {
    fn event(&mut self, event: &Event<Object<K>>) -> Option<Fact> {
        match event {
            Event::Init => {
                K::relisted(&mut self.context);
                Some(Fact::Listing(self.cluster, K::WATCHED))
            }
            Event::InitDone => Some(Fact::Listed(self.cluster, K::WATCHED)),
            Event::Apply(object) | Event::InitApply(object) => {
                K::observed(&mut self.context, object)
            }
            Event::Delete(object) => Some(K::gone(&mut self.context, object)),
        }
    }
}
