package callout

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Limits of what PIM shows. It publishes none; these fit its user interface.
const (
	maxReasons    = 3
	longestReason = 200 // runes
)

// Answer is the body that PIM gets for an evaluation, always valid JSON. An outcome that is not one of
// the three is answered Denied, and AutoApproved only before human approval.
func Answer(e pim.Evaluation) []byte {
	outcome := outcomeOf(e)
	b := append([]byte(nil), `{"evaluationId":`...)
	b = appendString(b, line(e.ID))
	b = append(b, `,"evaluationOutcome":"`+outcome+`","reason":[`...)
	for i, reason := range reasons(e, outcome) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, reason)
	}
	return append(b, "]}"...)
}

// outcomeOf spells the outcome as PIM does. What AutoApproved would mean after human approval is not
// published.
func outcomeOf(e pim.Evaluation) string {
	switch {
	case e.Decision.Returned == pim.AutoApproved && e.Activation.Stage == pim.PreApproval:
		return "AutoApproved"
	case e.Decision.Returned == pim.AutoApproved, e.Decision.Returned == pim.Approved:
		return "Approved"
	default:
		return "Denied"
	}
}

// reasons are at most 3 lines. The last of a denial names the evaluation, so that the requester can be
// helped; an approval without a reason says no more than that.
func reasons(e pim.Evaluation, outcome string) []string {
	reference := line("Reference: " + e.ID)
	var lines []string
	for _, reason := range e.Decision.Reasons {
		if text := line(reason); text != "" && text != reference {
			lines = append(lines, text)
		}
	}
	if outcome == "Denied" {
		return append(lines[:min(len(lines), maxReasons-1)], reference)
	}
	if len(lines) == 0 {
		return []string{reference}
	}
	return lines[:min(len(lines), maxReasons)]
}

// appendString quotes a text that line has made valid UTF-8, so that quoting cannot fail.
func appendString(b []byte, text string) []byte {
	quoted, err := jsontext.AppendQuote(b, text)
	if err != nil {
		return append(b, `""`...)
	}
	return quoted
}

// line makes a text one line that shows as it is: blanks of all kinds become one space; control
// characters and format characters (Unicode categories Cc and Cf: bidirectional overrides, zero-width
// characters, tags), other invisible ones, private use and invalid UTF-8 go; at most 200 runes stay.
func line(text string) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(text) {
		word = strings.Map(shown, strings.ToValidUTF8(word, ""))
		if word != "" && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return shortened(b.String())
}

func shown(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return r
}

func shortened(text string) string {
	if utf8.RuneCountInString(text) <= longestReason {
		return text
	}
	return string([]rune(text)[:longestReason-1]) + "…"
}
