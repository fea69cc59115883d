#!/usr/bin/env python3
"""Runs a reconciler of a release against real API servers and keeps what it leaves behind.

    tests/upgrade/capture.py --hcb PATH --etcd PATH --kube-apiserver PATH OUT

Three clusters, each with an etcd prefix and a kube-apiserver of its own, and neither controllers nor
schedulers: this script plays the controllers of Jobs, the kubelets and Admiralty, so that each object is
in a known state. `hcb reconcile` is the real one. OUT gets:

- `records/`: what the reconciler recorded, of a first leader and of one that took over from it;
- `objects/`: its Lease, status, Events, and the pods and nodes that it changed, as the API servers hold them;
- `config.yaml`: the configuration that it ran with;
- `metrics.txt`: what it exported.

Whatever is in OUT already is left alone: a release is captured once.
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

TOKEN = "capture"
GATE = "hcb.dev/gate"
ADMIRALTY = "multicluster.admiralty.io"

CONFIG = """\
apiVersion: hcb.dev/v1alpha1
kind: ReconcilerConfig
cloud: upgrade
tiers:
- private
- public
- spare
burst:
  after: 0s
fallBack:
  after: 1m
whenDown: hold
weights:
  minFactor: 0.5
  maxFactor: 2.0
budget:
  currency: EUR
  perHour: 80.0
  perMonth: 12000.0
clusters:
- name: private
  tier: private
  weight: 100
  virtualNode: admiralty-private
  kubeconfig: null
  pools:
  - name: cpu
    min: 2
    max: 2
    allocatable:
      cpu: "4"
      memory: 16Gi
    gpuProduct: null
    pricePerHour: null
    labels: {{}}
    taints: []
  limits: null
- name: public
  tier: public
  weight: 100
  virtualNode: admiralty-public
  kubeconfig: {public}
  pools:
  - name: burst
    min: 0
    max: 8
    allocatable:
      cpu: "4"
      memory: 16Gi
    gpuProduct: null
    pricePerHour: 36.0
    labels: {{}}
    taints: []
  limits:
    nodes: 8
    cpu: "32"
    memory: 128Gi
    gpus: 0
- name: other
  tier: public
  weight: 10
  virtualNode: admiralty-other
  kubeconfig: {other}
  pools:
  - name: burst
    min: 0
    max: 8
    allocatable:
      cpu: "4"
      memory: 16Gi
    gpuProduct: null
    pricePerHour: 36.0
    labels: {{}}
    taints: []
  limits:
    nodes: 8
    cpu: "32"
    memory: 128Gi
    gpus: 0
- name: spare
  tier: spare
  weight: 50
  virtualNode: admiralty-spare
  kubeconfig: /etc/hcb/targets/spare/config
  pools:
  - name: cpu
    min: 0
    max: 4
    allocatable:
      cpu: "4"
      memory: 16Gi
    gpuProduct: null
    pricePerHour: 12.0
    labels: {{}}
    taints: []
  limits:
    nodes: 4
    cpu: "16"
    memory: 64Gi
    gpus: 0
  drain: true
