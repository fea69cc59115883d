package main

import (
	"regexp"
	"slices"
)

// freeForm is a place in the values whose keys the chart cannot list, because
// it copies the map as it is into a manifest or hands it to another program.
type freeForm struct {
	// path matches the dotted path of the place.
	path *regexp.Regexp
	// keys may stand there besides those that the chart knows; none means any.
	keys   []string
	reason string
}

// endsIn matches paths whose last key is one of these, in every chart.
func endsIn(names string) *regexp.Regexp { return regexp.MustCompile(`(^|\.)(` + names + `)$`) }

var freeForms = []freeForm{
	{endsIn(`[a-zA-Z]*([aA]nnotations|[lL]abels)`), nil, "annotations and labels have any name"},
	{endsIn(`nodeSelector`), nil, "a map of labels"},
	{endsIn(`resources`), []string{"limits", "requests", "claims"}, "Kubernetes ResourceRequirements"},
	{endsIn(`affinity`), []string{"nodeAffinity", "podAffinity", "podAntiAffinity"}, "Kubernetes Affinity"},
	{endsIn(`securityContext|podSecurityContext|containerSecurityContext`), nil, "Kubernetes security contexts"},
	{endsIn(`seccompProfile`), []string{"type", "localhostProfile"}, "Kubernetes SeccompProfile"},
	{endsIn(`podDisruptionBudget`), []string{"minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"},
		"Kubernetes PodDisruptionBudgetSpec"},
	{endsIn(`autoscaleBehavior`), []string{"scaleUp", "scaleDown"}, "Kubernetes HorizontalPodAutoscalerBehavior"},
	{endsIn(`strategy`), []string{"type", "rollingUpdate"}, "Kubernetes DeploymentStrategy"},
	{endsIn(`lifecycle`), []string{"postStart", "preStop"}, "Kubernetes Lifecycle"},
	{endsIn(`gatewayClasses`), nil, "by name of a GatewayClass, what Istio merges into the objects it makes"},
	{endsIn(`sidecarInjectorWebhook\.templates`), nil, "by any name, an injection template"},
	{endsIn(`config`), nil, "a configuration file of the program, copied as it is"},
	{endsIn(`extraArgs`), nil, "flags of the program by name"},
	{endsIn(`env`), nil, "names of environment variables; those of istiod are looked up in its source"},
}

// freeFormAt returns the free form that a path leads to.
func freeFormAt(path string) (freeForm, bool) {
	i := slices.IndexFunc(freeForms, func(form freeForm) bool { return form.path.MatchString(path) })
	if i < 0 {
		return freeForm{}, false
	}
	return freeForms[i], true
}

// looseKinds are places that take more kinds of value than the default shows.
var looseKinds = []struct {
	path   *regexp.Regexp
	kinds  []kind
	reason string
}{
	{endsIn(`rollingMaxSurge|rollingMaxUnavailable|minAvailable|maxUnavailable`),
		[]kind{kindNumber, kindString}, "Kubernetes IntOrString"},
	{endsIn(`targetMemoryUtilizationPercentage`),
		[]kind{kindNumber}, "Istio's gateway writes {} for a number that is not set"},
}

// kindsAt returns the kinds of value that may stand at a path.
func kindsAt(path string, known []kind) []kind {
	for _, loose := range looseKinds {
		if loose.path.MatchString(path) {
			return append(slices.Clone(known), loose.kinds...)
		}
	}
	return known
}
