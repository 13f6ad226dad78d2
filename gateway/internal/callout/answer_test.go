package callout_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/callout"
	"github.com/countersign/countersign/gateway/internal/pim"
)

func evaluation(stage pim.Stage, returned pim.Outcome, reasons ...string) pim.Evaluation {
	return pim.Evaluation{
		ID:         "01a2b3c4-0000-7000-8000-00000000abcd",
		Activation: pim.Activation{Stage: stage},
		Decision:   pim.Decision{Recommended: pim.AutoApproved, Returned: returned, Reasons: reasons},
	}
}

func TestAnswerHasTheFormThatPIMReads(t *testing.T) {
	t.Parallel()
	const id = `{"evaluationId":"01a2b3c4-0000-7000-8000-00000000abcd","evaluationOutcome":`
	const reference = `"Reference: 01a2b3c4-0000-7000-8000-00000000abcd"`
	tests := map[string]struct {
		evaluation pim.Evaluation
		want       string
	}{
		"approved": {
			evaluation(pim.PreApproval, pim.Approved, "CHG0090125 is open."), id + `"Approved","reason":["CHG0090125 is open."]}`,
		},
		"approved without a word": {evaluation(pim.PostApproval, pim.Approved), id + `"Approved","reason":[` + reference + `]}`},
		"auto-approved": {
			evaluation(pim.PreApproval, pim.AutoApproved, "On call."), id + `"AutoApproved","reason":["On call."]}`,
		},
		"denied": {
			evaluation(pim.PreApproval, pim.Denied, "CHG0090125 is closed."), id + `"Denied","reason":["CHG0090125 is closed.",` + reference + `]}`,
		},
		"denied without a word": {evaluation(pim.PostApproval, pim.Denied), id + `"Denied","reason":[` + reference + `]}`},
		"denied for four reasons": {
			evaluation(pim.PostApproval, pim.Denied, "1", "2", "3", "4"), id + `"Denied","reason":["1","2",` + reference + `]}`,
		},
		"denied with the reference given": {
			evaluation(pim.PreApproval, pim.Denied, "1", "Reference: 01a2b3c4-0000-7000-8000-00000000abcd"), id + `"Denied","reason":["1",` + reference + `]}`,
		},
		"approved for four reasons": {evaluation(pim.PreApproval, pim.Approved, "1", "2", "", "3", "4"), id + `"Approved","reason":["1","2","3"]}`},
		"quotes":                    {evaluation(pim.PreApproval, pim.Approved, `say "no" \ </b>`), id + `"Approved","reason":["say \"no\" \\ </b>"]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, string(callout.Answer(test.evaluation))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Only one cell of the matrix skips human approval, and nothing unknown grants anything.
func TestAnswerOutcomes(t *testing.T) {
	t.Parallel()
	for _, stage := range []pim.Stage{pim.PreApproval, pim.PostApproval, "", "grant"} {
		for _, returned := range []pim.Outcome{pim.AutoApproved, pim.Approved, pim.Denied, "", "Approved", "AUTO_APPROVED"} {
			var want string
			switch {
			case returned == pim.AutoApproved && stage == pim.PreApproval:
				want = "AutoApproved"
			case returned == pim.AutoApproved, returned == pim.Approved:
				want = "Approved"
			default:
				want = "Denied"
			}
			var got struct {
				Outcome string `json:"evaluationOutcome"`
			}
			if err := json.Unmarshal(callout.Answer(evaluation(stage, returned)), &got); err != nil || got.Outcome != want {
				t.Errorf("stage %q, returned %q: %s, %v, want %s", stage, returned, got.Outcome, err, want)
			}
		}
	}
}

func TestAnswerShowsPlainText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\r\nb\tc":                                 "a b c",
		"  a \u00a0\u2028 b\u3000":                  "a b",
		"a\u0000\u001b[31mb\u007f\u0085c":           "a[31mb c",
		"\u202eabc\u2066d\u2069\u200f":              "abcd",
		"z\u200be\u200cr\u200do\u2060\ufeff\u00adw": "zerow",
		"tag\U000e0041\U000e007f":                   "tag",
		"\u3164\u115f\uffa0\u034fx":                 "x",
		"bad\xff\xc3utf8":                           "badutf8",
		"\ue000private":                             "private",
		"Zürich 緊急 🚨 e\u0301":                       "Zürich 緊急 🚨 e\u0301",
		strings.Repeat("é", 200):                    strings.Repeat("é", 200),
		strings.Repeat("é", 201):                    strings.Repeat("é", 199) + "…",
		strings.Repeat("\u200b", 5000) + "x":        "x",
		"</script><img src=x onerror=alert(1)>":     "</script><img src=x onerror=alert(1)>",
	} {
		var got struct {
			Reason []string `json:"reason"`
		}
		if err := json.Unmarshal(callout.Answer(evaluation(pim.PreApproval, pim.Approved, text)), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff([]string{want}, got.Reason); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("id", "denied", "a\u202eb\x00", "post_approval")
	f.Add("\xff\"", "auto_approved", strings.Repeat("x ", 300), "pre_approval")
	f.Fuzz(func(t *testing.T, id, returned, reason, stage string) {
		e := evaluation(pim.Stage(stage), pim.Outcome(returned), reason, reason+"2", reason+"3", reason+"4")
		e.ID = id
		var got struct {
			ID      string   `json:"evaluationId"`
			Outcome string   `json:"evaluationOutcome"`
			Reason  []string `json:"reason"`
		}
		if err := json.Unmarshal(callout.Answer(e), &got); err != nil {
			t.Fatal(err)
		}
		if got.Outcome == "AutoApproved" && (stage != "pre_approval" || returned != "auto_approved") {
			t.Error("skips human approval")
		}
		if len(got.Reason) == 0 || len(got.Reason) > 3 {
			t.Errorf("%d reasons", len(got.Reason))
		}
		for _, line := range append(got.Reason, got.ID) {
			if utf8.RuneCountInString(line) > 200 || !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) || strings.ContainsFunc(line, isFormat) {
				t.Errorf("line %q", line)
			}
		}
		if got.Outcome == "Denied" && !strings.HasPrefix(got.Reason[len(got.Reason)-1], "Reference:") {
			t.Error(fmt.Sprint("a denial without a reference: ", got.Reason))
		}
	})
}

func isFormat(r rune) bool { return unicode.Is(unicode.Cf, r) }

func BenchmarkAnswer(b *testing.B) {
	e := evaluation(pim.PreApproval, pim.Denied, "CHG0090125 does not cover this activation. Ask for a time inside its window.")
	b.ReportAllocs()
	for b.Loop() {
		callout.Answer(e)
	}
}
