package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/countersign/countersign/gateway/internal/pim"
)

const (
	// storedVersion is the version of the stored form.
	storedVersion = 1
	// maxTickets bounds how many ticket numbers of a justification are kept.
	maxTickets = 16
	// maxSize bounds what one entry stores; SQLite's own limit is 1 GB. An evaluation has some kilobytes.
	maxSize = 16 << 20
	// shortestQuote is the least number of runes at which a text inside an argument counts as a quote
	// of the justification and not as a word they share.
	shortestQuote = 8
	// ticketPattern is what the numbers of the usual systems look like: CHG0030001, PAY-77, #4711.
	ticketPattern = `\b[A-Za-z]{2,10}[0-9]{4,12}\b|\b[A-Za-z][A-Za-z0-9]{1,9}-[0-9]{1,10}\b|#[0-9]{3,12}\b`
)

// Justification is what is kept of the justification's text.
type Justification struct {
	// Hash is the keyed hash of the text; see Keys.HashJustification.
	Hash string `json:"hash"`
	// Length is how many runes the text has.
	Length int `json:"length"`
	// Tickets are the ticket numbers found in it, at most 16, in their order.
	Tickets []string `json:"tickets,omitempty"`
}

// stored is the body of an entry. Its form is canonical: encoding/json writes members in the order of
// the fields and the keys of a map sorted. It is never written a second time: what is hashed is what
// is stored.
type stored struct {
	Version       int            `json:"version"`
	Evaluation    pim.Evaluation `json:"evaluation"`
	Justification Justification  `json:"justification,omitzero"`
}

// Codec turns records into rows.
type Codec struct {
	keys    *Keys
	keep    bool
	tickets *regexp.Regexp
}

// NewCodec makes the codec for a journal with these settings and keys.
func NewCodec(s Settings, keys *Keys) *Codec {
	return &Codec{keys: keys, keep: s.KeepJustification, tickets: regexp.MustCompile(ticketPattern)}
}

// Row is the record as it will be stored, all but its place in the chain.
func (c *Codec) Row(r Record) (Row, error) {
	if r.Evaluation.ID == "" {
		return Row{}, errors.New("evaluation has no id")
	}
	body, err := c.encode(r.Evaluation)
	if err != nil {
		return Row{}, fmt.Errorf("encode evaluation %s: %w", r.Evaluation.ID, err)
	}
	if size := len(body) + len(r.Answer); size > maxSize {
		return Row{}, fmt.Errorf("evaluation %s has %d bytes, more than %d", r.Evaluation.ID, size, maxSize)
	}
	return Row{
		EvaluationID: r.Evaluation.ID, RequestKey: r.RequestKey, Digest: r.Digest,
		Outcome: string(r.Evaluation.Decision.Returned), Principal: r.Evaluation.Activation.PrincipalID,
		Answer: append([]byte{}, r.Answer...), Body: body,
	}, nil
}

func (c *Codec) encode(e pim.Evaluation) ([]byte, error) {
	s := stored{Version: storedVersion, Evaluation: e, Justification: c.justification(e.Activation.Justification)}
	if text := e.Activation.Justification; text != "" && !c.keep {
		s.Evaluation.Activation.Justification = ""
		s.Evaluation.Findings = withoutQuotes(e.Findings, text, s.Justification)
	}
	body, err := marshal(s)
	if _, odd := errors.AsType[*json.UnsupportedValueError](err); odd {
		// JSON has no word for an infinite number. A fact that is one must not keep the evaluation
		// from being recorded.
		s.Evaluation.Findings = withFiniteFacts(s.Evaluation.Findings)
		body, err = marshal(s)
	}
	return body, err
}

func marshal(s stored) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (c *Codec) justification(text string) Justification {
	if text == "" {
		return Justification{}
	}
	found := c.tickets.FindAllString(text, maxTickets)
	for i := range found {
		found[i] = strings.ToUpper(found[i])
	}
	slices.Sort(found)
	return Justification{Hash: c.keys.HashJustification(text), Length: utf8.RuneCountInString(text), Tickets: slices.Compact(found)}
}

// withoutQuotes copies the findings without the justification's text in arguments, where a policy may
// have put it. A text that is nothing but a ticket number stays: that is kept anyway.
func withoutQuotes(findings []pim.Finding, text string, j Justification) []pim.Finding {
	if slices.Contains(j.Tickets, strings.ToUpper(strings.TrimSpace(text))) {
		return findings
	}
	replace := func(v any) any {
		quote, ok := v.(string)
		if ok && (quote == text || j.Length >= shortestQuote && strings.Contains(quote, text)) {
			return strings.ReplaceAll(quote, text, "justification:"+j.Hash)
		}
		return v
	}
	clean := slices.Clone(findings)
	for i := range clean {
		if a := clean[i].Ask.Arguments; len(a) > 0 {
			clean[i].Ask.Arguments, _ = mapValues(a, replace).(map[string]any)
		}
	}
	return clean
}

func withFiniteFacts(findings []pim.Finding) []pim.Finding {
	clean := slices.Clone(findings)
	for i, f := range findings {
		if a := f.Ask.Arguments; len(a) > 0 {
			clean[i].Ask.Arguments, _ = mapValues(a, finite).(map[string]any)
		}
		clean[i].Facts = make(map[string]pim.Fact, len(f.Facts))
		for name, fact := range f.Facts {
			fact.Value = mapValues(fact.Value, finite)
			clean[i].Facts[name] = fact
		}
	}
	return clean
}

// finite spells what JSON's numbers cannot say as ProtoJSON does; pim.Type.Restore reads it back.
func finite(v any) any {
	f, ok := v.(float64)
	switch {
	case !ok:
		return v
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return v
}

// mapValues copies a value with each of its leaves replaced.
func mapValues(v any, leaf func(any) any) any {
	switch v := v.(type) {
	case map[string]any:
		members := make(map[string]any, len(v))
		for name, member := range v {
			members[name] = mapValues(member, leaf)
		}
		return members
	case []any:
		elements := make([]any, len(v))
		for i, element := range v {
			elements[i] = mapValues(element, leaf)
		}
		return elements
	default:
		return leaf(v)
	}
}

// Decode reads the body of an entry. Duplicate members, invalid UTF-8 and anything after the value
// are errors; members that a later version added are not.
func Decode(body []byte) (pim.Evaluation, Justification, error) {
	var s stored
	err := strict.Unmarshal(body, &s, jsonv1.FormatDurationAsNano(true),
		strict.WithUnmarshalers(strict.UnmarshalFromFunc(keepDigits)))
	if err != nil {
		return pim.Evaluation{}, Justification{}, fmt.Errorf("decode stored evaluation: %w", err)
	}
	if s.Version != storedVersion {
		return pim.Evaluation{}, Justification{}, fmt.Errorf("decode stored evaluation: version %d is not known here", s.Version)
	}
	return s.Evaluation, s.Justification, nil
}

// keepDigits decodes a number of unknown type as json.Number: a float64 holds only 53 bits.
func keepDigits(d *jsontext.Decoder, v *any) error {
	if d.PeekKind() != jsontext.KindNumber {
		return errors.ErrUnsupported
	}
	number, err := d.ReadValue()
	if err != nil {
		return err
	}
	*v = json.Number(number)
	return nil
}
