package strictyaml_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

const placed = `# comment
policies:
  - name: first
    rules:
      - require: worker.state == "active"
        reason: 'it''s here'
      - {require: "a\tb \u00e9 x", "odd.key": 1}
  -
    name: second
    block: |   # comment
      one
        two

      three é four
    folded: >-
      alpha
      beta

      gamma
    plain: several words
      on two lines
    indented: |2
         deep
        flat
    joined: "one \
      two"
after: 1
`

func decodePlaced(t *testing.T) *strictyaml.Document {
	t.Helper()
	var into any
	holder := struct {
		Policies any `yaml:"policies"`
		After    any `yaml:"after"`
	}{Policies: into}
	d, problems := strictyaml.Decode("placed.yaml", []byte(placed), &holder)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPosition(t *testing.T) {
	t.Parallel()
	d := decodePlaced(t)
	for path, want := range map[string][2]int{
		"":                                {2, 1},
		"policies":                        {2, 1},
		"policies[0]":                     {3, 5},
		"policies[0].name":                {3, 11},
		"policies[0].rules":               {4, 5},
		"policies[0].rules[0]":            {5, 9},
		"policies[0].rules[0].require":    {5, 18},
		"policies[0].rules[0].absent.x":   {5, 9},
		"policies[0].rules[1]":            {7, 9},
		"policies[0].rules[1].require":    {7, 19},
		`policies[0].rules[1]["odd.key"]`: {7, 47},
		"policies[0].rules[9].require":    {4, 5},
		"policies[1]":                     {9, 5},
		"policies[1].name":                {9, 11},
		"policies[1].block":               {10, 12},
		"after":                           {27, 8},
		"absent":                          {2, 1},
	} {
		if line, column := d.Position(path); [2]int{line, column} != want {
			t.Errorf("Position(%q) = %d:%d, want %d:%d", path, line, column, want[0], want[1])
		}
	}
}

// TestTextPosition looks for a word in a scalar's text and expects its place in the file.
func TestTextPosition(t *testing.T) {
	t.Parallel()
	d := decodePlaced(t)
	lines := strings.Split(placed, "\n")
	for _, tc := range []struct {
		path         string
		line, column int
		word         string
	}{
		{"policies[0].rules[0].require", 1, 1, "worker"},
		{"policies[0].rules[0].require", 1, 17, `"active"`},
		{"policies[0].rules[0].reason", 1, 1, "it"},
		{"policies[0].rules[0].reason", 1, 6, "here"},
		{"policies[0].rules[1].require", 1, 1, `a\t`},
		{"policies[0].rules[1].require", 1, 3, `b \u`},
		{"policies[0].rules[1].require", 1, 5, `\u00e9`},
		{"policies[0].rules[1].require", 1, 7, `x"`},
		{"policies[1].block", 1, 1, "one"},
		{"policies[1].block", 2, 3, "two"},
		{"policies[1].block", 4, 1, "three"},
		{"policies[1].block", 4, 9, "four"},
		{"policies[1].folded", 1, 1, "alpha"},
		{"policies[1].folded", 1, 7, "beta"},
		{"policies[1].folded", 2, 1, "gamma"},
		{"policies[1].plain", 1, 9, "words"},
		{"policies[1].plain", 1, 15, "on two"},
		{"policies[1].indented", 1, 4, "deep"},
		{"policies[1].indented", 2, 3, "flat"},
		{"policies[1].joined", 1, 5, `two"`},
	} {
		line, column := d.TextPosition(tc.path, tc.line, tc.column)
		if line < 1 || line > len(lines) || column < 1 || column > len([]rune(lines[line-1])) {
			t.Errorf("%s %d:%d is at %d:%d, which is not in the file", tc.path, tc.line, tc.column, line, column)
			continue
		}
		if got := string([]rune(lines[line-1])[column-1:]); !strings.HasPrefix(got, tc.word) {
			t.Errorf("%s %d:%d is at %d:%d, before %q, want %q", tc.path, tc.line, tc.column, line, column, got, tc.word)
		}
	}
}

func TestTextPositionOutsideTheText(t *testing.T) {
	t.Parallel()
	d := decodePlaced(t)
	for _, tc := range []struct {
		path         string
		line, column int
		want         [2]int
	}{
		{"policies[0].name", 1, 99, [2]int{3, 16}},
		{"policies[0].name", 99, 1, [2]int{3, 16}},
		{"policies[0].name", 0, -5, [2]int{3, 11}},
		{"policies[0].rules", 1, 1, [2]int{4, 5}},
		{"policies[0].absent", 1, 1, [2]int{3, 5}},
	} {
		if line, column := d.TextPosition(tc.path, tc.line, tc.column); [2]int{line, column} != tc.want {
			t.Errorf("%+v: got %d:%d", tc, line, column)
		}
	}
}

func TestProblemIsPlaced(t *testing.T) {
	t.Parallel()
	d := decodePlaced(t)
	want := strictyaml.Problem{File: "placed.yaml", Line: 3, Column: 11, Path: "policies[0].name", Message: "m", Remedy: "r"}
	if diff := cmp.Diff(want, d.Problem("policies[0].name", "m", "r")); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
	if !d.Has("after") || d.Has("before") || d.Has("policies[2]") {
		t.Error("Has does not tell what is there from what is not")
	}
}

func TestPathsOfOddNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ got, want string }{
		{strictyaml.Join("", "a"), "a"},
		{strictyaml.Join("a", "b-c"), "a.b-c"},
		{strictyaml.Join("a", "b.c"), `a["b.c"]`},
		{strictyaml.Join("a", ""), `a[""]`},
		{strictyaml.Index("a", 3), "a[3]"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
}
