package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// worthSharing is the size in bytes from which a part that a schema repeats is stored once.
const worthSharing = 200

// share stores each large part that a schema repeats once, under $defs, and refers to it. Custom
// resources cannot use $ref, so they repeat the same affinity or template dozens of times; sharing
// makes such a schema many times smaller and quicker to load.
func share(whole schema) schema {
	sharing := sharing{seen: map[string]int{}, names: map[string]string{}, definitions: schema{}}
	sharing.count(whole)
	shared := object(sharing.replace("", whole, true))
	if len(sharing.definitions) > 0 {
		shared["$defs"] = sharing.definitions
	}
	return shared
}

type sharing struct {
	// seen counts how often each part occurs, by its JSON text.
	seen map[string]int
	// names are the definitions made so far, by the JSON text of the part.
	names       map[string]string
	definitions schema
}

func (s sharing) count(value any) {
	fields := object(value)
	if fields == nil {
		for _, item := range list(value) {
			s.count(item)
		}
		return
	}
	if isShareable(fields) {
		key := text(fields)
		s.seen[key]++
		if s.seen[key] > 1 {
			return // Its parts occur inside one definition only.
		}
	}
	for _, inner := range fields {
		s.count(inner)
	}
}

// replace returns a value with every repeated part replaced by a reference. The name of the field
// that holds the part becomes the name of the definition.
func (s sharing) replace(name string, value any, isRoot bool) any {
	if items := list(value); items != nil {
		replaced := make([]any, len(items))
		for index, item := range items {
			replaced[index] = s.replace(name, item, false)
		}
		return replaced
	}
	fields := object(value)
	if fields == nil {
		return value
	}
	if !isRoot && isShareable(fields) {
		if key := text(fields); s.seen[key] > 1 {
			return schema{"$ref": "#/$defs/" + s.define(name, key, fields)}
		}
	}
	return s.replaceFields(name, fields)
}

func (s sharing) define(name, key string, part schema) string {
	if known, found := s.names[key]; found {
		return known
	}
	unique := name
	for number := 2; s.definitions[unique] != nil; number++ {
		unique = fmt.Sprint(name, number)
	}
	s.names[key] = unique
	s.definitions[unique] = true // Takes the name before the parts inside ask for it.
	s.definitions[unique] = s.replaceFields(name, part)
	return unique
}

func (s sharing) replaceFields(name string, fields schema) schema {
	replaced := schema{}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		replaced[key] = s.replaceField(name, key, fields[key])
	}
	return replaced
}

func (s sharing) replaceField(name, key string, value any) any {
	if key != "properties" {
		return s.replace(name, value, false)
	}
	named := schema{}
	for _, field := range slices.Sorted(maps.Keys(object(value))) {
		named[field] = s.replace(field, object(value)[field], false)
	}
	return named
}

// isShareable tells schemas from the maps of fields inside them, and leaves small ones alone.
func isShareable(fields schema) bool {
	_, hasType := fields["type"]
	_, hasFields := fields["properties"].(schema)
	return hasType && hasFields && len(text(fields)) >= worthSharing
}

func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // Only values that came from JSON get here.
	}
	return string(encoded)
}
