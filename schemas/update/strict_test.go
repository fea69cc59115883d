package main

import (
	"reflect"
	"strings"
	"testing"
)

func parsed(t *testing.T, text string) schema {
	t.Helper()
	var value schema
	if err := decode([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestStrict(t *testing.T) {
	for name, test := range map[string]struct{ open, closed string }{
		"an object refuses fields it does not name": {
			`{"type":"object","description":"d","properties":{"a":{"type":"string","default":"x"}}}`,
			`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}}}`,
		},
		"an object without fields refuses all": {
			`{"type":"object"}`,
			`{"type":"object","additionalProperties":false}`,
		},
		"a map limits its values only": {
			`{"type":"object","additionalProperties":{"type":"string"}}`,
			`{"type":"object","additionalProperties":{"type":"string"}}`,
		},
		"unknown fields may be kept": {
			`{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"a":{"type":"object"}}}`,
			`{"type":"object","properties":{"a":{"type":"object","additionalProperties":false}}}`,
		},
		"a branch limits values and stays open": {
			`{"type":"object","properties":{"a":{"type":"string"}},"oneOf":[{"required":["a"],"properties":{"a":{"minLength":1}}}]}`,
			`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}},"oneOf":[{"required":["a"],"properties":{"a":{"minLength":1}}}]}`,
		},
		"int-or-string says so in its type": {
			`{"anyOf":[{"type":"integer"},{"type":"string"}],"x-kubernetes-int-or-string":true}`,
			`{"type":["integer","string"]}`,
		},
		"null may be allowed": {
			`{"type":"string","nullable":true,"enum":["a"]}`,
			`{"type":["string","null"],"enum":["a",null]}`,
		},
		"int32 has bounds, the schema's own win": {
			`{"type":"integer","format":"int32","minimum":0}`,
			`{"type":"integer","minimum":0,"maximum":2147483647}`,
		},
		"an exclusive bound is the bound itself": {
			`{"type":"number","minimum":0,"exclusiveMinimum":true}`,
			`{"type":"number","exclusiveMinimum":0}`,
		},
		"an embedded object has what every object has": {
			`{"type":"object","x-kubernetes-embedded-resource":true,"x-kubernetes-preserve-unknown-fields":true}`,
			`{"type":"object","required":["apiVersion","kind"],"properties":{"apiVersion":{"type":"string"},"kind":{"type":"string"},"metadata":{"$ref":"#/$defs/` + objectMeta + `"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			closed := strict(parsed(t, test.open))
			if !reflect.DeepEqual(parsed(t, text(closed)), parsed(t, test.closed)) {
				t.Errorf("got %s, want %s", text(closed), test.closed)
			}
		})
	}
}

func TestShare(t *testing.T) {
	large := `{"type":"object","properties":{"` + strings.Repeat("a", worthSharing) + `":{"type":"string"}}}`
	shared := share(parsed(t, `{"type":"object","properties":{"one":`+large+`,"other":`+large+`}}`))
	want := `{"type":"object","properties":{"one":{"$ref":"#/$defs/one"},"other":{"$ref":"#/$defs/one"}},"$defs":{"one":` + large + `}}`
	if !reflect.DeepEqual(parsed(t, text(shared)), parsed(t, want)) {
		t.Errorf("got %s, want %s", text(shared), want)
	}
}
