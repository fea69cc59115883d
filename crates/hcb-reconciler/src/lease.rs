//! Who leads: the holder of a Lease. Times are measured here, from when a renewal was seen, so that no
//! clock but this process's own counts.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The Lease's name.
pub const NAME: &str = hcb_api::names::RECONCILER;
/// How long a holder that renews no more is waited for.
pub const LASTS: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long steps down, before another may take over.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// How often it is renewed, or asked for.
const EVERY: Duration = Duration::from_secs(2);

/// Takes part in the election until `stop` says so, then hands over. `leads` tells how it stands.
pub(super) async fn take_part(
    leases: Api<Lease>,
    identity: String,
    leads: watch::Sender<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let mut seen: Option<(String, Instant)> = None;
    let mut renewed = Instant::now();
    loop {
        let answer = tokio::time::timeout(EVERY, attempt(&leases, &identity, &mut seen)).await;
        let holds = match answer {
            Ok(Ok(holds)) => {
                renewed = Instant::now();
                holds
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease could not be renewed");
                *leads.borrow() && renewed.elapsed() < RENEW_WITHIN
            }
            Err(_) => *leads.borrow() && renewed.elapsed() < RENEW_WITHIN,
        };
        if leads.send_if_modified(|leads| std::mem::replace(leads, holds) != holds) {
            tracing::info!(identity, leads = holds, "the lease changed hands");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    if leads.send_replace(false) {
        match tokio::time::timeout(EVERY, hand_over(&leases, &identity)).await {
            Ok(Ok(())) => tracing::info!(identity, "handed the lease over"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not handed over"),
            Err(_) => tracing::warn!("the lease was not handed over in time"),
        }
    }
}

/// Renews the Lease, or takes it if nobody holds it. Says whether it is held.
async fn attempt(
    leases: &Api<Lease>,
    identity: &str,
    seen: &mut Option<(String, Instant)>,
) -> Result<bool, kube::Error> {
    let Some(mut lease) = leases.get_opt(NAME).await? else {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(held(identity, None)),
        };
        return taken(leases.create(&PostParams::default(), &lease).await);
    };
    let version = lease.metadata.resource_version.clone().unwrap_or_default();
    let spec = lease.spec.unwrap_or_default();
    let holder = spec.holder_identity.clone().unwrap_or_default();
    if holder != identity && !holder.is_empty() {
        let since = match seen {
            Some((known, since)) if *known == version => *since,
            _ => seen.insert((version, Instant::now())).1,
        };
        let lasts = spec
            .lease_duration_seconds
            .and_then(|lasts| u64::try_from(lasts).ok());
        if since.elapsed() < lasts.map_or(LASTS, Duration::from_secs) {
            return Ok(false);
        }
    }
    lease.spec = Some(held(identity, (holder == identity).then_some(&spec)));
    taken(leases.replace(NAME, &PostParams::default(), &lease).await)
}

/// That another was faster is no error.
fn taken(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

async fn hand_over(leases: &Api<Lease>, identity: &str) -> Result<(), kube::Error> {
    let mut lease = leases.get(NAME).await?;
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() == Some(identity) {
        spec.holder_identity = Some(String::new());
        leases.replace(NAME, &PostParams::default(), &lease).await?;
    }
    Ok(())
}

fn held(identity: &str, before: Option<&LeaseSpec>) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    let since = before.and_then(|before| before.acquire_time.clone());
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        acquire_time: Some(since.unwrap_or_else(|| now.clone())),
        renew_time: Some(now),
        ..LeaseSpec::default()
    }
}
