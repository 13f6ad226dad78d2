package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	rosterv1 "github.com/countersign/countersign/proto/countersign/plugins/roster/v1"
)

const erinID = "6f1c2d3e-0000-4000-8000-000000000001"

func TestAPrincipalIsReadByItsID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, example(t))
	r, err := w.principal(strings.ToUpper(erinID))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(r.GetId(), r.GetKind(), r.GetUserPrincipalName(), r.GetMail(), r.GetEmployeeNumber(), r.GetUserType(), r.GetAccountEnabled(),
		r.GetHiredAt().AsTime().Format(time.RFC3339), r.GetDisplayName())
	want := erinID + " PRINCIPAL_KIND_USER erin@acme.example e.doe@acme.example 00123 USER_TYPE_MEMBER true 2020-02-29T23:00:00Z Erin Doe\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	wantState(t, r, connectortest.None, "leaves_at")
	wantState(t, r, connectortest.Unknown, "department", "manager_id", "created_at", "sam_account_name")
	if at := r.GetObservation().GetObservedAt().AsTime(); !at.Equal(noon()) {
		t.Errorf("observed at %v, want when the file was read last", at)
	}
}

func TestPrincipalsThatAreNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, example(t))
	_, err := w.principal("6f1c2d3e-0000-4000-8000-000000000003")
	wantFault(t, err, notFound)
	for _, id := range []string{"x", "6f1c2d3e", erinID + " ", "{" + erinID + "}", "' or 1 eq 1", "../../etc/passwd", erinID + "\n"} {
		_, err := w.principal(id)
		wantFault(t, err, malformed)
	}
}

func TestAnEmploymentIsReadByItsKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with(t, "    email: contractor@acme.example\n", ""))
	cases := map[string]struct {
		number, email string
		want          string
	}{
		"by number":                          {"00123", "", "00123"},
		"by address, other case":             {"", "E.Doe@ACME.example", "00123"},
		"by both":                            {"00123", "e.doe@acme.example", "00123"},
		"the number without its zeros":       {"123", "", "not found"},
		"another address":                    {"00123", "boss@acme.example", "not found"},
		"part of an address":                 {"", "doe@acme.example", "not found"},
		"an address the record does not say": {"C-77", "contractor@acme.example", "fault"},
		"an address that is none":            {"", "e.doe", "fault"},
		"nothing":                            {"", "", "fault"},
		"none is a word and no number":       {"none", "", "not found"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := w.employment(c.number, c.email)
			switch {
			case c.want == "fault":
				wantFault(t, err, malformed)
			case c.want == "not found":
				wantFault(t, err, notFound)
			case err != nil || r.GetEmployeeNumber() != c.want:
				t.Errorf("got %q %v", r.GetEmployeeNumber(), err)
			}
		})
	}
}

// The words of the file hold until its dates say more.
func TestStates(t *testing.T) {
	t.Parallel()
	const head = "employments:\n  - employee_number: 1\n"
	cases := map[string]struct {
		record string
		state  string
		leave  string
	}{
		"active":                     {"    state: active\n    on_leave: false", "active", "false"},
		"nothing is said":            {"    department: X", "unknown", "unknown"},
		"said to be none":            {"    state: none\n    on_leave: none", "none", "none"},
		"under notice":               {"    state: active\n    ends_at: 2026-11-23", "notice", "unknown"},
		"has left":                   {"    state: active\n    ends_at: 2026-11-22", "terminated", "unknown"},
		"has left, nothing is said":  {"    ends_at: 2026-11-22", "terminated", "unknown"},
		"has retired":                {"    state: retired\n    ends_at: 2026-11-22", "retired", "unknown"},
		"has not begun":              {"    state: active\n    hired_at: 2026-11-24", "preboarding", "unknown"},
		"begins today":               {"    state: active\n    hired_at: 2026-11-23", "active", "unknown"},
		"on leave by word":           {"    state: leave", "leave", "true"},
		"on leave by flag":           {"    state: active\n    on_leave: true", "leave", "true"},
		"on leave until tonight":     {"    state: leave\n    leave_ends_at: 2026-11-23", "leave", "true"},
		"back from leave":            {"    state: leave\n    leave_ends_at: 2026-11-22", "active", "false"},
		"back from leave by flag":    {"    state: active\n    on_leave: true\n    leave_ends_at: 2026-11-22", "active", "false"},
		"back from leave, to notice": {"    state: leave\n    leave_ends_at: 2026-11-22\n    ends_at: 2026-12-01", "notice", "false"},
		"suspended":                  {"    state: suspended\n    on_leave: false", "suspended", "false"},
		"suspended and gone":         {"    state: suspended\n    ends_at: 2026-11-22", "terminated", "unknown"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, dir: t.TempDir()}
			w.start(&rosterv1.Config{EmploymentsFile: w.write("a.yaml", head+c.record+"\n"), TimeZone: "Europe/Berlin"})
			r, err := w.employment("1", "")
			if err != nil {
				t.Fatal(err)
			}
			state := connectortest.State(r, "state")
			if state == connectortest.Value {
				state = strings.ToLower(strings.TrimPrefix(r.GetState().String(), "EMPLOYMENT_STATE_"))
			}
			leave := connectortest.State(r, "on_leave")
			if leave == connectortest.Value {
				leave = fmt.Sprint(r.GetOnLeave())
			}
			if state != c.state || leave != c.leave {
				t.Errorf("got %s, on leave %s; want %s, %s", state, leave, c.state, c.leave)
			}
		})
	}
}

