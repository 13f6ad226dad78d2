package sim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/sim"
)

func TestReadAnswerAcceptsWhatPIMDocuments(t *testing.T) {
	t.Parallel()
	for word, outcome := range map[string]pim.Outcome{"Approved": pim.Approved, "AutoApproved": pim.AutoApproved, "Denied": pim.Denied} {
		body := `{"evaluationId":"0192f0c4","evaluationOutcome":"` + word + `","reason":["a","b"],"later":{"x":1}}`
		got, err := sim.ReadAnswer(http.StatusOK, "application/json; charset=utf-8", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		want := &sim.Answer{EvaluationID: "0192f0c4", Outcome: outcome, Reasons: []string{"a", "b"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReadAnswerRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"evaluationId":"e","evaluationOutcome":"Denied","reason":[]}`
	for name, c := range map[string]struct {
		status      int
		media, body string
	}{
		"another status":       {http.StatusAccepted, "application/json", good},
		"another content type": {http.StatusOK, "text/html", good},
		"no content type":      {http.StatusOK, "", good},
		"another charset":      {http.StatusOK, "application/json; charset=utf-16", good},
		"nothing":              {http.StatusOK, "application/json", ""},
		"no object":            {http.StatusOK, "application/json", "[" + good + "]"},
		"two objects":          {http.StatusOK, "application/json", good + good},
		"half an object":       {http.StatusOK, "application/json", good[:len(good)-1]},
		"no UTF-8":             {http.StatusOK, "application/json", strings.Replace(good, `"e"`, "\"\xff\"", 1)},
		"too much":             {http.StatusOK, "application/json", strings.Replace(good, `[]`, `["`+strings.Repeat("a", 64<<10)+`"]`, 1)},
		"another case":         {http.StatusOK, "application/json", strings.Replace(good, "Denied", "denied", 1)},
		"another outcome":      {http.StatusOK, "application/json", strings.Replace(good, "Denied", "Granted", 1)},
		"outcome null":         {http.StatusOK, "application/json", strings.Replace(good, `"Denied"`, "null", 1)},
		"outcome twice":        {http.StatusOK, "application/json", strings.Replace(good, `{`, `{"evaluationOutcome":"AutoApproved",`, 1)},
		"no outcome":           {http.StatusOK, "application/json", strings.Replace(good, "evaluationOutcome", "outcome", 1)},
		"empty id":             {http.StatusOK, "application/json", strings.Replace(good, `"e"`, `""`, 1)},
		"id that is a number":  {http.StatusOK, "application/json", strings.Replace(good, `"e"`, `1`, 1)},
		"no id":                {http.StatusOK, "application/json", strings.Replace(good, "evaluationId", "id", 1)},
		"reason a text":        {http.StatusOK, "application/json", strings.Replace(good, "[]", `"no"`, 1)},
		"reason null":          {http.StatusOK, "application/json", strings.Replace(good, "[]", "null", 1)},
		"a reason null":        {http.StatusOK, "application/json", strings.Replace(good, "[]", "[null]", 1)},
		"a reason a number":    {http.StatusOK, "application/json", strings.Replace(good, "[]", "[1]", 1)},
		"no reason":            {http.StatusOK, "application/json", strings.Replace(good, `"reason"`, `"why"`, 1)},
	} {
		if got, err := sim.ReadAnswer(c.status, c.media, []byte(c.body)); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}