"""

CHAPERONS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"podchaperons.{ADMIRALTY}"},
    "spec": {
        "group": ADMIRALTY,
        "names": {"kind": "PodChaperon", "plural": "podchaperons"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """What was started here, ended in the reverse order."""

    def __init__(self):
        self.all = []

    def start(self, arguments, log, environment=None):
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdout=open(log, "ab"),
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        self.all.append(process)
        return process

    def end(self):
        for process in reversed(self.all):
            process.terminate()
        for process in self.all:
            process.wait(timeout=20)


class Cluster:
    """One API server."""

    def __init__(self, name, processes, tools, etcd, folder):
        self.name = name
        port = free_port()
        self.server = f"https://127.0.0.1:{port}"
        self.context = ssl._create_unverified_context()
        here = folder / name
        here.mkdir()
        key = here / "tokens.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (here / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        processes.start(
            [
                tools.kube_apiserver,
                f"--etcd-servers={etcd}",
                f"--etcd-prefix=/{name}",
                f"--secure-port={port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                f"--cert-dir={here / 'certificates'}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=RBAC",
                f"--token-auth-file={here / 'tokens.csv'}",
                "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            ],
            here / "kube-apiserver.log",
        )
        self.kubeconfig = here / "kubeconfig"
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": name,
                    "clusters": [
                        {
                            "name": name,
                            "cluster": {"server": self.server, "insecure-skip-tls-verify": True},
                        }
                    ],
                    "users": [{"name": name, "user": {"token": TOKEN}}],
                    "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                }
            )
        )

    def ask(self, method, path, body=None, kind="application/json"):
        request = urllib.request.Request(
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {TOKEN}",
                "Content-Type": kind,
                "User-Agent": "capture",
            },
        )
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()}") from error
        return json.loads(text) if text[:1] == b"{" else text.decode()

    def get(self, path):
        return self.ask("GET", path)

    def create(self, path, body):
        return self.ask("POST", path, body)

    def patch(self, path, body):
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def ready(self):
        try:
            return self.get("/readyz") == "ok"
        except (RuntimeError, OSError):
            return False

    def namespace(self, name):
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})

    def node(self, name, pool, cpu="4"):
        node = {"metadata": {"name": name, "labels": {"hcb.dev/pool": pool}}, "spec": {}}
        self.create("/api/v1/nodes", node)
        resources = {"cpu": cpu, "memory": "16Gi", "pods": "110"}
        status = {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        }
        self.patch(f"/api/v1/nodes/{name}/status", {"status": status})

    def virtual_node(self, cluster, tiers_before, gate):
        """As hcb compiles it."""
        taints = [{"key": "virtual-kubelet.io/provider", "value": "admiralty", "effect": "NoSchedule"}]
        if gate:
            taints.append({"key": GATE, "value": gate, "effect": "NoSchedule"})
        for number, tier in enumerate(tiers_before, 1):
            key = f"hcb.dev/after-{number}"
            taints.append({"key": key, "value": tier, "effect": "PreferNoSchedule"})
        labels = {
            "type": "virtual-kubelet",
            "virtual-kubelet.io/provider": "admiralty",
            f"{ADMIRALTY}/cluster-target-name": cluster,
        }
        metadata = {"name": f"admiralty-{cluster}", "labels": labels}
        self.create("/api/v1/nodes", {"metadata": metadata, "spec": {"taints": taints}})

    def pod(self, namespace, name, cpu, **more):
        containers = [
            {
                "name": "main",
                "image": "registry.example.com/train:1",
                "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}},
            }
        ]
        spec = {"containers": containers, "restartPolicy": "Never", **more.pop("spec", {})}
        pod = {"metadata": {"name": name, **more}, "spec": spec}
        return self.create(f"/api/v1/namespaces/{namespace}/pods", pod)

    def bind(self, namespace, name, node):
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self.create(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)


def job_pods(source, job, count, cpu, only=None):
    """A Job and its pods as Admiralty's webhook leaves them. The source's scheduler is Admiralty's."""
    template = {
        "metadata": {
            "annotations": {f"{ADMIRALTY}/elect": ""},
            "labels": {"hcb.dev/workload": job},
        },
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "registry.example.com/train:1"}],
        },
    }
    made = source.create(
        "/apis/batch/v1/namespaces/ml/jobs",
        {
            "metadata": {"name": job, "labels": {"hcb.dev/workload": job}},
            "spec": {"parallelism": count, "completions": count, "template": template},
        },
    )
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job,
        "uid": made["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    original = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"annotations": {f"{ADMIRALTY}/elect": ""}},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example.com/train:1",
                    "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}},
                }
            ]
        },
    }
    spec = {
        "schedulerName": "admiralty-proxy",
        "nodeSelector": {"virtual-kubelet.io/provider": "admiralty"},
        "tolerations": [{"key": "virtual-kubelet.io/provider", "value": "admiralty"}],
    }
    annotations = {
        f"{ADMIRALTY}/elect": "",
        f"{ADMIRALTY}/sourcepod-manifest": json.dumps(original),
    }
    if only:
        term = {
            "matchExpressions": [
                {"key": f"{ADMIRALTY}/cluster-target-name", "operator": "In", "values": only}
            ]
        }
        spec["affinity"] = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}
            }
        }
    for number in range(count):
        source.pod(
            "ml",
            f"{job}-{number}",
            cpu,
            annotations=annotations,
            labels={"hcb.dev/workload": job, "batch.kubernetes.io/job-name": job},
            ownerReferences=[owner],
            spec=spec,
        )


