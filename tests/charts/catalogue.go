package main

import (
	"fmt"
	"strings"
)

// chartSource says where one chart comes from.
type chartSource struct {
	// module is the Go module that carries the chart; empty when no module
	// does, and then the environment variable names its source.
	module string
	// environment names the folder or .tar.gz that has the chart.
	environment string
	// path leads from the root of the source to the chart.
	path string
	// crds leads to the CRDs that the release tooling writes into the chart.
	crds string
	// release is the release line, major and minor, that the source is of.
	release string
	// lags says why hcb may install another line than this check knows.
	lags string
	// flattensGlobal is true for the Istio charts that merge `global.x` into
	// `x`: the line `if true` in their zzz_profile.yaml.
	flattensGlobal bool
	// alias is a key whose children are merged into the root by the chart.
	alias string
}

// moduleVersion pins a module as go.sum does: by version and by the hash of
// its content. The modules are not in go.mod, because that would make the
// build of helm depend on everything that Istio and Karpenter depend on.
type moduleVersion struct {
	version string
	sum     string
}

var modules = map[string]moduleVersion{
	// Istio does not tag its releases in the way that Go modules need. This
	// commit is of the line 1.31, by its VERSION file.
	"istio.io/istio": {
		"v0.0.0-20260827124520-eed52ebb66ad", "h1:ui9TJjRMAV/hb5ehQaZDq7IUGxuQP6dra9lapT/VjHI=",
	},
	"github.com/cert-manager/cert-manager": {
		"v1.21.2", "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
	},
	"github.com/external-secrets/external-secrets": {
		"v1.3.2", "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
	},
	"github.com/aws/karpenter-provider-aws": {
		"v1.14.1", "h1:WGtIQTQcxpElYMdWfWuPwaF2+9muR+hYhPZsTtoY8Gs=",
	},
	"sigs.k8s.io/kueue": {
		"v0.18.4", "h1:+Vs1H5sjXeSGG8BxvkrJCrpovB0vpuIHfkwSmlNSkyc=",
	},
}

const (
	istioCharts = "manifests/charts/"
	// Go refuses a module path without /v2 for a tag v2.x, so no newer chart
	// of External Secrets is to be had as a module.
	externalSecretsLags = "External Secrets 2.x is not served as a Go module"
	karpenterLags       = "newer modules of Karpenter ask for a newer Go than this check does"
)

var catalogue = map[string]chartSource{
	"base":    {module: "istio.io/istio", path: istioCharts + "base", release: "1.31"},
	"istiod":  {module: "istio.io/istio", path: istioCharts + "istio-control/istio-discovery", release: "1.31", alias: "pilot"},
	"gateway": {module: "istio.io/istio", path: istioCharts + "gateway", release: "1.31", flattensGlobal: true},
	"cni":     {module: "istio.io/istio", path: istioCharts + "istio-cni", release: "1.31", alias: "cni"},
	"ztunnel": {module: "istio.io/istio", path: istioCharts + "ztunnel", release: "1.31", flattensGlobal: true},

	"cert-manager": {
		module: "github.com/cert-manager/cert-manager", path: "deploy/charts/cert-manager", release: "1.21",
	},
	"external-secrets": {
		module: "github.com/external-secrets/external-secrets", path: "deploy/charts/external-secrets",
		crds: "deploy/crds/bundle.yaml", release: "1.3", lags: externalSecretsLags,
	},
	"karpenter": {
		module: "github.com/aws/karpenter-provider-aws", path: "charts/karpenter", release: "1.14", lags: karpenterLags,
	},
	"karpenter-crd": {
		module: "github.com/aws/karpenter-provider-aws", path: "charts/karpenter-crd", release: "1.14", lags: karpenterLags,
	},
	"kueue": {module: "sigs.k8s.io/kueue", path: "charts/kueue", release: "0.18", lags: "the module is not served in every version"},

	"admiralty":          {environment: "HCB_ADMIRALTY", path: "charts/multicluster-scheduler", release: "0.17"},
	"cluster-autoscaler": {environment: "CLUSTER_AUTOSCALER_SOURCE", path: "charts/cluster-autoscaler", release: "9", lags: "any chart of 9.x will do"},
}

// compareVersion tells whether the chart at hand is of the line that is
// installed. Another line is a finding, so that the pins above move with
// hcb's own; where they cannot, it is only noted.
func (s chartSource) compareVersion(version string) (finding, note string) {
	line := strings.TrimPrefix(version, "v")
	if line == s.release || strings.HasPrefix(line, s.release+".") {
		return "", ""
	}
	text := fmt.Sprintf("installs version %s, but the chart checked is of %s", version, s.release)
	if s.lags != "" {
		return "", text + ": " + s.lags
	}
	return text + ": move the pins in catalogue.go", ""
}
