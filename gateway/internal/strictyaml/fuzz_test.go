package strictyaml_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// FuzzDecode wants every place that is reported to be in the file and every key to stand where it is
// said to stand.
func FuzzDecode(f *testing.F) {
	mistakes, err := os.ReadFile(filepath.Join("testdata", "mistakes.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(mistakes), placed, "", "{", "a: |\n", "- - - a\n", "a: &x [*x]\n", "'a': \"b\\u00e9\"\r\n", "? a\n: b\n", "a: >2\n   b\n",
		"free: {a: 'b\n  c', d: !!str e}\n", "\uFEFFfree: ~\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var into everything
		d, problems := strictyaml.Decode("f", data, &into)
		lines := strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
		for _, p := range problems {
			if p.Line < 0 || p.Line > len(lines) || p.Line > 0 && p.Column < 1 {
				t.Errorf("problem outside the file of %d lines: %v", len(lines), p)
			}
			if p.Message == "" || p.File != "f" {
				t.Errorf("empty problem %#v", p)
			}
		}
		line, _ := d.TextPosition("free.a", 2, 3)
		if line < 0 || line > len(lines) {
			t.Errorf("text position on line %d of %d", line, len(lines))
		}
	})
}
