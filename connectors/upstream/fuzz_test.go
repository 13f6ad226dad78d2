package upstream

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "120", "9223372037", "-1", " 7 ", "1e9", "Fri, 31 Dec 1999 23:59:59 GMT", "99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait, ok := retryAfter(http.Header{"Retry-After": {value}})
		if wait < 0 || wait > time.Hour || !ok && wait != 0 {
			t.Fatalf("%q is %v, %t", value, wait, ok)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "a/b", "%2e%2e", "a?b#c", "\\", "ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, segment string) {
		path := Path("users", segment, "manager")
		if checkPath(path) != nil {
			return
		}
		if strings.Count(path, "/") != 3 || strings.ContainsAny(path, "?#\\") || segment == "" || segment == "." || segment == ".." {
			t.Fatalf("%q became the path %s", segment, path)
		}
	})
}
