package main

import (
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/connectortest/standin/bamboohr"
	"github.com/countersign/countersign/connectors/connectortest/standin/fault"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

func TestAnEmployeeIsReadWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *bamboohrv1.Config) {
		c.EmployeeStatuses, c.CostCenterField, c.CompanyField = []string{"full-time"}, "customCost", "customCompany"
	})
	w.SetEmployee(with(map[string]any{"customCost": "CC-7", "customCompany": nil}))
	r := w.mustAsk(t)
	for field, pair := range map[string][2]string{
		"state":           {stateOf(r), "active"},
		"on_leave":        {onLeave(r), "false"},
		"employee_number": {r.GetEmployeeNumber(), "00123"},
		"email":           {r.GetEmail(), "e.doe@acme.example"},
		"worker_type":     {r.GetWorkerType().String(), "WORKER_TYPE_EMPLOYEE"},
		"department":      {r.GetDepartment(), "Payments"},
		"location":        {r.GetLocation(), "Berlin"},
		"job_title":       {r.GetJobTitle(), "Engineer"},
		"manager_email":   {r.GetManagerEmail(), "hr@acme.example"},
		"cost_center":     {r.GetCostCenter(), "CC-7"},
		"hired_at":        {r.GetHiredAt().AsTime().Format(time.RFC3339), "2020-02-29T23:00:00Z"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", field, pair[0], pair[1])
		}
	}
	wantState(t, r, connectortest.None, "ends_at", "leave_ends_at", "company")
}

func TestWhatIsNotConfiguredOrNotMappedIsUnknown(t *testing.T) {
	t.Parallel()
	r := newWorld(t).mustAsk(t)
	wantState(t, r, connectortest.Unknown, "worker_type", "cost_center", "company")
}

// The heart: what BambooHR says, and the state of the employment that follows from it.
func TestStates(t *testing.T) {
	t.Parallel()
	type fields = map[string]any
	cases := map[string]struct {
		employee bamboohr.Employee
		state    string
		ends     string
	}{
		"active":                              {erin(), "active", ""},
		"no termination date":                 {with(fields{"terminationDate": nil}), "active", ""},
		"an empty termination date":           {with(fields{"terminationDate": ""}), "active", ""},
		"ends in the future":                  {with(fields{"terminationDate": "2026-12-31"}), "notice", "2026-12-31T23:00:00Z"},
		"ends today":                          {with(fields{"terminationDate": "2026-11-23"}), "notice", "2026-11-23T23:00:00Z"},
		"ended yesterday and is still active": {with(fields{"terminationDate": "2026-11-22"}), "unknown", "2026-11-22T23:00:00Z"},
		"hired again":                         {with(fields{"terminationDate": "2019-05-31"}), "active", ""},
		"termination date may not be viewed":  {with(nil, "terminationDate"), "unknown", "unknown"},
		"termination date cannot be read":     {with(fields{"terminationDate": "31.12.2026"}), "unknown", "unknown"},
		"inactive":                            {with(fields{"status": "Inactive", "terminationDate": "2026-10-31"}), "terminated", "2026-10-31T23:00:00Z"},
		"inactive without termination date":   {with(fields{"status": "Inactive"}), "terminated", ""},
		"inactive, hired in the future":       {with(fields{"status": "Inactive", "hireDate": "2026-11-24"}), "preboarding", ""},
		"inactive, first day is today":        {with(fields{"status": "Inactive", "hireDate": "2026-11-23"}), "terminated", ""},
		"inactive, hire date hidden":          {with(fields{"status": "Inactive"}, "hireDate"), "unknown", ""},
		"active, hired in the future":         {with(fields{"hireDate": "2027-01-01"}), "preboarding", ""},
		"status may not be viewed":            {with(nil, "status"), "unknown", ""},
		"status is null":                      {with(fields{"status": nil}), "unknown", ""},
		"a status nobody knows":               {with(fields{"status": "Sleeping"}), "unknown", ""},
		"status is no text":                   {with(fields{"status": []string{"Active"}}), "unknown", ""},
		"a date in 2026 that does not exist":  {with(fields{"terminationDate": "2026-02-30"}), "unknown", "unknown"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.SetEmployee(c.employee)
			r := w.mustAsk(t)
			if got := stateOf(r); got != c.state {
				t.Errorf("state is %s, want %s", got, c.state)
			}
			ends := connectortest.State(r, "ends_at")
			switch ends {
			case connectortest.Value:
				ends = r.GetEndsAt().AsTime().Format(time.RFC3339)
			case connectortest.None:
				ends = ""
			}
			if ends != c.ends {
				t.Errorf("ends at %q, want %q", ends, c.ends)
			}
		})
	}
}

