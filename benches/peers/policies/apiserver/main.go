// The evaluator of the API server, on the files of `cargo bench --bench policies`: each policy is
// compiled once, as the API server does, and evaluated for the creation of each manifest. Reading
// the files is not in the times, as it is not in those of hcb.
//
//	go run ./apiserver FOLDER
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// The resources of the kinds that the benchmark makes.
var resources = map[string]string{
	"Job": "jobs", "Deployment": "deployments", "Service": "services", "ConfigMap": "configmaps",
}

type policy struct {
	rules     []admissionregistration.NamedRuleWithOperations
	validator validating.Validator
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: apiserver FOLDER")
	}
	definitions := readPolicies(filepath.Join(os.Args[1], "policies.yaml"))
	manifests := readManifests(filepath.Join(os.Args[1], "manifests.yaml"))

	begun := time.Now()
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	policies := make([]policy, 0, len(definitions))
	for _, definition := range definitions {
		policies = append(policies, compile(base, definition))
	}
	fmt.Printf("%d policies compiled in %v\n", len(policies), time.Since(begun).Round(100*time.Microsecond))

	begun = time.Now()
	found := 0
	for _, manifest := range manifests {
		found += evaluate(policies, manifest)
	}
	report("one thread", manifests, policies, found, begun)

	begun = time.Now()
	threads := runtime.GOMAXPROCS(0)
	var next, sum atomic.Int64
	var waiting sync.WaitGroup
	for range threads {
		waiting.Go(func() {
			for index := next.Add(1) - 1; index < int64(len(manifests)); index = next.Add(1) - 1 {
				sum.Add(int64(evaluate(policies, manifests[index])))
			}
		})
	}
	waiting.Wait()
	report(fmt.Sprintf("%d threads", threads), manifests, policies, int(sum.Load()), begun)
}

func report(how string, manifests []*unstructured.Unstructured, policies []policy, found int, begun time.Time) {
	elapsed := time.Since(begun)
	pairs := int64(len(manifests) * len(policies))
	fmt.Printf("%s: %d manifests x %d policies in %.2fs: %d ns a pair, %d violations\n",
		how, len(manifests), len(policies), elapsed.Seconds(), elapsed.Nanoseconds()/pairs, found)
}

func compile(base *environment.EnvSet, definition admissionregistration.ValidatingAdmissionPolicy) policy {
	compiler, err := cel.NewCompositedCompiler(base)
	if err != nil {
		log.Fatal(err)
	}
	spec := definition.Spec
	if len(spec.MatchConditions) > 0 || len(spec.AuditAnnotations) > 0 || spec.ParamKind != nil {
		log.Fatalf("policy %s has what the benchmark's have not", definition.Name)
	}
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	var variables []cel.NamedExpressionAccessor
	for _, variable := range spec.Variables {
		variables = append(variables, &validating.Variable{Name: variable.Name, Expression: variable.Expression})
	}
	compiler.CompileAndStoreVariables(variables, options, environment.StoredExpressions)
	var validations, messages []cel.ExpressionAccessor
	for _, validation := range spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: validation.Expression})
		messages = append(messages, &validating.MessageExpressionCondition{MessageExpression: validation.MessageExpression})
	}
	return policy{
		rules: spec.MatchConstraints.ResourceRules,
		validator: validating.NewValidator(
			compiler.CompileCondition(validations, options, environment.StoredExpressions),
			nil,
			compiler.CompileCondition(nil, options, environment.StoredExpressions),
			compiler.CompileCondition(messages, cel.OptionalVariableDeclarations{}, environment.StoredExpressions),
			spec.FailurePolicy,
			nil,
		),
	}
}

// evaluate returns how often the policies refuse the manifest.
func evaluate(policies []policy, manifest *unstructured.Unstructured) int {
	kind := manifest.GroupVersionKind()
	resource := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: resources[kind.Kind]}
	attributes := admission.NewAttributesRecord(manifest, nil, kind, manifest.GetNamespace(), manifest.GetName(),
		resource, "", admission.Create, &meta.CreateOptions{}, false, &user.DefaultInfo{})
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: kind, VersionedObject: manifest}
	namespace := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: manifest.GetNamespace()}}
	found := 0
	for _, policy := range policies {
		if !matches(policy.rules, attributes) {
			continue
		}
		result := policy.validator.Validate(context.Background(), resource, versioned, nil, namespace,
			celconfig.RuntimeCELCostBudget, nil)
		for _, decision := range result.Decisions {
			if decision.Evaluation == validating.EvalError {
				log.Fatal(decision.Message)
			}
			if decision.Action == validating.ActionDeny {
				found++
			}
		}
	}
	return found
}

func matches(named []admissionregistration.NamedRuleWithOperations, attributes admission.Attributes) bool {
	for _, rule := range named {
		matcher := rules.Matcher{Rule: rule.RuleWithOperations, Attr: attributes}
		if matcher.Matches() {
			return true
		}
	}
	return false
}

func readPolicies(path string) []admissionregistration.ValidatingAdmissionPolicy {
	var found []admissionregistration.ValidatingAdmissionPolicy
	read(path, func(document []byte) error {
		var definition admissionregistration.ValidatingAdmissionPolicy
		if err := yaml.Unmarshal(document, &definition); err != nil {
			return err
		}
		if definition.Kind == "ValidatingAdmissionPolicy" {
			found = append(found, definition)
		}
		return nil
	})
	return found
}

func readManifests(path string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	read(path, func(document []byte) error {
		text, err := yaml.YAMLToJSON(document)
		if err != nil {
			return err
		}
		manifest := &unstructured.Unstructured{}
		found = append(found, manifest)
		return manifest.UnmarshalJSON(text)
	})
	return found
}

func read(path string, each func([]byte) error) {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	reader := documents.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = each(document)
		}
		if err != nil {
			log.Fatalf("%s: %v", path, err)
		}
	}
}
