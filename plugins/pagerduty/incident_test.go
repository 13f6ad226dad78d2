package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
	"github.com/countersign/countersign/connectors/connectortest/standin/pagerduty"
	incidentv1 "github.com/countersign/countersign/proto/countersign/incident/v1"
)

func outage() pagerduty.Incident {
	return pagerduty.Incident{
		Number: 17, Title: "Payments are down", PriorityID: "PPRIO02", Service: pagerduty.Reference{ID: "PSVC001", Name: "Payments"},
		Assignees: []string{"PDOE001"}, CreatedAt: noon().Add(-time.Hour),
	}
}

func withPriorities(w *world) {
	w.AddPriority(pagerduty.Priority{ID: "PPRIO01", Name: "Sev-A"}, pagerduty.Priority{ID: "PPRIO02", Name: "Sev-B"})
}

func ofErin() *incidentv1.GetIncidentRequest {
	return &incidentv1.GetIncidentRequest{Email: new("e.doe@acme.example")}
}

func TestAnOpenIncidentIsReadWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	withPriorities(w)
	w.AddIncident(outage())
	answer, err := w.incident(t, ofErin())
	r := found(t, answer, err)
	got := fmt.Sprint(r.GetNumber(), r.GetStatus(), r.GetUrgency(), r.GetSeverity(), r.GetAssignedVia(), r.GetOpenCount(), " ", r.GetServiceName(), "|", r.GetTitle(), "|", r.GetUrl())
	want := "17INCIDENT_STATUS_TRIGGERED INCIDENT_URGENCY_HIGH 2 ASSIGNED_VIA_ESCALATION 1 Payments|Payments are down|https://acme.pagerduty.com/incidents/Q17"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !r.GetOpenedAt().AsTime().Equal(noon().Add(-time.Hour)) {
		t.Errorf("opened at %v", r.GetOpenedAt().AsTime())
	}
	wantState(t, r, connectortest.None, "opened_by_email")
}

// The numbers of the incidents that are there, worst first.
func TestTheMostSevereIncidentCountsThenTheOldest(t *testing.T) {
	t.Parallel()
	with := func(number int, priority, urgency string, age time.Duration) pagerduty.Incident {
		i := outage()
		i.Number, i.PriorityID, i.Urgency, i.CreatedAt = number, priority, urgency, noon().Add(-age)
		return i
	}
	const year = 365 * 24 * time.Hour
	cases := map[string]struct {
		priorities bool
		incidents  []pagerduty.Incident
		want       string
	}{
		"by the account's order":           {true, []pagerduty.Incident{with(1, "PPRIO02", "high", 2), with(2, "PPRIO01", "high", 1)}, "2"},
		"any priority before none":         {true, []pagerduty.Incident{with(1, "", "high", 2), with(2, "PPRIO02", "low", 1)}, "2"},
		"the oldest among equals":          {true, []pagerduty.Incident{with(1, "PPRIO01", "high", 1), with(2, "PPRIO01", "high", year)}, "2"},
		"by urgency where nothing is told": {false, []pagerduty.Incident{with(1, "", "low", 2), with(2, "", "high", 1)}, "2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.priorities {
				withPriorities(w)
			}
			w.AddIncident(c.incidents...)
			answer, err := w.incident(t, ofErin())
			if r := found(t, answer, err); r.GetNumber() != c.want || r.GetOpenCount() != 2 {
				t.Errorf("got %s of %d, want %s of 2", r.GetNumber(), r.GetOpenCount(), c.want)
			}
		})
	}
}

func TestSeverityIsKnownOnlyWhereTheAccountRanksPriorities(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		priorities bool
		id         string
		want       string
	}{
		"ranked":                        {true, "PPRIO02", connectortest.Value},
		"without priority":              {true, "", connectortest.None},
		"an account without priorities": {false, "", connectortest.Unknown},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.priorities {
				withPriorities(w)
			}
			i := outage()
			i.PriorityID = c.id
			w.AddIncident(i)
			answer, err := w.incident(t, ofErin())
			wantState(t, found(t, answer, err), c.want, "severity")
		})
	}
}

// An incident that somebody opened and assigned to herself must be recognisable.
func TestWhoOpenedItAndHowItWasAssigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for opener, want := range map[string]string{"PDOE001": "e.doe@acme.example", "PELLIE1": "ellie.doe@acme.example"} {
		i := outage()
		i.OpenedBy, i.AssignedVia, i.Status = opener, "direct_assignment", "acknowledged"
		w := newWorld(t)
		w.AddIncident(i)
		answer, err := w.incident(t, ofErin())
		r := found(t, answer, err)
		if r.GetOpenedByEmail() != want || r.GetAssignedVia() != incidentv1.AssignedVia_ASSIGNED_VIA_DIRECT ||
			r.GetStatus() != incidentv1.IncidentStatus_INCIDENT_STATUS_ACKNOWLEDGED {
			t.Errorf("got %v", r)
		}
	}
	gone := outage()
	gone.OpenedBy = "PGONE01"
	w.AddIncident(gone)
	answer, err := w.incident(t, ofErin())
	wantState(t, found(t, answer, err), connectortest.Unknown, "opened_by_email")
}

func TestWordsThatAreNotKnownStayUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
	found(t, answer, err)
	w.SetFault(&fault.Fault{Body: `{"more":false,"priorities":[],"incidents":[{"incident_number":3,"created_at":"2026-11-23T11:00:00Z",
		"status":"snoozed","urgency":"severity_based","assigned_via":"magic","assignments":[{"assignee":{"id":"PDOE001"}}],
		"first_trigger_log_entry":{"agent":{"type":"ghost_reference","id":"PGHOST1"}}}]}`})
	incident, err := w.incident(t, ofErin())
	wantState(t, found(t, incident, err), connectortest.Unknown, "status", "urgency", "assigned_via", "severity", "opened_by_email", "title", "service_name", "url")
}

func TestIncidentsThatDoNotFitAreNotFound(t *testing.T) {
	t.Parallel()
	q := func(change func(*incidentv1.GetIncidentRequest)) *incidentv1.GetIncidentRequest {
		r := ofErin()
		change(r)
		return r
	}
	cases := map[string]struct {
		ask    *incidentv1.GetIncidentRequest
		change func(*pagerduty.Incident)
		fits   bool
	}{
		"fits":                      {ofErin(), func(*pagerduty.Incident) {}, true},
		"resolved":                  {ofErin(), func(i *pagerduty.Incident) { i.Status = "resolved" }, false},
		"assigned to somebody else": {ofErin(), func(i *pagerduty.Incident) { i.Assignees = []string{"PELLIE1"} }, false},
		"older than a month":        {ofErin(), func(i *pagerduty.Incident) { i.CreatedAt = noon().AddDate(0, -7, 0) }, true},
		"of the service":            {q(func(r *incidentv1.GetIncidentRequest) { r.Service = new("PAYMENTS") }), func(*pagerduty.Incident) {}, true},
		"of another service":        {q(func(r *incidentv1.GetIncidentRequest) { r.Service = new("PSVC002") }), func(*pagerduty.Incident) {}, false},
		"with the number":           {q(func(r *incidentv1.GetIncidentRequest) { r.Number = new("17") }), func(*pagerduty.Incident) {}, true},
		"with another number":       {q(func(r *incidentv1.GetIncidentRequest) { r.Number = new("1") }), func(*pagerduty.Incident) {}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			i := outage()
			c.change(&i)
			w.AddIncident(i)
			answer, err := w.incident(t, c.ask)
			if c.fits {
				found(t, answer, err)
				return
			}
			wantFault(t, err, notFound, 0)
		})
	}
}

func TestHostileNumbersAndServicesAreBadQuestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddIncident(outage())
	for _, text := range []string{"0", "17 ", "17^ORnumber=18", "1e3", "-1", "'17'", "17\n", "１７", strings.Repeat("9", 40)} {
		q := ofErin()
		q.Number = new(text)
		_, err := w.incident(t, q)
		wantFault(t, err, malformed, asked)
	}
	for _, text := range []string{"payments", "PSVC001,PSVC002", "PSVC001&statuses[]=resolved", "../x"} {
		q := ofErin()
		q.Service = new(text)
		_, err := w.incident(t, q)
		wantFault(t, err, malformed, asked)
	}
}

func TestFiltersThatAreIgnoredUpstreamAreAFault(t *testing.T) {
	t.Parallel()
	for name, member := range map[string]string{
		"assigned to somebody else": `"assignments":[{"assignee":{"id":"PELLIE1"}}],"service":{"id":"PSVC001"}`,
		"of another service":        `"assignments":[{"assignee":{"id":"PDOE001"}}],"service":{"id":"PSVC002"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
			found(t, answer, err)
			w.SetFault(&fault.Fault{Body: `{"more":false,"priorities":[],"incidents":[{"incident_number":3,"created_at":"2026-11-23T11:00:00Z","status":"triggered",` + member + `}]}`})
			q := ofErin()
			q.Service = new("PAYMENTS")
			_, err = w.incident(t, q)
			wantFault(t, err, malformed, theirs)
		})
	}
}

// An incident that was resolved while the pages were read is no longer assigned to anybody.
func TestAnIncidentResolvedInTheMeantimeIsNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer, err := w.onCall(t, forPayments("e.doe@acme.example"))
	found(t, answer, err)
	w.SetFault(&fault.Fault{Body: `{"more":false,"priorities":[],"incidents":[{"incident_number":3,"created_at":"2026-11-23T11:00:00Z","status":"resolved","assignments":[]}]}`})
	_, err = w.incident(t, ofErin())
	wantFault(t, err, notFound, 0)
}
