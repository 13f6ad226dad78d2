package entra_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/entra"
)

// dead is the authority of settings whose server has gone.
func dead(t *testing.T, cache string) entra.Settings {
	t.Helper()
	s := newTenant(t, tenantID).settings()
	s.Authority = "http://127.0.0.1:1"
	s.CacheFile = cache
	return s
}

// saved starts and stops a gateway and returns the file that it left, made to look as if it came from the
// dead authority.
func saved(t *testing.T) string {
	t.Helper()
	e := newTenant(t, tenantID)
	s := e.settings()
	s.CacheFile = filepath.Join(t.TempDir(), "keys.json")
	v := start(t, s)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, s.CacheFile, e.address, "http://127.0.0.1:1")
	return s.CacheFile
}

func rewrite(t *testing.T, path, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("no %q in %s", old, text)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, replacement)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRestartWithoutEntra(t *testing.T) {
	t.Parallel()
	path := saved(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	v := start(t, dead(t, path))
	for _, name := range []string{"v1", "v2"} {
		if r := verify(t, v, bearer(mint(header(), claims(t, name)))); r != nil {
			t.Errorf("%s: %v", name, r)
		}
	}
	if verify(t, v, bearer(signWith(rsaKeys()[2], header().json(), claims(t, "v2").json()))) == nil {
		t.Error("a bad signature was accepted")
	}
}

func TestUnfitCacheFilesAreNotUsed(t *testing.T) {
	t.Parallel()
	weak := jwk("key-0", rsaKeys()[0])["n"].(string)
	tests := map[string]func(t *testing.T, path string, s *entra.Settings){
		"absent": func(t *testing.T, path string, _ *entra.Settings) { must(t, os.Remove(path)) },
		"a folder": func(t *testing.T, path string, _ *entra.Settings) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		},
		"group may write": func(t *testing.T, path string, _ *entra.Settings) { must(t, os.Chmod(path, 0o620)) },
		"all may write":   func(t *testing.T, path string, _ *entra.Settings) { must(t, os.Chmod(path, 0o602)) },
		"empty":           func(t *testing.T, path string, _ *entra.Settings) { must(t, os.Truncate(path, 0)) },
		"half":            func(t *testing.T, path string, _ *entra.Settings) { must(t, os.Truncate(path, 300)) },
		"too large": func(t *testing.T, path string, _ *entra.Settings) {
			rewrite(t, path, "{\"authority", strings.Repeat(" ", 256<<10)+"{\"authority")
		},
		"other authority": func(t *testing.T, path string, _ *entra.Settings) {
			rewrite(t, path, "http://127.0.0.1:1", "http://127.0.0.1:2")
		},
		"other tenant": func(t *testing.T, path string, _ *entra.Settings) {
			rewrite(t, path, `"tenant_id":"`+tenantID, `"tenant_id":"`+otherTenant)
		},
		"other issuer":  func(t *testing.T, path string, _ *entra.Settings) { rewrite(t, path, tenantID+"/", otherTenant+"/") },
		"weak exponent": func(t *testing.T, path string, _ *entra.Settings) { rewrite(t, path, "AQAB", "Aw") },
		"short modulus": func(t *testing.T, path string, _ *entra.Settings) {
			rewrite(t, path, weak, weak[:100])
			rewrite(t, path, jwk("", rsaKeys()[1])["n"].(string), weak[:100])
		},
		"two times": func(t *testing.T, path string, _ *entra.Settings) {
			rewrite(t, path, `"fetched_at"`, `"fetched_at":1,"fetched_at"`)
		},
		"time as text": func(t *testing.T, path string, _ *entra.Settings) {
			rewrite(t, path, `"fetched_at":1790000060`, `"fetched_at":"1790000060"`)
		},
		"no keys": func(t *testing.T, path string, _ *entra.Settings) { rewrite(t, path, `"keys"`, `"old"`) },
		"a day and a second old": func(_ *testing.T, _ string, s *entra.Settings) {
			s.Now = func() time.Time { return time.Unix(issuedAt+60+86401, 0) }
		},
		"from the future": func(_ *testing.T, _ string, s *entra.Settings) {
			s.Now = func() time.Time { return time.Unix(issuedAt+60-301, 0) }
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := saved(t)
			s := dead(t, path)
			damage(t, path, &s)
			if v, err := entra.New(t.Context(), s); err == nil {
				t.Error("started")
				_ = v.Close()
			}
		})
	}
}

// The file is no obstacle: keys come from Entra, and a file that can be written is written.
func TestUnfitCacheFileIsReplaced(t *testing.T) {
	t.Parallel()
	e := newTenant(t, tenantID)
	s := e.settings()
	s.CacheFile = filepath.Join(t.TempDir(), "keys.json")
	must(t, os.WriteFile(s.CacheFile, []byte("garbage"), 0o666))
	v := start(t, s)
	if r := verify(t, v, bearer(mint(header(), claims(t, "v2")))); r != nil {
		t.Error(r)
	}
	must(t, v.Close())
	text, err := os.ReadFile(s.CacheFile)
	if err != nil || !strings.HasPrefix(string(text), `{"authority":`) {
		t.Errorf("the file: %s, %v", text, err)
	}
	s.CacheFile = filepath.Join(t.TempDir(), "none", "keys.json")
	start(t, s)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
