package upstream_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/connectors/upstream"
)

func TestEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" Ada.Lovelace@Example.COM\n": "ada.lovelace@example.com",
		"ada+x@example.com":           "ada+x@example.com",
		"e\u0301lan@example.com":      "\u00e9lan@example.com",
		"\u00c9lan@example.com":       "\u00c9lan@example.com", // Only ASCII is folded.
		"\u212aate@example.com":       "",                      // The Kelvin sign normalises to K.
		"ada\uff20example.com":        "",
		"ada@example.com@evil.org":    "",
		"a@b, c@d":                    "",
		"Ada <ada@example.com>":       "",
		"ada":                         "",
		"@example.com":                "",
		"ada@":                        "",
		"ada\u200b@example.com":       "",
		"ada\x00@example.com":         "",
		"\xff@example.com":            "",
		"":                            "",
	} {
		if got := upstream.Email(in); got != want {
			t.Errorf("Email(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEmailIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := upstream.Email(rapid.String().Draw(t, "local") + "@" + rapid.String().Draw(t, "domain"))
		if twice := upstream.Email(once); twice != once {
			t.Fatalf("%q becomes %q", once, twice)
		}
	})
}