func TestWhoIsOnCall(t *testing.T) {
	t.Parallel()
	long := "  - {email: e.doe@acme.example, service: payments, level: 1, starts_at: 2026-11-23T10:00:00Z, ends_at: 2026-11-24T10:00:00Z}\n"
	w := newWorld(t, example(t)+long)
	cases := map[string]struct {
		email, service string
		offset         time.Duration
		want           string
	}{
		"the longest shift of the lowest level": {"E.Doe@acme.example", "PAYMENTS", 0, "true 1 unspecified false 2026-11-24T10:00:00Z"},
		"before the longer one":                 {"e.doe@acme.example", "payments", -2 * time.Hour, "true 1 schedule false 2026-11-23T19:00:00Z"},
		"in the first second":                   {"e.doe@acme.example", "PAYMENTS", -4 * time.Hour, "true 1 schedule false 2026-11-23T19:00:00Z"},
		"a second before":                       {"e.doe@acme.example", "PAYMENTS", -4*time.Hour - time.Second, "false"},
		"after the end":                         {"e.doe@acme.example", "PAYMENTS", 23 * time.Hour, "false"},
		"permanent":                             {"boss@acme.example", "PAYMENTS", 1000 * time.Hour, "true 3 direct true none"},
		"listed in another table":               {"contractor@acme.example", "PAYMENTS", 0, "false"},
		"a principal":                           {"erin@acme.example", "PAYMENTS", 0, "false"},
		"nobody":                                {"nobody@acme.example", "PAYMENTS", 0, "not found"},
		"part of an address":                    {"doe@acme.example", "PAYMENTS", 0, "not found"},
		"a service that no shift is for":        {"e.doe@acme.example", "PAYMENT", 0, "fault"},
		"no service":                            {"e.doe@acme.example", "", 0, "fault"},
		"no address":                            {"e.doe", "PAYMENTS", 0, "fault"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.at(c.offset)
			r, err := w.onCall(c.email, c.service)
			switch {
			case c.want == "fault":
				wantFault(t, err, malformed)
				return
			case c.want == "not found":
				wantFault(t, err, notFound)
				return
			case err != nil:
				t.Fatal(err)
			}
			got := "false"
			if r.GetOnCall() {
				end := connectortest.State(r, "ends_at")
				if end == connectortest.Value {
					end = r.GetEndsAt().AsTime().Format(time.RFC3339)
				}
				via := strings.ToLower(strings.TrimPrefix(r.GetVia().String(), "ON_CALL_VIA_"))
				got = fmt.Sprint(true, " ", r.GetLevel(), " ", via, " ", r.GetPermanent(), " ", end)
			} else {
				wantState(t, r, connectortest.None, "level", "via", "permanent", "starts_at", "ends_at")
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAFileThatIsNotConfiguredIsABadQuestion(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dir: t.TempDir()}
	w.start(&rosterv1.Config{ShiftsFile: w.write("a.csv", readTestdata(t, "shifts.csv"))})
	_, err := w.principal(erinID)
	wantFault(t, err, malformed)
	_, err = w.employment("00123", "")
	wantFault(t, err, malformed)
	r, err := w.onCall("e.doe@acme.example", "PAYMENTS")
	if err != nil || !r.GetOnCall() {
		t.Errorf("got %v %v", r, err)
	}
	wantState(t, r, connectortest.None, "schedule_name")
	wantState(t, r, connectortest.Unknown, "via", "user_id")
}
