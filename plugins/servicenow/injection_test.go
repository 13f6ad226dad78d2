package main

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/connectors/connectortest"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// fragments are pieces of ServiceNow's query language, of URLs and of other languages, and numbers that
// exist.
func fragments() []string {
	return []string{
		"CHG0042317", "CHG0000001", "INC0010001", "RITM0010001", "CHG", "chg0042317", "0042317", "^", "^OR", "^NQ", "^EQ", "%5E", "%5ENQ", "^ORDERBYDESCnumber",
		"number", "=", "!=", "LIKE", "STARTSWITHCHG", "ISNOTEMPTY", "IN", "numberISNOTEMPTY", "active=true", "approval=approved",
		"javascript:", "javascript:gs.getUserID()", "javascript:'CHG0042317'", "gs.sleep(9)", "&sysparm_limit=100", "&sysparm_query=", "?", "#", "/", "../",
		"\n", "\r\n", "\x00", "\t", " ", ",", ";", "'", `"`, "\\", "*", "%", "\u00a0", "\u200b", "\u017f", "\u212a", "\u202e", "\uff3e", "\u0418", "ＣＨＧ", "-", "_",
	}
}

func hostile() []string {
	numbers := []string{
		"", " ", "CHG", "CHG1", "CHG00423170000", "CHG0042317^", "^CHG0042317", "CHG0042317^ORactive=true", "X^NQapproval=approved", "CHG9999999^NQnumber=CHG0042317",
		"CHG9999999^ORnumber=CHG0042317", "CHG9999999%5EORnumber=CHG0042317", "CHG9999999%255ENQactive=true", "javascript:gs.getUserID()", "javascript:'CHG0042317'",
		"CHG0042317\n", "\nCHG0042317", "CHG9999999\nCHG0042317", "CHG0042317\x00", "CHG004231\u0667", "CHG\uff10042317", "\u017fCTASK0010001", "CHG0042317 CHG0000001",
		"CHG0042317,CHG0000001", "CHG0042317&sysparm_query=active=true", "CHG004231*", "CHG004231%", "numberISNOTEMPTY", "null", "undefined", "../incident/CHG0042317",
		strings.Repeat("CHG", 20) + "0042317", "CHG" + strings.Repeat("9", 100_000),
	}
	for _, a := range fragments() {
		numbers = append(numbers, "CHG9999999"+a, a+"CHG0042317", "CHG0042317"+a+"active=true")
	}
	return numbers
}

// TestHostileNumbersReachNothing asks an instance that evaluates queries, as the real one does. Whatever
// is typed, an answer is about exactly the number typed, and what has not the form of one is not sent.
func TestHostileNumbersReachNothing(t *testing.T) {
	t.Parallel()
	p := newProbe(t)
	for _, number := range hostile() {
		p.try(t, number)
	}
}

func TestGeneratedNumbersReachNothing(t *testing.T) {
	t.Parallel()
	p := newProbe(t)
	rapid.Check(t, func(r *rapid.T) {
		piece := rapid.OneOf(rapid.SampledFrom(fragments()), rapid.StringN(0, 6, 24), rapid.StringMatching(`(CHG|INC)[0-9]{6,11}`))
		p.try(r, strings.Join(rapid.SliceOfN(piece, 1, 5).Draw(r, "pieces"), ""))
	})
}

// TestALoosePatternCannotBeInjectedInto holds for an operator who allows anything.
func TestALoosePatternCannotBeInjectedInto(t *testing.T) {
	t.Parallel()
	p := newProbe(t)
	p.world.config.NumberPattern = "(?s).*"
	p.client = connectortest.Start(t, connector(), p.world.config)
	p.form = regexp.MustCompile(`\A[A-Z][A-Z0-9_-]{0,39}\z`)
	for _, number := range hostile() {
		p.try(t, number)
	}
}

// probe asks numbers and looks at what reached the instance and what came back.
type probe struct {
	world  *world
	client *connectortest.Client
	form   *regexp.Regexp
	asked  int
}

func newProbe(t *testing.T) *probe {
	t.Helper()
	w := newWorld(t)
	return &probe{
		world: w, client: connectortest.Start(t, connector(), w.config),
		form: regexp.MustCompile(`\A(INC|CHG|CTASK|PRB|PTASK|REQ|RITM|SCTASK|TASK)[0-9]{7,10}\z`),
	}
}

// reporter is what a test and a generated check have in common.
type reporter interface {
	Context() context.Context
	Errorf(format string, args ...any)
}

func (p *probe) try(t reporter, number string) {
	resp := &ticketv1.GetTicketResponse{}
	err := p.client.Invoke(t.Context(), getTicket, &ticketv1.GetTicketRequest{Number: &number}, resp)
	typed := strings.Trim(number, " ")
	upper := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 32
		}
		return r
	}, typed)
	if err == nil && resp.GetNumber() != upper {
		t.Errorf("%q was answered with %s", number, resp.GetNumber())
	}
	requests := p.world.snow.Requests()
	sent := requests[p.asked:]
	p.asked = len(requests)
	if !p.form.MatchString(upper) && len(sent) > 0 {
		t.Errorf("%q was sent: %v", number, sent)
	}
	for _, request := range sent {
		if got := queryOf(request); got != "number="+upper {
			t.Errorf("%q became the query %q", number, got)
		}
	}
}

func queryOf(request string) string {
	u, err := url.Parse(request)
	if err != nil {
		return "unreadable"
	}
	return u.Query().Get("sysparm_query")
}
