package strictyaml_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type mode string

func (mode) Words() []string { return []string{"enforce", "shadow"} }

type colour struct{ name string }

func (c *colour) UnmarshalText(text []byte) error {
	if string(text) != "red" {
		return &strictyaml.Flaw{Message: "is no colour", Remedy: "write red"}
	}
	c.name = string(text)
	return nil
}

type inner struct {
	Inner string `yaml:"inner,required"`
}

type common struct {
	Name string `yaml:"name"`
	Flag bool   `yaml:"flag"`
}

type everything struct {
	common

	Timeout    time.Duration     `yaml:"timeout"`
	Loud       bool              `yaml:"loud"`
	QuotedFlag bool              `yaml:"quoted_flag"`
	Count      int               `yaml:"count"`
	Small      int8              `yaml:"small"`
	Unsigned   uint16            `yaml:"unsigned"`
	Octal      int               `yaml:"octal"`
	Wait       time.Duration     `yaml:"wait"`
	Pause      time.Duration     `yaml:"pause"`
	Share      float64           `yaml:"share"`
	Mode       mode              `yaml:"mode"`
	Colour     colour            `yaml:"colour"`
	List       []string          `yaml:"list"`
	Labels     map[string]string `yaml:"labels"`
	Nested     []inner           `yaml:"nested"`
	Free       any               `yaml:"free"`
	Merged     *inner            `yaml:"merged"`
	Empty      string            `yaml:"empty"`
	Needed     string            `yaml:"needed,required"`
	Ignored    string
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "mistakes.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var into everything
	_, problems := strictyaml.Decode("mistakes.yaml", data, &into)
	golden(t, "mistakes.golden", problems.Error()+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestDecodesEveryKind(t *testing.T) {
	t.Parallel()
	const document = `---
name: n
flag: true
timeout: 1h30m
count: 0x10
small: -128
unsigned: 65535
wait: 0
share: 0.65
mode: shadow
colour: red
list: [a, "1", 'it''s']
labels: {x: y, "2": z}
nested:
- inner: |
    two
    lines
free: {i: 1, f: 1.5, e: 1e3, b: true, n: null, s: "1", yes: no, list: [1, [a]]}
merged: {inner: m}
needed: >-
  folded
  text
`
	var got everything
	_, problems := strictyaml.Decode("all.yaml", []byte(document), &got)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	want := everything{
		common: common{Name: "n", Flag: true}, Timeout: 90 * time.Minute, Count: 16, Small: -128, Unsigned: 65535,
		Share: 0.65, Mode: "shadow", Colour: colour{"red"}, List: []string{"a", "1", "it's"},
		Labels: map[string]string{"x": "y", "2": "z"}, Nested: []inner{{"two\nlines\n"}},
		Free: map[string]any{
			"i": int64(1), "f": 1.5, "e": 1000.0, "b": true, "n": nil, "s": "1", "yes": "no",
			"list": []any{int64(1), []any{"a"}},
		},
		Merged: &inner{"m"}, Needed: "folded text",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(everything{}, colour{})); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, document, want string }{
		{"an empty file lacks what is required", "", `f:1:1: lacks the key "inner"`},
		{"only comments", "# nothing\n", `f:1:1: lacks the key "inner"`},
		{"a scalar at the top", "text\n", "f:1:1: must be a mapping, but text is here (its keys are inner)"},
		{"two documents", "inner: a\n---\ninner: b\n", "f:2:1: a second document begins here (one file holds one document; move it to a file of its own)"},
		{"a directive", "%YAML 1.1\n---\ninner: a\n", "f:1:1: directives are not allowed (remove the line)"},
		{"a tab as indentation", "inner:\n\ta\n", "f:2:1: a tab stands in the indentation (indent with spaces)"},
		{"a tab after a dash", "-\ta\n", "f:1:2: a tab stands in the indentation (indent with spaces)"},
		{"not UTF-8", "inner: a\ninner: \xff\n", "f:2:8: is not UTF-8 text (save the file as UTF-8)"},
		{"UTF-16", "\xff\xfea\x00", "f:1:1: is not UTF-8 text (save the file as UTF-8)"},
		{"writing direction changed", "inner: \"a\u202eb\"\n", "f:1:10: the invisible character U+202E is not allowed (remove it, or write it as an escape in double quotes)"},
		{"a control character", "inner: a\x00\n", "f:1:9: the invisible character U+0000 is not allowed (remove it, or write it as an escape in double quotes)"},
		{"broken syntax", "inner: [1,\n", "f:1:8: is not valid YAML here: sequence end token ']' not found"},
		{"nested flow", "inner: " + strings.Repeat("[", 5000), "f:1:72: is nested too deeply (nest at most 64 levels)"},
		{"nested blocks", strings.Repeat("- ", 5000), "f:1:1001: is nested too deeply (nest at most 64 levels)"},
		{"too many keys", "inner: a\n" + strings.Repeat("x: {y: 1}\n", 10_000), "f:10001:2: has too many keys (write at most 10000)"},
		{"a complex key", "? inner\n: a\n", "f:1:1: keys with \"?\" are not allowed (write \"key: value\")"},
		{"an anchored key", "&x inner: a\n", "f:1:1: anchors are not allowed (write the value out wherever it is needed)"},
		{"a number too long to be one", "inner: 123456789012345678901234567890", "f:1:8: inner: must be text, but a whole number is here (quote it)"},
		{"digits that look like a float", "inner: 12e45", "f:1:8: inner: must be text, but a number is here (quote it)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var into inner
			_, problems := strictyaml.Decode("f", []byte(tc.document), &into)
			if diff := cmp.Diff(tc.want, problems.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongLinesAreNotDeep(t *testing.T) {
	t.Parallel()
	var into struct {
		List []map[string]string `yaml:"list"`
	}
	text := "list: [" + strings.Repeat("{name: 'a value'}, ", 500) + "{name: last}]\n"
	if _, problems := strictyaml.Decode("f", []byte(text), &into); len(problems) > 0 || len(into.List) != 501 {
		t.Errorf("%d entries, problems %v", len(into.List), problems)
	}
}

func TestSizeIsBounded(t *testing.T) {
	t.Parallel()
	var into inner
	_, problems := strictyaml.Decode("f", []byte("inner: "+strings.Repeat("a", strictyaml.MaxBytes)), &into)
	if want := "f: is larger than 1048576 bytes (split it or shorten it)"; problems.Error() != want {
		t.Errorf("got %q, want %q", problems.Error(), want)
	}
}

func TestLongListsOfMappingsAreAccepted(t *testing.T) {
	t.Parallel()
	var into struct {
		Nested []inner `yaml:"nested"`
	}
	_, problems := strictyaml.Decode("f", []byte("nested:\n"+strings.Repeat("- inner: a\n", 11_000)), &into)
	if err := problems.Err(); err != nil || len(into.Nested) != 11_000 {
		t.Errorf("got %d items, %v", len(into.Nested), err)
	}
}

func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	var into inner
	_, problems := strictyaml.Decode("f", []byte("inner: a\n"+strings.Repeat("inner: b\n", 150)), &into)
	if len(problems) != 101 || problems[100].Message != "has 50 more problems" {
		t.Errorf("got %d problems, the last is %v", len(problems), problems[len(problems)-1])
	}
}

func TestWindowsLineEndsAndMarkAreAccepted(t *testing.T) {
	t.Parallel()
	var into inner
	_, problems := strictyaml.Decode("f", []byte("\uFEFFinner: |\r\n  a\r\n  b\r\n"), &into)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if into.Inner != "a\nb\n" {
		t.Errorf("got %q", into.Inner)
	}
}

type limits struct {
	InFlight int           `yaml:"in_flight"`
	Wait     time.Duration `yaml:"wait"`
}

func (l *limits) SetDefaults() { *l = limits{InFlight: 32, Wait: 50 * time.Millisecond} }

func TestDefaultsStandWhereNothingIsGiven(t *testing.T) {
	t.Parallel()
	var got struct {
		Absent limits            `yaml:"absent"`
		Given  limits            `yaml:"given"`
		Each   map[string]limits `yaml:"each"`
		Items  []*limits         `yaml:"items"`
	}
	got.Absent.SetDefaults()
	_, problems := strictyaml.Decode("f", []byte("given: {wait: 0s}\neach: {a: {in_flight: 1}}\nitems: [{in_flight: 2}]\n"), &got)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if got.Absent.InFlight != 32 || got.Given != (limits{InFlight: 32}) ||
		got.Each["a"] != (limits{1, 50 * time.Millisecond}) || *got.Items[0] != (limits{2, 50 * time.Millisecond}) {
		t.Errorf("got %+v", got)
	}
}

func TestMessagesNeverRepeatAValue(t *testing.T) {
	t.Parallel()
	const canary = "hunter2hunter2"
	var into everything
	document := "timeout: C\nflag: C\ncount: C\nshare: C\nmode: C\ncolour: C\nlist: C\nlabels: C\nnested: C\nmerged: C\nname: [C]\nfree: {a: C, a: C}\nwait: {C: C}\n"
	_, problems := strictyaml.Decode("f", []byte(strings.ReplaceAll(document, "C", canary)), &into)
	if len(problems) < 12 {
		t.Errorf("got only %d problems:\n%v", len(problems), problems)
	}
	if strings.Contains(problems.Error(), canary) {
		t.Errorf("a value shows in\n%v", problems)
	}
}

func TestProblemsAsAnError(t *testing.T) {
	t.Parallel()
	if err := (strictyaml.Problems{}).Err(); err != nil {
		t.Errorf("no problems are the error %v", err)
	}
	var problems strictyaml.Problems
	if err := (strictyaml.Problems{{File: "f", Message: "m"}}).Err(); !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"timeout", "in_flight", "id", "config"}
	for word, want := range map[string]string{
		"tiemout": "timeout", "Timeout": "timeout", "inflight": "in_flight", "in-flight": "in_flight", "confg": "config",
		"colour": "", "x": "", strings.Repeat("t", 200): "",
	} {
		if got, _ := strictyaml.Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
