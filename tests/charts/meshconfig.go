package main

import (
	"encoding/json"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
)

// position is how protojson's errors begin. It counts in the one field that
// was handed over, so it helps nobody.
var position = regexp.MustCompile(`^proto:[\s\x{a0}]*(\(line [0-9:]+\): )?`)

// checkMeshConfig checks values that istiod reads as a protobuf message. It
// ignores fields it does not know, so a misspelt one would be lost in silence.
func checkMeshConfig(path []string, values map[string]any, find func([]string, string)) {
	message := (&meshv1alpha1.MeshConfig{}).ProtoReflect().Descriptor()
	checkFields(path, values, message, find)
}

// checkMeshNetworks does the same for the networks by name, which the chart
// puts below the field `networks` of the message.
func checkMeshNetworks(path []string, values map[string]any, find func([]string, string)) {
	message := (&meshv1alpha1.MeshNetworks{}).ProtoReflect().Descriptor()
	checkField(path, values, message.Fields().ByName("networks"), find)
}

// checkFields goes as deep as it can, so that a finding names the very field:
// protojson's own errors tell only a line and a column.
func checkFields(
	path []string, values map[string]any, message protoreflect.MessageDescriptor, find func([]string, string),
) {
	for _, name := range sortedKeys(values) {
		at := below(path, name)
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			find(at, fmt.Sprintf("%s has no such field%s", message.FullName(), didYouMean(name, jsonNames(message))))
			continue
		}
		checkField(at, values[name], field, find)
	}
}

func checkField(path []string, value any, field protoreflect.FieldDescriptor, find func([]string, string)) {
	element := field.Message()
	if field.IsMap() {
		element = field.MapValue().Message()
	}
	if element != nil && !isWellKnown(element) {
		switch value := value.(type) {
		case map[string]any:
			if !field.IsMap() && !field.IsList() {
				checkFields(path, value, element, find)
				return
			}
			if field.IsMap() {
				for _, key := range sortedKeys(value) {
					checkElement(below(path, key), value[key], element, find)
				}
				return
			}
		case []any:
			if field.IsList() {
				for i, item := range value {
					checkElement(below(path, fmt.Sprint(i)), item, element, find)
				}
				return
			}
		}
	}
	text, err := json.Marshal(map[string]any{field.JSONName(): value})
	if err == nil {
		err = protojson.Unmarshal(text, dynamicpb.NewMessage(field.ContainingMessage()))
	}
	if err != nil {
		find(path, position.ReplaceAllString(err.Error(), ""))
	}
}

func checkElement(path []string, value any, message protoreflect.MessageDescriptor, find func([]string, string)) {
	object, isObject := value.(map[string]any)
	if !isObject {
		find(path, fmt.Sprintf("must be an object, a %s", message.FullName()))
		return
	}
	checkFields(path, object, message, find)
}

// isWellKnown is true for messages that have a JSON form of their own, such
// as durations, wrapped booleans and free structs.
func isWellKnown(message protoreflect.MessageDescriptor) bool {
	return message.FullName().Parent() == "google.protobuf"
}

func jsonNames(message protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range message.Fields().Len() {
		names = append(names, message.Fields().Get(i).JSONName())
	}
	return names
}
