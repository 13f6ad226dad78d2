package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/pagerduty"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	pagerdutyv1 "github.com/countersign/countersign/proto/countersign/plugins/pagerduty/v1"
)

func TestSomebodyOnShiftIsOnCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddOnCall(shift())
	answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
	r := found(t, answer, err)
	got := fmt.Sprintln(r.GetOnCall(), r.GetLevel(), r.GetVia(), r.GetPermanent(), r.GetUserId(),
		r.GetEscalationPolicyName(), r.GetScheduleName(), r.GetStartsAt().AsTime().Equal(*at(-4 * time.Hour)), r.GetEndsAt().AsTime().Equal(*at(8 * time.Hour)))
	if want := "true 1 ON_CALL_VIA_SCHEDULE false PDOE001 Payments EP Payments rota true true"; strings.Join(strings.Fields(got), " ") != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r.GetObservation().GetAttempts() != 3 {
		t.Errorf("took %d requests, want 3: user, service, on-calls", r.GetObservation().GetAttempts())
	}
}

func TestSomebodyKnownAndOffDutyIsFoundAndNotOnCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := shift()
	other.UserID = "PELLIE1"
	w.AddOnCall(other)
	answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
	r := found(t, answer, err)
	if r.OnCall == nil || r.GetOnCall() || r.GetUserId() != "PDOE001" {
		t.Errorf("on_call %v, user_id %s; want false, PDOE001", r.OnCall, r.GetUserId())
	}
	wantState(t, r, connectortest.None, "level", "via", "permanent", "starts_at", "ends_at", "escalation_policy_name", "schedule_name")
}

// A query of PagerDuty is a substring of name or address: neither the twin nor the colleague who calls
// herself by Erin's address is Erin.
func TestSubstringTwinsAreNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RemoveUser("PDOE001")
	for _, id := range []string{"PELLIE1", "PNAME01"} {
		e := shift()
		e.UserID = id
		w.AddOnCall(e)
	}
	_, err := w.onCall(t, forPayments("e.doe@acme.example"))
	wantFault(t, err, notFound, 0)
}

func TestOneOfManySubstringHitsIsFoundOnALaterPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 120 {
		w.AddUser(pagerduty.User{ID: fmt.Sprintf("PX%04d", i), Email: strconv.Itoa(i) + ".zoe@acme.example", Name: "Twin"})
	}
	w.AddUser(pagerduty.User{ID: "PZOE001", Email: "zoe@acme.example", Name: "Zoe"})
	e := shift()
	e.UserID = "PZOE001"
	w.AddOnCall(e)
	answer, err := w.onCall(t, forPayments("zoe@acme.example"))
	if r := found(t, answer, err); !r.GetOnCall() || r.GetUserId() != "PZOE001" {
		t.Errorf("got %v", r)
	}
}

func TestTwoUsersWithOneAddressAreAmbiguous(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddUser(pagerduty.User{ID: "PDOE002", Email: "e.doe@ACME.example", Name: "Erin again"})
	w.AddOnCall(shift())
	_, err := w.onCall(t, forPayments("e.doe@acme.example"))
	wantFault(t, err, connectorv1.FaultKind_FAULT_KIND_AMBIGUOUS, connectorv1.FaultSource_FAULT_SOURCE_QUESTION)
}

