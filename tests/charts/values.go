package main

import (
	"fmt"
	"slices"
	"strings"
)

// valuesCheck walks the values of one install beside what its chart knows.
type valuesCheck struct {
	chart    *chart
	findings []string
}

func checkValues(chart *chart, values map[string]any) ([]string, error) {
	check := valuesCheck{chart: chart}
	check.children(nil, values, chart.keys)
	if chart.name == "istiod" {
		unknown, err := unknownVariables(check.environment(values))
		if err != nil {
			return nil, err
		}
		check.findings = append(check.findings, unknown...)
	}
	return check.findings, nil
}

func (c *valuesCheck) find(path []string, text string) {
	c.findings = append(c.findings, strings.Join(path, ".")+": "+text)
}

func (c *valuesCheck) children(path []string, values map[string]any, known *keyTree) {
	for _, name := range sortedKeys(values) {
		at := below(path, name)
		child, isKnown := known.children[name]
		if !isKnown {
			c.find(at, "unknown key"+c.suggestion(name, known))
			continue
		}
		c.value(at, values[name], child)
	}
}

func (c *valuesCheck) value(path []string, value any, known *keyTree) {
	dotted := strings.Join(c.withoutAlias(path), ".")
	kinds := kindsAt(dotted, known.kinds)
	if got := kindOf(value); got != "" && len(kinds) > 0 && !slices.Contains(kinds, got) {
		c.find(path, fmt.Sprintf("is of type %s, but the chart has %s there", got, alternatives(kinds)))
		return
	}
	object, isObject := value.(map[string]any)
	if !isObject {
		return
	}
	if c.chart.name == "istiod" {
		switch dotted {
		case "meshConfig":
			checkMeshConfig(path, object, c.find)
			return
		case "global.meshNetworks":
			checkMeshNetworks(path, object, c.find)
			return
		}
	}
	form, isFree := freeFormAt(dotted)
	if !isFree {
		c.children(path, object, known)
		return
	}
	if len(form.keys) == 0 {
		return
	}
	names := append(sortedKeys(known.children), form.keys...)
	for _, name := range sortedKeys(object) {
		if !slices.Contains(names, name) {
			c.find(below(path, name), fmt.Sprintf("unknown key%s (%s)", didYouMean(name, names), form.reason))
		}
	}
}

// withoutAlias returns the path that the chart reads: istiod's `pilot.env` is
// the same as `env`.
func (c *valuesCheck) withoutAlias(path []string) []string {
	if len(path) > 1 && path[0] == c.chart.source.alias {
		return path[1:]
	}
	return path
}

// environment gathers the variables that istiod is given, by their paths.
func (c *valuesCheck) environment(values map[string]any) map[string]string {
	paths := map[string]string{}
	add := func(prefix string, env any) {
		variables, _ := env.(map[string]any)
		for name := range variables {
			paths[name] = prefix + name
		}
	}
	add("env.", values["env"])
	if pilot, isObject := values[c.chart.source.alias].(map[string]any); isObject {
		add(c.chart.source.alias+".env.", pilot["env"])
	}
	return paths
}

// suggestion looks for what was meant: a similar key at the same place, or
// else the same key at another place of the chart.
func (c *valuesCheck) suggestion(name string, known *keyTree) string {
	if near := didYouMean(name, sortedKeys(known.children)); near != "" {
		return near
	}
	elsewhere := c.chart.keys.find(name)
	if len(elsewhere) == 0 {
		return ""
	}
	// The shortest one is the one without aliases.
	shortest := slices.MinFunc(elsewhere, func(a, b string) int { return len(a) - len(b) })
	return fmt.Sprintf("; did you mean %s?", shortest)
}

func alternatives(kinds []kind) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = string(kind)
	}
	return strings.Join(words, " or ")
}

// below returns the path of a child. It copies, so that siblings never share
// the memory of their paths.
func below(path []string, name string) []string {
	return append(append([]string{}, path...), name)
}
