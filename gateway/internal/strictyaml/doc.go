// Package strictyaml decodes YAML the strict way: every key must be known, every value must have the
// wanted type as written, and everything that is wrong is reported at once with its line, its column
// and what to do about it. It keeps where everything stands in the file, so that later stages can
// report their own problems at the right place.
//
// The accepted language is a subset of YAML 1.2 (https://yaml.org/spec/1.2.2/): one document, UTF-8,
// no anchors, aliases, merge keys, tags or directives, and no text that an unquoted scalar would turn
// into something else. Messages never repeat a value, since a value may be a secret.
//
// The package reads no files and knows nothing of the gateway.
package strictyaml
