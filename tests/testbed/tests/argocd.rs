//! Argo CD delivers what `hcb compile --engine argocd` wrote: the real controller and repo server, on real
//! API servers.

use anyhow::{Context, Result};
use hcb_testbed::apply::Applier;
use hcb_testbed::{ClusterPlan, Testbed, argocd, wait_for};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_delivered() -> Result<()> {
    if !hcb_testbed::is_available() || !argocd::is_available() {
        return Ok(());
    }
    let plan = ClusterPlan {
        name: "private".to_owned(),
        pools: Vec::new(),
    };
    let testbed = Testbed::start(&[plan]).await?;
    testbed.run("argocd-one", async |testbed| {
        let hub = testbed.cluster("private");
        argocd::install(hub).await?;
        argocd::run(hub, &[]).await?;
        let repository = testbed.folder().join("repository");
        std::fs::create_dir_all(repository.join("one"))?;
        std::fs::write(repository.join("one/map.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: default}\ndata: {a: b}\n")?;
        let status = std::process::Command::new("bash").args(["-ec", "git init -qb main . && git add -A && git -c user.name=T -c user.email=t@example.com commit -qm one"]).current_dir(&repository).status()?;
        anyhow::ensure!(status.success());
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "one", "namespace": "argocd"},
            "spec": {"project": "default",
                "source": {"repoURL": format!("file://{}", repository.display()), "targetRevision": "main", "path": "one"},
                "destination": {"name": "in-cluster", "namespace": "default"},
                "syncPolicy": {"automated": {"prune": true, "selfHeal": true}, "syncOptions": ["ServerSideApply=true"]}}});
        Applier::new(hub).apply(&application).await?;
        let mut last = argocd::Application::default();
        let result = wait_for("the Application", Duration::from_secs(120), async || {
            last = argocd::applications(hub).await?.remove("one").context("the Application")?;
            Ok(last.is_settled())
        }).await;
        result.with_context(|| format!("{last:?}"))
    }).await
}
