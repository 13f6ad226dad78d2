// Package demo holds the configuration of the demonstration: a template of the gateway's configuration,
// a template of a roster, and policies that run as they are. It holds nothing else and does nothing.
package demo

import (
	"embed"
	"io/fs"
)

//go:embed countersign.yaml.tmpl roster.yaml.tmpl policies/*.yaml
var files embed.FS

// Files are countersign.yaml.tmpl, roster.yaml.tmpl and the policies under policies/.
func Files() fs.FS { return files }
