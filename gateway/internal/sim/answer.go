package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Answer is what an endpoint answers to a callout.
type Answer struct {
	EvaluationID string      `json:"evaluation_id"`
	Outcome      pim.Outcome `json:"outcome"`
	Reasons      []string    `json:"reasons"`
}

// maxAnswer bounds an answer. Microsoft has published no bound; this is far above any honest answer.
const maxAnswer = 64 << 10

// ReadAnswer reads an answer as strictly as PIM may: status 200, JSON by name and by content, exactly
// the three known outcomes, a list of texts as reasons, an evaluation id that is not empty, and no
// member of these twice.
func ReadAnswer(status int, contentType string, body []byte) (*Answer, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	charset := parameters["charset"]
	switch {
	case status != http.StatusOK:
		return nil, fmt.Errorf("status %d: not 200", status)
	case err != nil || media != "application/json":
		return nil, fmt.Errorf("content type %q: not application/json", contentType)
	case charset != "" && charset != "utf-8" && charset != "UTF-8":
		return nil, fmt.Errorf("charset %q: not utf-8", charset)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("answer of more than %d bytes", maxAnswer)
	case !utf8.Valid(body):
		return nil, errors.New("answer is no UTF-8")
	}
	members, err := readMembers(body)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return readAnswer(members)
}

func readAnswer(members map[string]json.RawMessage) (*Answer, error) {
	var id, outcome *string
	var reasons []*string
	for name, into := range map[string]any{"evaluationId": &id, "evaluationOutcome": &outcome, "reason": &reasons} {
		if err := json.Unmarshal(members[name], into); err != nil {
			return nil, fmt.Errorf("answer member %q: %w", name, err)
		}
	}
	a := &Answer{Reasons: []string{}}
	switch {
	case id == nil || *id == "":
		return nil, errors.New("evaluationId is empty")
	case outcome == nil:
		return nil, errors.New("evaluationOutcome is null")
	case reasons == nil:
		return nil, errors.New("reason is null")
	}
	for _, reason := range reasons {
		if reason == nil {
			return nil, errors.New("reason has a null")
		}
		a.Reasons = append(a.Reasons, *reason)
	}
	known := map[string]pim.Outcome{"Approved": pim.Approved, "AutoApproved": pim.AutoApproved, "Denied": pim.Denied}
	if a.Outcome = known[*outcome]; a.Outcome == "" {
		return nil, fmt.Errorf("evaluationOutcome %q: unknown", *outcome)
	}
	a.EvaluationID = *id
	return a, nil
}

// readMembers reads one JSON object and refuses members that come twice, which encoding/json lets pass.
func readMembers(text []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	opening, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	if opening != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		if err := readMember(decoder, members); err != nil {
			return nil, err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("no end: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more after the object")
	}
	return members, nil
}

func readMember(decoder *json.Decoder, members map[string]json.RawMessage) error {
	token, err := decoder.Token()
	if err != nil {
		return fmt.Errorf("member: %w", err)
	}
	name, _ := token.(string)
	if _, twice := members[name]; twice {
		return fmt.Errorf("member %q twice", name)
	}
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("member %q: %w", name, err)
	}
	members[name] = value
	return nil
}
