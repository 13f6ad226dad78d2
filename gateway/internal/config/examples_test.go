package config_test

import (
	"io/fs"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/configs"
	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

func examples(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(configs.Examples, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policies, err := fs.Glob(configs.Examples, "policies/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 2 || len(policies) < 5 {
		t.Fatalf("only %v and %v are embedded", names, policies)
	}
	return append(names, policies...)
}

func example(t *testing.T, name string) (*config.Config, *strictyaml.Document) {
	t.Helper()
	content, err := configs.Examples.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := config.Parse(name, content)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var free map[string]any
	document, _ := strictyaml.Decode(name, content, &free)
	return c, document
}

func TestMinimalExampleHasTheDefaults(t *testing.T) {
	t.Parallel()
	c, _ := example(t, "minimal.yaml")
	want := &config.Config{}
	want.SetDefaults()
	for _, part := range []struct{ name, diff string }{
		{"pim", cmp.Diff(want.PIM, c.PIM)},
		{"answer", cmp.Diff(want.Answer, c.Answer)},
		{"limits", cmp.Diff(want.Limits, c.Limits)},
		{"logging", cmp.Diff(want.Logging, c.Logging)},
		{"admin", cmp.Diff(want.Admin, c.Admin)},
		{"leeway", cmp.Diff(want.Entra.Leeway, c.Entra.Leeway)},
		{"callers", cmp.Diff([]config.GUID{"1c67c054-65c8-4f7f-92a1-eb7ba6e48627"}, c.Entra.Callers)},
		{"in_flight", cmp.Diff(32, c.Connectors["hr"].Limits.InFlight)},
		{"consecutive", cmp.Diff(3, c.Connectors["hr"].Breaker.Consecutive)},
		{"journal", cmp.Diff(config.Path("/var/lib/countersign/journal.db"), c.Journal.Path)},
	} {
		if part.diff != "" {
			t.Errorf("%s (-want +got):\n%s", part.name, part.diff)
		}
	}
}

// TestReferenceNamesEveryKey walks the structs: a key that countersign.yaml does not show is not documented.
func TestReferenceNamesEveryKey(t *testing.T) {
	t.Parallel()
	_, document := example(t, "countersign.yaml")
	keys := 0
	var walk func(path string, of reflect.Type)
	walk = func(path string, of reflect.Type) {
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of == reflect.TypeFor[map[string]config.Connector]() {
			path, of = strictyaml.Join(path, "itsm"), of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			if name == "" {
				continue
			}
			keys++
			if !document.Has(strictyaml.Join(path, name)) {
				t.Errorf("countersign.yaml does not show %s", strictyaml.Join(path, name))
			}
			walk(strictyaml.Join(path, name), field.Type)
		}
	}
	walk("", reflect.TypeFor[config.Config]())
	if keys < 50 {
		t.Errorf("only %d keys were found", keys)
	}
}

// TestReferenceShowsTheDefaults compares what countersign.yaml writes with what its absence means.
func TestReferenceShowsTheDefaults(t *testing.T) {
	t.Parallel()
	c, _ := example(t, "countersign.yaml")
	want := &config.Config{}
	want.SetDefaults()
	var connector config.Connector
	connector.SetDefaults()
	c.Listen.TLS, c.Admin.TLS = nil, nil
	for _, part := range []struct{ name, diff string }{
		{"listen", cmp.Diff(want.Listen, c.Listen)},
		{"admin", cmp.Diff(want.Admin, c.Admin)},
		{"authority", cmp.Diff(want.Entra.Authority, c.Entra.Authority)},
		{"callers", cmp.Diff(want.Entra.Callers, c.Entra.Callers)},
		{"leeway", cmp.Diff(want.Entra.Leeway, c.Entra.Leeway)},
		{"pim", cmp.Diff(want.PIM, c.PIM)},
		{"answer", cmp.Diff(want.Answer, c.Answer)},
		{"limits", cmp.Diff(want.Limits, c.Limits)},
		{"state_dir", cmp.Diff(want.StateDir, c.StateDir)},
		{"window", cmp.Diff(want.Journal.Window, c.Journal.Window)},
		{"logging", cmp.Diff(want.Logging, c.Logging)},
		{"connector limits", cmp.Diff(connector.Limits, c.Connectors["itsm"].Limits)},
		{"breaker", cmp.Diff(connector.Breaker, c.Connectors["itsm"].Breaker)},
	} {
		if part.diff != "" {
			t.Errorf("%s (-default +shown):\n%s", part.name, part.diff)
		}
	}
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func typeOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case int64:
		return "integer"
	case float64:
		return "number"
	case bool:
		return "boolean"
	}
	return "null"
}

func matches(pattern, value any) bool {
	text, ok := value.(string)
	expression, _ := pattern.(string)
	return ok && regexp.MustCompile(expression).MatchString(text)
}

func bounded(keyword string, want, value any) string {
	limit, _ := want.(float64)
	size := math.NaN()
	switch value := value.(type) {
	case string:
		size = float64(utf8.RuneCountInString(value))
	case []any:
		size = float64(len(value))
	case int64:
		size = float64(value)
	case float64:
		size = value
	}
	if strings.HasPrefix(keyword, "min") && size >= limit || strings.HasPrefix(keyword, "max") && size <= limit {
		return ""
	}
	return keyword + " does not hold"
}