// A day ends when it ends in the company's zone, not in UTC and not where the gateway stands.
func TestTheLastDayEndsInTheCompanysZone(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{
		"Pacific/Auckland":    "2026-11-30T11:00:00Z",
		"UTC":                 "2026-12-01T00:00:00Z",
		"America/Los_Angeles": "2026-12-01T08:00:00Z",
	} {
		w := newWorld(t, func(c *bamboohrv1.Config) { c.TimeZone = zone })
		w.SetEmployee(with(map[string]any{"terminationDate": "2026-11-30"}))
		if got := w.mustAsk(t).GetEndsAt().AsTime().Format(time.RFC3339); got != want {
			t.Errorf("%s: ends at %s, want %s", zone, got, want)
		}
	}
}

func TestTheStateTurnsAtMidnightOfTheCompany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetEmployee(with(map[string]any{"terminationDate": "2026-11-23"}))
	w.wait(12*time.Hour - time.Second)
	if got := stateOf(w.mustAsk(t)); got != "notice" {
		t.Errorf("in the last second: %s, want notice", got)
	}
	w.wait(time.Second)
	if got := stateOf(w.mustAsk(t)); got != "unknown" {
		t.Errorf("after the last day: %s, want unknown while BambooHR still says Active", got)
	}
}

func TestTheEarlierOfTerminationAndContractCounts(t *testing.T) {
	t.Parallel()
	contract := func(c *bamboohrv1.Config) { c.ContractEndField = "customContractEnd" }
	type fields = map[string]any
	cases := map[string]struct {
		employee bamboohr.Employee
		state    string
		ends     string
	}{
		"contract only":      {with(fields{"customContractEnd": "2026-11-30"}), "notice", "2026-11-30T23:00:00Z"},
		"contract earlier":   {with(fields{"customContractEnd": "2026-11-30", "terminationDate": "2026-12-31"}), "notice", "2026-11-30T23:00:00Z"},
		"termination earler": {with(fields{"customContractEnd": "2027-11-30", "terminationDate": "2026-12-31"}), "notice", "2026-12-31T23:00:00Z"},
		"no contract end":    {with(fields{"customContractEnd": ""}), "active", "none"},
		"contract hidden":    {with(fields{"customContractEnd": "2027-11-30"}, "customContractEnd"), "unknown", "unknown"},
		"contract is over":   {with(fields{"customContractEnd": "2026-11-01"}), "unknown", "2026-11-01T23:00:00Z"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, contract)
			w.SetEmployee(c.employee)
			r := w.mustAsk(t)
			ends := connectortest.State(r, "ends_at")
			if ends == connectortest.Value {
				ends = r.GetEndsAt().AsTime().Format(time.RFC3339)
			}
			if stateOf(r) != c.state || ends != c.ends {
				t.Errorf("got %s until %s, want %s until %s", stateOf(r), ends, c.state, c.ends)
			}
		})
	}
}

func TestApprovedTimeOffIsLeave(t *testing.T) {
	t.Parallel()
	off := func(start, end string) bamboohr.TimeOff {
		return bamboohr.TimeOff{EmployeeID: "42", Start: start, End: end}
	}
	requested := off("2026-11-20", "2026-11-30")
	requested.Status = "requested"
	somebody := off("2026-11-20", "2026-11-30")
	somebody.EmployeeID = "1"
	holiday := off("2026-11-23", "2026-11-23")
	holiday.Holiday = true
	cases := map[string]struct {
		timeOff []bamboohr.TimeOff
		state   string
		onLeave string
		until   string
	}{
		"none":                  {nil, "active", "false", "none"},
		"covers today":          {[]bamboohr.TimeOff{off("2026-11-20", "2026-11-27")}, "leave", "true", "2026-11-27T23:00:00Z"},
		"today only":            {[]bamboohr.TimeOff{off("2026-11-23", "2026-11-23")}, "leave", "true", "2026-11-23T23:00:00Z"},
		"the later of two ends": {[]bamboohr.TimeOff{off("2026-11-23", "2026-11-23"), off("2026-11-01", "2027-01-31")}, "leave", "true", "2027-01-31T23:00:00Z"},
		"begins tomorrow":       {[]bamboohr.TimeOff{off("2026-11-24", "2026-11-27")}, "active", "false", "none"},
		"ended yesterday":       {[]bamboohr.TimeOff{off("2026-11-02", "2026-11-22")}, "active", "false", "none"},
		"not approved":          {[]bamboohr.TimeOff{requested}, "active", "false", "none"},
		"somebody else's":       {[]bamboohr.TimeOff{somebody}, "active", "false", "none"},
		"a holiday":             {[]bamboohr.TimeOff{holiday}, "active", "false", "none"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.AddTimeOff(c.timeOff...)
			r := w.mustAsk(t)
			until := connectortest.State(r, "leave_ends_at")
			if until == connectortest.Value {
				until = r.GetLeaveEndsAt().AsTime().Format(time.RFC3339)
			}
			if stateOf(r) != c.state || onLeave(r) != c.onLeave || until != c.until {
				t.Errorf("got %s, on leave %s until %s; want %s, %s until %s", stateOf(r), onLeave(r), until, c.state, c.onLeave, c.until)
			}
		})
	}
}

