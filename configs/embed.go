// Package configs holds the examples of the configuration and of policies, and their JSON schemas.
package configs

import "embed"

// Examples are the files of this directory: countersign.yaml, which lists every key, minimal.yaml and
// policies/*.yaml.
//
//go:embed countersign.yaml minimal.yaml policies/*.yaml
var Examples embed.FS

// ConfigSchema is the JSON schema of the configuration, generated from its structs.
//
//go:embed countersign.schema.json
var ConfigSchema []byte

// PolicySchema is the JSON schema of policy documents.
//
//go:embed policy.schema.json
var PolicySchema []byte