func TestTheLowestLevelCounts(t *testing.T) {
	t.Parallel()
	level := func(n int) pagerduty.OnCall { e := shift(); e.Level = n; return e }
	direct := pagerduty.OnCall{UserID: "PDOE001", EscalationPolicy: policy(), Level: 1}
	upgraded := shift()
	upgraded.ShiftBased = true
	long := shift()
	long.End = at(20 * time.Hour)
	cases := map[string]struct {
		entries []pagerduty.OnCall
		want    string
	}{
		"level 3 only":                        {[]pagerduty.OnCall{level(3)}, "3 SCHEDULE false 20:00"},
		"several levels":                      {[]pagerduty.OnCall{level(3), level(2), level(5)}, "2 SCHEDULE false 20:00"},
		"permanent and without schedule":      {[]pagerduty.OnCall{direct}, "1 DIRECT true none"},
		"a shift before a permanent entry":    {[]pagerduty.OnCall{direct, level(1)}, "1 SCHEDULE false 20:00"},
		"a lower level before a shift":        {[]pagerduty.OnCall{level(2), direct}, "1 DIRECT true none"},
		"the longer of two shifts":            {[]pagerduty.OnCall{level(1), long}, "1 SCHEDULE false 08:00"},
		"a schedule that was upgraded to v3":  {[]pagerduty.OnCall{upgraded}, "1 SCHEDULE false 20:00"},
		"an entry without end on a schedule":  {[]pagerduty.OnCall{{UserID: "PDOE001", EscalationPolicy: policy(), Schedule: rota(), Level: 1}}, "1 SCHEDULE true none"},
		"the first of 131 entries of 2 pages": {append(slicesOf(130, level(4)), level(1)), "1 SCHEDULE false 20:00"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.AddOnCall(c.entries...)
			answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
			r := found(t, answer, err)
			end := "none"
			if connectortest.State(r, "ends_at") == connectortest.Value {
				end = r.GetEndsAt().AsTime().Format("15:04")
			}
			got := fmt.Sprint(r.GetLevel(), " ", strings.TrimPrefix(r.GetVia().String(), "ON_CALL_VIA_"), " ", r.GetPermanent(), " ", end)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func slicesOf(n int, e pagerduty.OnCall) []pagerduty.OnCall {
	all := make([]pagerduty.OnCall, n)
	for i := range all {
		all[i] = e
	}
	return all
}

func TestDutyEndsWithTheShift(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := shift()
	last.End = at(time.Second)
	w.AddOnCall(last)
	answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
	if !found(t, answer, err).GetOnCall() {
		t.Error("not on call in the last second of the shift")
	}
	// PagerDuty's clock stays behind and still lists the shift; ours has moved on.
	w.clock.set(time.Second)
	answer, err = w.onCall(t, forPayments("e.doe@acme.example"))
	if found(t, answer, err).GetOnCall() {
		t.Error("on call after the end of the shift")
	}
}

func TestHandOverIsSeenAtOnceWhileTheUserIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddOnCall(shift())
	answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
	found(t, answer, err)
	w.SetOnCalls()
	answer, err = w.onCall(t, forPayments("E.DOE@acme.example"))
	if found(t, answer, err).GetOnCall() {
		t.Error("on call after the hand-over")
	}
	if got := w.asked("/users"); got != 1 {
		t.Errorf("asked for the user %d times, want once", got)
	}
	w.clock.set(defaultRemember)
	answer, err = w.onCall(t, forPayments("e.doe@acme.example"))
	found(t, answer, err)
	if got := w.asked("/users"); got != 2 {
		t.Errorf("asked for the user %d times after the memory ran out, want twice", got)
	}
}

func TestAbsenceIsNeverRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.onCall(t, forPayments("new@acme.example"))
	wantFault(t, err, notFound, 0)
	w.AddUser(pagerduty.User{ID: "PNEW001", Email: "new@acme.example", Name: "New"})
	answer, err := w.onCall(t, forPayments("new@acme.example"))
	found(t, answer, err)
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	const malformed, question = connectorv1.FaultKind_FAULT_KIND_MALFORMED, connectorv1.FaultSource_FAULT_SOURCE_QUESTION
	ask := func(service, policy, schedule string) *oncallv1.GetOnCallRequest {
		q := &oncallv1.GetOnCallRequest{Email: new("e.doe@acme.example")}
		for text, field := range map[string]**string{"s" + service: &q.Service, "p" + policy: &q.EscalationPolicy, "c" + schedule: &q.Schedule} {
			if len(text) > 1 {
				*field = new(text[1:])
			}
		}
		return q
	}
	cases := map[string]struct {
		ask  *oncallv1.GetOnCallRequest
		want string
	}{
		"service by the operator's name":       {ask("PAYMENTS", "", ""), "true"},
		"service by PagerDuty's id":            {ask("PSVC001", "", ""), "true"},
		"escalation policy":                    {ask("", "PPOL001", ""), "true"},
		"schedule":                             {ask("", "", "PSCHED1"), "true"},
		"service and its schedule":             {ask("PAYMENTS", "", "PSCHED1"), "true"},
		"another escalation policy":            {ask("", "PPOL002", ""), "false"},
		"another schedule":                     {ask("", "", "PSCHED2"), "false"},
		"service and another schedule":         {ask("PAYMENTS", "", "PSCHED2"), "false"},
		"service and another's policy":         {ask("PAYMENTS", "PPOL002", ""), "fault"},
		"nothing":                              {ask("", "", ""), "fault"},
		"a service nobody configured":          {ask("payments", "", ""), "fault"},
		"a configured service that is gone":    {ask("GONE", "", ""), "fault"},
		"a service id that leads elsewhere":    {ask("../users/PDOE001", "", ""), "fault"},
		"an escalation policy with parameters": {ask("", "PPOL001&user_ids[]=PELLIE1", ""), "fault"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.AddOnCall(shift())
			answer, err := w.onCall(t, c.ask)
			if c.want == "fault" {
				wantFault(t, err, malformed, question)
				return
			}
			if got := strconv.FormatBool(found(t, answer, err).GetOnCall()); got != c.want {
				t.Errorf("on_call is %s, want %s", got, c.want)
			}
		})
	}
}

