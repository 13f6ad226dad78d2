package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"

	"github.com/countersign/countersign/configs"
	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files and the schema")

func TestSchemaIsGenerated(t *testing.T) {
	t.Parallel()
	got := generate(t)
	path := filepath.Join("..", "..", "..", "configs", "countersign.schema.json")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(configs.ConfigSchema), string(got)); diff != "" {
		t.Errorf("configs/countersign.schema.json is not what the structs say; run go generate (-have +want):\n%s", diff)
	}
}

func generate(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, DoNotReference: true, FieldNameTag: "yaml",
		RequiredFromJSONSchemaTags: true, Mapper: scalarSchema,
	}
	if err := r.AddGoComments("github.com/countersign/countersign/gateway/internal/config", "./"); err != nil {
		t.Fatal(err)
	}
	schema := r.Reflect(&config.Config{})
	schema.Title = "Countersign configuration"
	refine(schema, defaulted(reflect.TypeFor[config.Config]()))
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// scalarSchema describes the types that read themselves.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	switch t {
	case reflect.TypeFor[time.Duration]():
		return text(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)
	case reflect.TypeFor[config.Size]():
		return text(`^[0-9]+(B|KiB|MiB|GiB)$`)
	case reflect.TypeFor[config.GUID]():
		return text(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	case reflect.TypeFor[config.Digest]():
		return text(`^[0-9a-fA-F]{64}$`)
	case reflect.TypeFor[config.Path]():
		return text(`^/`)
	case reflect.TypeFor[config.Address]():
		return text(`:[0-9]+$`)
	case reflect.TypeFor[config.URL]():
		return text(`^https?://[^/?#]+/?$`)
	case reflect.TypeFor[config.URI]():
		return text(`^[a-z][a-z0-9+.-]*://`)
	case reflect.TypeFor[config.Secret]():
		return text(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.*)$`)
	case reflect.TypeFor[config.Variable]():
		return &jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[config.Capability]():
		return text(`^(` + strings.Join(config.CapabilityWords(), "|") + `|[a-z][a-z0-9_]*(\.[a-zA-Z][a-zA-Z0-9_]*)+/[A-Z][a-zA-Z0-9_]*)$`)
	case reflect.TypeFor[config.Settings]():
		return &jsonschema.Schema{Type: "object"}
	}
	if w, ok := reflect.TypeAssert[strictyaml.Worder](reflect.Zero(t)); ok {
		s := &jsonschema.Schema{Type: "string"}
		for _, word := range w.Words() {
			s.Enum = append(s.Enum, word)
		}
		return s
	}
	return nil
}

func defaulted(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if d, ok := reflect.TypeAssert[strictyaml.Defaulter](v); ok {
		d.SetDefaults()
	}
	return v.Elem()
}

// refine adds what the library does not know: required keys, ranges, defaults and the names of connectors.
func refine(s *jsonschema.Schema, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		refine(s, defaulted(v.Type().Elem()))
	case reflect.Map:
		if v.Type().Elem() == reflect.TypeFor[config.Connector]() {
			s.PropertyNames = &jsonschema.Schema{Pattern: "^[a-z][a-z0-9_-]{0,62}$"}
			refine(s.AdditionalProperties, defaulted(v.Type().Elem()))
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			refineField(s, field, value)
		}
	default:
	}
}

func refineField(s *jsonschema.Schema, field reflect.StructField, value reflect.Value) {
	name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	if name == "" || s.Properties == nil {
		return
	}
	property, ok := s.Properties.Get(name)
	if !ok {
		return
	}
	property.Description = strings.ReplaceAll(property.Description, "\n", " ")
	if option == "required" {
		s.Required = append(s.Required, name)
	}
	if lowest, highest, ok := strings.Cut(field.Tag.Get("range"), ".."); ok && property.Type != "string" {
		property.Minimum, property.Maximum = json.Number(lowest), json.Number(highest)
	}
	if option != "required" {
		property.Default = written(value)
	}
	refine(property, value)
}

// written is a default as somebody would write it; nil if there is none to show.
func written(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		text := value.String()
		for _, zero := range []string{"m0s", "h0m"} {
			if short, cut := strings.CutSuffix(text, zero); cut {
				text = short + zero[:1]
			}
		}
		return text
	case config.Size:
		return value.String()
	case bool, int, float64:
		return value
	}
	if v.Kind() == reflect.String && v.String() != "" {
		return v.String()
	}
	if guids, ok := reflect.TypeAssert[[]config.GUID](v); ok {
		return guids
	}
	return nil
}

func TestEveryKeyHasASentence(t *testing.T) {
	t.Parallel()
	var schema map[string]any
	if err := json.Unmarshal(configs.ConfigSchema, &schema); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, s map[string]any)
	walk = func(path string, s map[string]any) {
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			property := object(p)
			if description, _ := property["description"].(string); !strings.HasSuffix(description, ".") {
				t.Errorf("%s.%s has no sentence: %q", path, name, description)
			}
			walk(path+"."+name, property)
			if inner, ok := property["additionalProperties"].(map[string]any); ok {
				walk(path+"."+name+".*", inner)
			}
		}
	}
	walk("", schema)
}

// validator knows the few keywords that our schemas use and reports any other, so that none of them
// is without effect.
type validator struct {
	root     map[string]any
	problems []string
}

func validate(t *testing.T, schema []byte, document string) []string {
	t.Helper()
	value := map[string]any{}
	if _, problems := strictyaml.Decode("f", []byte(document), &value); len(problems) > 0 {
		t.Fatal(problems)
	}
	var v validator
	if err := json.Unmarshal(schema, &v.root); err != nil {
		t.Fatal(err)
	}
	v.check("", v.root, value)
	slices.Sort(v.problems)
	return v.problems
}

func TestExamplesFollowTheSchemas(t *testing.T) {
	t.Parallel()
	for _, name := range examples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := configs.Examples.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			schema := configs.ConfigSchema
			if strings.HasPrefix(name, "policies/") {
				schema = configs.PolicySchema
			}
			if problems := validate(t, schema, string(content)); len(problems) > 0 {
				t.Error(problems)
			}
		})
	}
}

func TestSchemasRefuseMistakes(t *testing.T) {
	t.Parallel()
	document := strings.NewReplacer("timeout: 10s", "timeout: 10", "sha256:", "sha265:", "itsm:", "ITSM:", "[ticket]", "[tickets]").Replace(sound)
	got := validate(t, configs.ConfigSchema, document+"limits: {queue: -1}\nlogging: {level: loud}\n")
	if len(got) != 8 {
		t.Errorf("the configuration has %d problems:\n%s", len(got), strings.Join(got, "\n"))
	}
	got = validate(t, configs.PolicySchema, "policies: [{name: a, mode: off, applies_to: {roles: []}, ask: {x: {connector: A}}, rules: [{name: b, whenunknown: deny}]}]")
	if len(got) != 6 {
		t.Errorf("the policies have %d problems:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func (v *validator) check(path string, schema map[string]any, value any) {
	for keyword, want := range schema {
		if problem := v.keyword(path, schema, keyword, want, value); problem != "" {
			v.problems = append(v.problems, path+": "+problem)
		}
	}
}

func (v *validator) keyword(path string, schema map[string]any, keyword string, want, value any) string {
	switch keyword {
	case "$schema", "$defs", "title", "description", "default":
	case "$ref":
		name := strings.TrimPrefix(fmt.Sprint(want), "#/$defs/")
		v.check(path, object(object(v.root["$defs"])[name]), value)
	case "type":
		if got := typeOf(value); !strings.Contains(fmt.Sprint(want), got) && (got != "integer" || !strings.Contains(fmt.Sprint(want), "number")) {
			return fmt.Sprintf("is %s, not %v", got, want)
		}
	case "enum":
		if !strings.Contains(fmt.Sprint(want), fmt.Sprint(value)) {
			return fmt.Sprintf("%v is not in %v", value, want)
		}
	case "pattern":
		if !matches(want, value) {
			return fmt.Sprintf("%v does not match %v", value, want)
		}
	case "minLength", "maxLength", "minItems", "minimum", "maximum":
		return bounded(keyword, want, value)
	case "items":
		list, _ := value.([]any)
		for i, item := range list {
			v.check(strictyaml.Index(path, i), object(want), item)
		}
	case "required":
		names, _ := want.([]any)
		for _, name := range names {
			if _, ok := object(value)[fmt.Sprint(name)]; !ok {
				return fmt.Sprintf("lacks %v", name)
			}
		}
	case "properties", "additionalProperties", "propertyNames":
		v.members(path, schema, keyword, object(value))
	default:
		return "the test does not know the keyword " + keyword
	}
	return ""
}

func (v *validator) members(path string, schema map[string]any, keyword string, value map[string]any) {
	properties := object(schema["properties"])
	for name, member := range value {
		property, known := properties[name]
		switch {
		case keyword == "properties" && known:
			v.check(strictyaml.Join(path, name), object(property), member)
		case keyword == "propertyNames":
			v.check(strictyaml.Join(path, name), object(schema[keyword]), name)
		case keyword == "additionalProperties" && !known:
			if schema[keyword] == false {
				v.problems = append(v.problems, path+": unknown key "+name)
				continue
			}
			v.check(strictyaml.Join(path, name), object(schema[keyword]), member)
		}
	}
}
