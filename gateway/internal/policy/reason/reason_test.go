package reason_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy/condition"
	"github.com/countersign/countersign/gateway/internal/policy/reason"
)

func TestPlainTextCanOnlyBeRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"as it is":                          "as it is",
		"  two\n lines\tand\u00a0spaces  ":  "two lines and spaces",
		"bell\a, null\x00, escape\x1b[31m":  "bell, null, escape[31m",
		"\u202eright to left\u202c":         "right to left",
		"zero\u200bwidth\ufeff\u2060joined": "zerowidthjoined",
		"line\u2028and paragraph\u2029end":  "line and paragraph end",
		"invalid \xff\xfe bytes":            "invalid bytes",
		"private \ue000 use":                "private use",
		"\u200b":                            "",
		"Zoë 日本語 😀":                         "Zoë 日本語 😀",
		strings.Repeat("é", 200):            strings.Repeat("é", 200),
		strings.Repeat("é", 201):            strings.Repeat("é", 199) + "…",
		strings.Repeat("é", 198) + "   xyz": strings.Repeat("é", 198) + "…",
	} {
		if diff := cmp.Diff(want, reason.Plain(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("a\u202eb\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := reason.Plain(text)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > reason.MaxLength || reason.Plain(got) != got {
			t.Errorf("%q", got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%q", got)
		}
	})
}

func things() []condition.Ask {
	field := func(name string, kind pim.Kind) pim.Field {
		return pim.Field{Name: name, Type: pim.Type{Kind: kind}, Sensitivity: pim.Public}
	}
	return []condition.Ask{{Name: "t", Connector: "c", Capability: pim.Capability{Method: "x.v1.S/M", Facts: []pim.Field{
		field("text", pim.String), field("number", pim.Int), field("share", pim.Double), field("yes", pim.Bool),
		field("at", pim.Timestamp), field("long", pim.Duration), field("count", pim.Uint), field("hidden", pim.String),
	}}}}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	library, err := condition.NewLibrary()
	if err != nil {
		t.Fatal(err)
	}
	scope, err := library.Scope(things())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	v := scope.NewVars(library.NewSubject(pim.Activation{Stage: pim.PreApproval}, "", now))
	value := func(v any) pim.Fact { return pim.Fact{State: pim.Known, Value: v} }
	v.Set(0, &pim.Finding{Found: true, Facts: map[string]pim.Fact{
		"text": value("CHG1"), "number": value(int64(-3)), "share": value(0.5), "yes": value(true), "count": value(uint64(7)),
		"at": value(now.In(time.FixedZone("", 3600))), "long": value(90 * time.Minute),
	}})
	for text, want := range map[string]string{
		"Ticket {t.text}.":                      "Ticket CHG1.",
		"{t.text}{t.number}":                    "CHG1-3",
		"{t.share} {t.yes} {t.count}":           "0.5 true 7",
		"{t.at}, {t.long}, {now}":               "2026-03-01 10:00 UTC, 1h30m, 2026-03-01 10:00 UTC",
		"{t.hidden}":                            "unknown",
		"{activation.ticket.number}":            "none",
		"{1 / 0 == 1 ? 'a' : 'b'}":              "unknown",
		"a {{brace}} and } one":                 "a {brace} and } one",
		"{t.yes ? '}' : '{'}":                   "}",
		`{t.yes ? "\"}" : ''}`:                  `"}`,
		"{{'a': t.text}['a']}":                  "{'a': t.text}['a']}",
		"{ {'a': t.text}['a'] }":                "CHG1",
		"{duration('2h')} {duration('90s')}":    "2h 1m30s",
		"{duration('0s')} {duration('-30m')}":   "0s -30m",
		"{has(t.text) ? 'there' : 'not there'}": "there",
	} {
		template, problems := reason.Parse(text, scope)
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		if got := template.Render(v); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestValuesCannotBreakOutOfPlainText(t *testing.T) {
	t.Parallel()
	library, err := condition.NewLibrary()
	if err != nil {
		t.Fatal(err)
	}
	scope, err := library.Scope(things())
	if err != nil {
		t.Fatal(err)
	}
	template, problems := reason.Parse("{t.text} {t.text}", scope)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	v := scope.NewVars(library.NewSubject(pim.Activation{}, "", time.Time{}))
	v.Set(0, &pim.Finding{Found: true, Facts: map[string]pim.Fact{
		"text": {State: pim.Known, Value: "{t.number}\r\n\u202e" + strings.Repeat("x", 500)},
	}})
	got := template.Render(v)
	if !strings.HasPrefix(got, "{t.number} xxx") || utf8.RuneCountInString(got) != 200 {
		t.Errorf("%q", got)
	}
}
