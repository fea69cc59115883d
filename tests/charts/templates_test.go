package main

import (
	"slices"
	"strings"
	"testing"
)

func TestReadsOfATemplate(t *testing.T) {
	for _, test := range []struct{ name, template, want string }{
		{"a field", `{{ .Values.a.b }}`, "a.b"},
		{"a field of the root inside of range", `{{ range .Values.a }}{{ $.Values.b }}{{ .c }}{{ end }}`, "a b"},
		{"what with makes of the dot", `{{ with .Values.a }}{{ .b }}{{ else }}{{ .Values.c }}{{ end }}`, "a a.b c"},
		{"a field of an expression", `{{ ((.Values.a).b).c }}`, "a a.b a.b.c"},
		{"keys as strings", `{{ index .Values "a" "b" }}{{ if hasKey .Values.c "d" }}{{ end }}`, "a.b c c.d"},
		{"dig, whose default is no key", `{{ dig "a" "b" "default" .Values }}{{ dig "c" true .Values }}`, "a.b c"},
		{"a pipe", `{{ .Values.a | default .Values.b | quote }}`, "a b"},
		{"a definition", `{{ define "x" }}{{ .Values.a }}{{ end }}`, "a"},
		{"what is no value", `{{ .Release.Name }}{{ $x := 1 }}{{ $x }}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var reads reads
			if err := reads.parse("test", test.template); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, path := range reads.paths {
				got = append(got, strings.Join(path, "."))
			}
			slices.Sort(got)
			if got := strings.Join(slices.Compact(got), " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