// A key without the right gets an empty list: that must not read as "at work".
func TestLeaveThatCannotBeReadIsUnknownAndNeverActive(t *testing.T) {
	t.Parallel()
	hidden := erin()
	hidden.HideTimeOff = true
	cases := map[string]func(*world){
		"no right to time off": func(w *world) { w.SetEmployee(hidden) },
		"403":                  func(w *world) { w.SetFaultAt("/time_off/", &fault.Fault{Status: 403}) },
		"404":                  func(w *world) { w.SetFaultAt("/time_off/requests", &fault.Fault{Status: 404}) },
		"no list":              func(w *world) { w.SetFaultAt("/time_off/", &fault.Fault{Body: `{}`}) },
		"null":                 func(w *world) { w.SetFaultAt("/time_off/", &fault.Fault{Body: `null`}) },
		"a request without dates": func(w *world) {
			w.SetFaultAt("/time_off/", &fault.Fault{Body: `[{"employeeId":"42","status":{"status":"approved"}}]`})
		},
		"a request of somebody else": func(w *world) {
			w.SetFaultAt("/time_off/", &fault.Fault{Body: `[{"employeeId":"1","start":"2026-01-01","end":"2026-01-02","status":{"status":"approved"}}]`})
		},
		"a request without a status": func(w *world) {
			w.SetFaultAt("/time_off/", &fault.Fault{Body: `[{"employeeId":"42","start":"2026-01-01","end":"2026-01-02"}]`})
		},
		"a login page":                 func(w *world) { w.SetFaultAt("/time_off/", &fault.Fault{Body: "<html>", ContentType: "text/html"}) },
		"policies refused, list empty": func(w *world) { w.SetFaultAt("/time_off/policies", &fault.Fault{Status: 403}) },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			spoil(w)
			r := w.mustAsk(t)
			wantState(t, r, connectortest.Unknown, "state", "on_leave", "leave_ends_at")
			wantState(t, r, connectortest.Value, "department")
		})
	}
}

func TestLeaveByEmploymentStatus(t *testing.T) {
	t.Parallel()
	onlyStatuses := func(c *bamboohrv1.Config) { c.TimeOffNotUsed, c.LeaveStatuses = true, []string{"Leave of Absence"} }
	cases := map[string]struct {
		settings func(*bamboohrv1.Config)
		employee bamboohr.Employee
		state    string
		onLeave  string
	}{
		"leave status":                            {onlyStatuses, with(map[string]any{"employmentStatus": "leave of absence"}), "leave", "true"},
		"another status":                          {onlyStatuses, erin(), "active", "false"},
		"status hidden":                           {onlyStatuses, with(nil, "employmentStatus"), "unknown", "unknown"},
		"leave is not recorded at all":            {func(c *bamboohrv1.Config) { c.TimeOffNotUsed = true }, erin(), "active", "unknown"},
		"suspended":                               {func(c *bamboohrv1.Config) { c.SuspendedStatuses = []string{"Suspended"} }, with(map[string]any{"employmentStatus": "Suspended"}), "suspended", "false"},
		"whether suspended is hidden":             {func(c *bamboohrv1.Config) { c.SuspendedStatuses = []string{"Suspended"} }, with(nil, "employmentStatus"), "unknown", "false"},
		"inactive: there is nothing to be off of": {func(*bamboohrv1.Config) {}, with(map[string]any{"status": "Inactive"}), "terminated", "none"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.settings)
			w.SetEmployee(c.employee)
			r := w.mustAsk(t)
			if stateOf(r) != c.state || onLeave(r) != c.onLeave {
				t.Errorf("got %s, on leave %s; want %s, %s", stateOf(r), onLeave(r), c.state, c.onLeave)
			}
		})
	}
}

func TestWorkerTypesAreTheOperatorsWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *bamboohrv1.Config) {
		c.EmployeeStatuses, c.ContingentStatuses, c.InternStatuses = []string{"Full-Time"}, []string{"Contractor"}, []string{"Intern"}
	})
	for status, want := range map[string]employmentv1.WorkerType{
		"Full-Time": employmentv1.WorkerType_WORKER_TYPE_EMPLOYEE, "contractor": employmentv1.WorkerType_WORKER_TYPE_CONTINGENT,
		"Intern": employmentv1.WorkerType_WORKER_TYPE_INTERN, "Part-Time": employmentv1.WorkerType_WORKER_TYPE_UNSPECIFIED,
	} {
		w.SetEmployee(with(map[string]any{"employmentStatus": status}))
		if got := w.mustAsk(t).GetWorkerType(); got != want {
			t.Errorf("%s is %v, want %v", status, got, want)
		}
	}
}

func TestHiddenAndEmptyFieldsDiffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetEmployee(with(map[string]any{"department": "", "location": nil, "reportsToId": nil, "workEmail": ""}, "jobTitleName", "hireDate"))
	r := w.mustAsk(t)
	wantState(t, r, connectortest.None, "department", "location", "manager_email", "email")
	wantState(t, r, connectortest.Unknown, "job_title", "hired_at")
}
