// Package config reads the gateway's configuration: one strict YAML file whose structs are its
// reference manual. Unknown keys, wrong types, values out of range and settings that contradict each
// other are reported all at once, each with its line, its column and what to do about it.
//
// Secrets never stand in the file; a Secret is a reference that is resolved when it is needed, and
// what comes out cannot be printed by accident.
//
// The package starts nothing, knows no policies and asks no plugins; it keeps where every setting
// stands, so that those who do can report problems in the same form.
//
// The JSON schema of the configuration, configs.ConfigSchema, is generated from the structs and their
// sentences; a test keeps it equal to them.
package config

//go:generate go test -run TestSchemaIsGenerated -update .