// Whatever the address contains, it stays one value of one parameter and finds nobody else.
func TestHostileAddressesFindNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddOnCall(shift())
	for _, email := range []string{
		"", " ", "%", "*", "@", "doe", "e.doe", "e.doe@acme.example&query=", "e.doe@acme.example\r\nX-Evil: 1", "e.doe@acme.example\x00",
		`" or "1"="1`, "' or 1 eq 1 --@acme.example", "../users/PDOE001", "e.doe@acme.example,ellie.doe@acme.example",
		"e.doe%40acme.example", "javascript:alert(1)@x", "^ORactive=true@x", "e.doe@acme.example#", "e.doe@acme.example?limit=1",
		"<e.doe@acme.example>", "e.doe@@acme.example", "\u212b.doe@acme.example", strings.Repeat("a", 300) + "@acme.example",
	} {
		answer, err := w.onCall(t, forPayments(email))
		if err == nil {
			t.Errorf("%q found %s", email, answer.GetUserId())
		}
	}
	for _, request := range w.Requests() {
		if strings.HasPrefix(request, "GET /oncalls") {
			t.Errorf("asked %s", request)
		}
	}
}

func TestAPlusInTheAddressStaysAPlus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer, err := w.onCall(t, forPayments("a+b@acme.example"))
	if r := found(t, answer, err); r.GetUserId() != "PPLUS01" {
		t.Errorf("found %s", r.GetUserId())
	}
}

func TestMoreEntriesThanCanBeReadAreAFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddOnCall(slicesOf(maxPages*pageSize+1, shift())...)
	_, err := w.onCall(t, forPayments("e.doe@acme.example"))
	wantFault(t, err, connectorv1.FaultKind_FAULT_KIND_MALFORMED, connectorv1.FaultSource_FAULT_SOURCE_UPSTREAM)
}

func TestABearerTokenWorksAsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *pagerdutyv1.Config) { c.ApiKey, c.BearerToken = "", canary+"-bearer" })
	w.AddOnCall(shift())
	answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
	if !found(t, answer, err).GetOnCall() {
		t.Error("not on call")
	}
}
