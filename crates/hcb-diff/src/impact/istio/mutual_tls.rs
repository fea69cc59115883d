//! Mutual TLS of the mesh.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pair::Action;
use crate::pair::Pair;
use crate::report::Level;
use hcb_api::labels::SIDECAR_INJECTION;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "mutual-tls-weakened",
    about: "traffic that was encrypted and authenticated may be neither",
    check,
};

/// The label by which Istio puts sidecars into the pods of a namespace.
const INJECTION: &[&str] = &["metadata", "labels", SIDECAR_INJECTION];

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds(&[
        kinds::ISTIO_PEER_AUTHENTICATION,
        kinds::ISTIO_DESTINATION_RULE,
        kinds::NAMESPACE,
    ]) {
        if context.is_gone(&pair.object().cluster) {
            continue;
        }
        match pair.object().group_kind() {
            kinds::ISTIO_PEER_AUTHENTICATION => peers(effects, index, pair),
            kinds::ISTIO_DESTINATION_RULE => clients(effects, index, pair),
            _ => {
                let lost = pair.fields_at(INJECTION).any(|field| {
                    field
                        .before
                        .as_ref()
                        .is_some_and(|value| value == "enabled")
                });
                if lost {
                    effects.of_pair(index, Level::Danger, "its new pods get no sidecar: their traffic is no longer encrypted, and strict peers refuse it");
                }
            }
        }
    }
}

/// How strict a mode is; what is not said is taken from above, where `STRICT` is not the default.
fn strictness(mode: Option<&str>) -> u8 {
    match mode {
        Some("STRICT") => 3,
        Some("DISABLE") => 0,
        Some("PERMISSIVE") => 1,
        _ => 2,
    }
}

fn peers(effects: &mut Effects, index: usize, pair: &Pair) {
    let modes = |value: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or("UNSET").to_owned();
        let mut modes = Vec::new();
        if let Some(mode) = value.pointer("/spec/mtls/mode") {
            modes.push(("all ports".to_owned(), text(mode)));
        }
        let ports = value
            .pointer("/spec/portLevelMtls")
            .and_then(Value::as_object);
        for (port, setting) in ports.into_iter().flatten() {
            modes.push((format!("port {port}"), text(&setting["mode"])));
        }
        modes
    };
    let (before, after) = match (&pair.before, &pair.after) {
        (Some(before), after) => (
            modes(&before.value),
            after
                .as_ref()
                .map(|after| modes(&after.value))
                .unwrap_or_default(),
        ),
        (None, Some(after)) => (Vec::new(), modes(&after.value)),
        (None, None) => return,
    };
    let find = |modes: &[(String, String)], port: &str| {
        let found = modes.iter().find(|(name, _)| name == port);
        found.map(|(_, mode)| mode.clone())
    };
    let all = find(&before, "all ports");
    for (port, mode) in &after {
        let was = find(&before, port).or_else(|| all.clone());
        if strictness(Some(mode)) < strictness(was.as_deref()) {
            effects.of_pair(
                index,
                Level::Danger,
                format!(
                    "{port}: mutual TLS goes from {} to {mode}: {}",
                    was.unwrap_or_else(|| "UNSET".to_owned()),
                    if mode == "DISABLE" {
                        "traffic is plain"
                    } else {
                        "plain traffic is accepted too"
                    }
                ),
            );
        }
    }
    if pair.action == Action::Remove && before.iter().any(|(_, mode)| mode == "STRICT") {
        effects.of_pair(
            index,
            Level::Danger,
            "strict mutual TLS is no longer asked for: plain traffic is accepted too",
        );
    }
}

fn clients(effects: &mut Effects, index: usize, pair: &Pair) {
    for field in pair
        .fields
        .iter()
        .filter(|field| field.path.begins_with(&["spec", "trafficPolicy"]))
    {
        let is_mode = field.path.to_string().ends_with("tls.mode");
        let before = field.before.as_ref().and_then(Value::as_str);
        let after = field.after.as_ref().and_then(Value::as_str);
        if is_mode && before == Some("ISTIO_MUTUAL") && after != Some("MUTUAL") {
            effects.of_pair(
                index,
                Level::Danger,
                format!(
                    "clients no longer use mutual TLS ({})",
                    after.unwrap_or("unset")
                ),
            );
        }
    }
}