class Admiralty:
    """The candidates that Admiralty makes of pods whose gates are open to them."""

    def __init__(self, source, target):
        self.source, self.target = source, target

    def released(self, cluster):
        pods = self.source.get("/api/v1/namespaces/ml/pods")["items"]
        gate = lambda pod: [t.get("value") for t in pod["spec"]["tolerations"] if t.get("key") == GATE]
        return [pod for pod in pods if cluster in gate(pod) and not pod["spec"].get("nodeName")]

    def candidates(self):
        pods = self.target.get("/api/v1/namespaces/ml/pods")["items"]
        return {pod["metadata"]["labels"][f"{ADMIRALTY}/parent-uid"] for pod in pods}

    def try_next(self):
        """Makes a candidate of a pod that was released and has none; says its name."""
        known = self.candidates()
        for pod in self.released("public"):
            if pod["metadata"]["uid"] in known:
                continue
            name = f"{pod['metadata']['name']}-c"
            self.target.pod(
                "ml",
                name,
                pod["spec"]["containers"][0]["resources"]["requests"]["cpu"],
                labels={
                    f"{ADMIRALTY}/parent-uid": pod["metadata"]["uid"],
                    f"{ADMIRALTY}/parent-name": pod["metadata"]["name"],
                },
                spec={"schedulerName": "admiralty-candidate"},
            )
            chaperon = {
                "apiVersion": f"{ADMIRALTY}/v1alpha1",
                "kind": "PodChaperon",
                "metadata": {"name": name},
                "spec": {},
            }
            self.target.create(f"/apis/{ADMIRALTY}/v1alpha1/namespaces/ml/podchaperons", chaperon)
            return pod["metadata"]["name"]
        return None

    def refuse(self, pod):
        """The candidate fits nowhere when it is tried."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        status = {"status": {"conditions": [condition]}}
        self.target.patch(f"/api/v1/namespaces/ml/pods/{pod}-c/status", status)
        chaperon = f"/apis/{ADMIRALTY}/v1alpha1/namespaces/ml/podchaperons/{pod}-c/status"
        self.target.patch(chaperon, status)

    def reserve(self, pod):
        """A place is kept for the candidate."""
        note = {"metadata": {"annotations": {f"{ADMIRALTY}/is-reserved": "true"}}}
        chaperon = f"/apis/{ADMIRALTY}/v1alpha1/namespaces/ml/podchaperons/{pod}-c"
        self.target.patch(chaperon, note)

    def bind(self, pod, node):
        """The scheduler takes the place: both pods are bound."""
        self.target.bind("ml", f"{pod}-c", node)
        self.source.bind("ml", pod, "admiralty-public")


def wait(what, check, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"waited {seconds} s for {what}")


class Run:
    """The clusters, and the reconcilers that run on them one after another."""

    def __init__(self, tools, folder, processes):
        self.tools, self.folder, self.processes = tools, folder, processes
        etcd, peer = free_port(), free_port()
        self.processes.start(
            [
                tools.etcd,
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{etcd}",
                f"--advertise-client-urls=http://127.0.0.1:{etcd}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync",
            ],
            folder / "etcd.log",
        )
        url = f"http://127.0.0.1:{etcd}"
        self.source = Cluster("private", self.processes, tools, url, folder)
        self.target = Cluster("public", self.processes, tools, url, folder)
        # It has its turns in the tier too, and no node.
        self.other = Cluster("other", self.processes, tools, url, folder)
        self.all = [self.source, self.target, self.other]
        for cluster in self.all:
            wait(f"the API server of {cluster.name}", cluster.ready, 300)
        self.config = folder / "config.yaml"
        self.text = CONFIG.format(public=self.target.kubeconfig, other=self.other.kubeconfig)
        self.config.write_text(self.text)
        self.port = None

    def prepare(self):
        for cluster in self.all:
            cluster.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CHAPERONS)
            cluster.namespace("ml")
            path = f"/apis/{ADMIRALTY}/v1alpha1/podchaperons"
            wait("the kind PodChaperon", lambda: self.answers(cluster, path))
        self.source.namespace("hcb-system")
        self.source.create(
            "/api/v1/namespaces/hcb-system/configmaps", {"metadata": {"name": "hcb-status"}}
        )
        self.source.virtual_node("private", [], None)
        self.source.virtual_node("public", ["private"], "public")
        self.source.virtual_node("other", ["private"], "other")
        self.source.virtual_node("spare", ["private", "public"], "spare")
        for number in range(2):
            self.source.node(f"private-cpu-{number}", "cpu")
            self.source.pod("ml", f"filler-{number}", "4")
            self.source.bind("ml", f"filler-{number}", f"private-cpu-{number}")
        self.target.node("public-burst-0", "burst")
        # A quota, of which the reconciler reads what is left.
        quota = {"metadata": {"name": "ml"}, "spec": {"hard": {"requests.cpu": "100"}}}
        self.target.create("/api/v1/namespaces/ml/resourcequotas", quota)
        hard = {"status": {"hard": {"requests.cpu": "100"}, "used": {"requests.cpu": "0"}}}
        self.target.patch("/api/v1/namespaces/ml/resourcequotas/ml/status", hard)
        job_pods(self.source, "train", 8, "2")
        job_pods(self.source, "huge", 1, "64")
        job_pods(self.source, "at-home", 1, "4", only=["private"])

    @staticmethod
    def answers(cluster, path):
        try:
            return cluster.get(path)
        except RuntimeError:
            return None

    def reconciler(self, name, record):
        self.port = free_port()
        return self.processes.start(
            [
                self.tools.hcb,
                "reconcile",
                f"--config={self.config}",
                f"--listen=127.0.0.1:{self.port}",
                f"--record={record}",
            ],
            self.folder / f"{name}.log",
            {"KUBECONFIG": str(self.source.kubeconfig), "POD_NAME": name, "POD_NAMESPACE": "hcb-system"},
        )

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def status(self):
        data = self.source.get("/api/v1/namespaces/hcb-system/configmaps/hcb-status").get("data")
        return json.loads(data["status.json"]) if data else None

    def status_when(self, what, check, seconds=120):
        def seen():
            status = self.status()
            return status if status and check(status) else None

        return wait(what, seen, seconds)

    def gate(self, cluster):
        taints = self.source.get(f"/api/v1/nodes/admiralty-{cluster}")["spec"].get("taints", [])
        return next((taint.get("value") for taint in taints if taint["key"] == GATE), None)


def without(text, folder):
    """Paths of this machine are no part of what is kept."""
    for cluster in ("public", "other"):
        path = str(folder / cluster / "kubeconfig")
        text = text.replace(path, f"/etc/hcb/targets/{cluster}/config")
    return text


def keep(out, name, text):
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x") as file:
        file.write(text)


def keep_object(out, name, value):
    keep(out, f"objects/{name}.json", json.dumps(value, indent=1, sort_keys=True) + "\n")


def play(run, out):
    source, target = run.source, run.target
    admiralty = Admiralty(source, target)
    records = [run.folder / "first.jsonl", run.folder / "second.jsonl"]
    run.prepare()
    first = run.reconciler("hcb-reconciler-0", records[0])

    # More wait than the first tier has room for: its gate closes, and they leave one by one.
    wait("the gate of private", lambda: run.gate("private") == "private")
    wait("the gate of spare", lambda: run.gate("spare") == "drained.spare")
    bound = wait("a pod that may leave", admiralty.try_next)
    admiralty.reserve(bound)
    time.sleep(3)
    admiralty.bind(bound, "public-burst-0")
    kept = wait("another one", admiralty.try_next)
    admiralty.refuse(kept)
    time.sleep(1)
    admiralty.reserve(kept)
    wait(
        "the nudge",
        lambda: "hcb.dev/woken"
        in source.get(f"/api/v1/namespaces/ml/pods/{kept}")["metadata"]["annotations"],
    )
    # A node that is bought, and one that is not: the budget ends there.
    wait("a third one", admiralty.try_next)
    wait("a fourth one", admiralty.try_next)
    target.node("public-burst-1", "burst")
    run.status_when("the budget", lambda status: "OverBudget" in status["waiting"])
    # Room comes free in the first tier, behind its closed gate.
    source.ask("DELETE", "/api/v1/namespaces/ml/pods/filler-0?gracePeriodSeconds=0")
    wait("a pod that may stay", lambda: admiralty.released("private"))
    time.sleep(12)
    keep(out, "metrics.txt", run.metrics())
    status = run.status()
    keep_object(out, "lease-held", source.get(LEASE))
    # The configuration changes under it.
    run.config.write_text(run.text.replace("after: 0s", "after: 30s"))
    time.sleep(6)
    first.send_signal(signal.SIGTERM)
    first.wait(timeout=20)
    keep_object(out, "lease-handed-over", source.get(LEASE))
    keep_object(out, "status", source.get("/api/v1/namespaces/hcb-system/configmaps/hcb-status"))

    for name, cluster, path in [
        ("pods-private", source, "/api/v1/namespaces/ml/pods"),
        ("nodes-private", source, "/api/v1/nodes"),
        ("jobs-private", source, "/apis/batch/v1/namespaces/ml/jobs"),
        ("events-private", source, "/apis/events.k8s.io/v1/namespaces/ml/events"),
        ("pods-public", target, "/api/v1/namespaces/ml/pods"),
        ("nodes-public", target, "/api/v1/nodes"),
        ("quotas-public", target, "/api/v1/namespaces/ml/resourcequotas"),
        ("podchaperons-public", target, f"/apis/{ADMIRALTY}/v1alpha1/namespaces/ml/podchaperons"),
    ]:
        keep_object(out, name, cluster.get(path))

    # Another one takes over from it.
    run.config.write_text(run.text)
    second = run.reconciler("hcb-reconciler-1", records[1])
    run.status_when("another leader", lambda now: now["leader"] != status["leader"])
    time.sleep(12)
    second.send_signal(signal.SIGTERM)
    second.wait(timeout=20)
    keep_object(
        out, "status-second", source.get("/api/v1/namespaces/hcb-system/configmaps/hcb-status")
    )
    keep(out, "config.yaml", without(run.text, run.folder))
    for name, record in zip(["first", "second"], records):
        keep(out, f"records/{name}.jsonl", without(record.read_text(), run.folder))


LEASE = "/apis/coordination.k8s.io/v1/namespaces/hcb-system/leases/hcb-reconciler"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for tool in ("hcb", "etcd", "kube-apiserver"):
        parser.add_argument(f"--{tool}", required=True, metavar="PATH")
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        processes = Processes()
        try:
            play(Run(arguments, folder, processes), arguments.out)
        finally:
            for log in folder.glob("hcb-*.log"):
                sys.stderr.write(log.read_text()[-2000:])
            processes.end()


if __name__ == "__main__":
    main()
