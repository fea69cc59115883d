//go:build types

package main

// The packages of Go types that sources.json names, imported so that go.mod pins their modules.
import _ "github.com/Azure/azure-service-operator/v2/api/containerservice/v1api20240901"
