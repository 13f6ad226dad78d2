package world

import (
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/connectors/connectortest/standin/bamboohr"
	"github.com/countersign/countersign/connectors/connectortest/standin/entraid"
	"github.com/countersign/countersign/connectors/connectortest/standin/graph"
	"github.com/countersign/countersign/connectors/connectortest/standin/pagerduty"
)

// stands are the stand-ins with what they know.
func (w *World) stands() map[Upstream]http.Handler {
	signIn := entraid.New(w.Tenant.ID())
	signIn.AddClient(w.secrets.graphClientID, w.secrets.graph)
	return map[Upstream]http.Handler{
		SignIn: signIn,
		Graph:  w.directory(signIn),
		ITSM:   w.itsm(),
		Rota:   w.rota(),
		HR:     w.hr(),
	}
}

func (w *World) directory(tokens graph.Tokens) *graph.Server {
	directory := graph.New(w.URL(Graph), tokens)
	directory.Grant(graph.UserReadAll, graph.DirectoryReadAll, graph.UserLifeCycleReadAll)
	for _, p := range People() {
		directory.AddUser(p.ID, w.directoryEntry(p))
		if p.ID != hiro().ID && !p.Guest {
			directory.SetManager(p.ID, hiro().ID)
		}
	}
	directory.AddObject(paymentsOperators, "group", map[string]any{"displayName": "Payments Operators"})
	return directory
}

// directoryEntry has addresses with capitals, as people type them into a directory.
func (w *World) directoryEntry(p Person) map[string]any {
	first, last, _ := strings.Cut(p.Name, " ")
	mail := first + "." + last + p.Mail[strings.Index(p.Mail, "@"):]
	entry := map[string]any{
		"displayName": p.Name, "givenName": first, "surname": last, "mail": mail, "userPrincipalName": p.Mail,
		"userType": "Member", "accountEnabled": true, "createdDateTime": w.day(-900).Format(time.RFC3339),
		"employeeId": orNil(p.Employee), "employeeType": "Employee", "department": orNil(p.Department), "jobTitle": orNil(p.Title),
		"companyName": "Contoso", "employeeHireDate": w.day(-900).Format(time.RFC3339), "onPremisesSamAccountName": nil,
	}
	if p.Status == contractor {
		entry["employeeType"] = "Contractor"
	}
	if p.Guest {
		entry["userType"], entry["employeeType"], entry["companyName"], entry["employeeHireDate"] = "Guest", nil, "Fabrikam", nil
		entry["userPrincipalName"] = strings.Replace(p.Mail, "@", "_", 1) + "#EXT#@contoso.example"
	}
	return entry
}

// Identifiers in PagerDuty.
const (
	paymentsService = "PWJAGSD"
	p1, p2          = "PRIORT1", "PRIORT2"
)

func (w *World) rota() *pagerduty.Server {
	policy := pagerduty.Reference{ID: "P7LVMYP", Name: "Payments"}
	schedule := &pagerduty.Reference{ID: "PI7DH85", Name: "Payments first line"}
	service := pagerduty.Reference{ID: paymentsService, Name: "Payments"}
	rota := &pagerduty.Server{APIKey: w.secrets.rota}
	rota.AddUser(pagerDutyUser(ada()), pagerDutyUser(ben()), pagerDutyUser(carla()), pagerDutyUser(hiro()))
	rota.AddService(pagerduty.Service{ID: service.ID, Name: service.Name, EscalationPolicy: policy})
	rota.AddPriority(pagerduty.Priority{ID: p1, Name: "P1"}, pagerduty.Priority{ID: p2, Name: "P2"})
	begins, ends := w.began.Add(-4*time.Hour), w.began.Add(8*time.Hour)
	rota.AddOnCall(
		pagerduty.OnCall{UserID: pagerDutyID(ben()), EscalationPolicy: policy, Schedule: schedule, Level: 1, Start: &begins, End: &ends},
		pagerduty.OnCall{UserID: pagerDutyID(hiro()), EscalationPolicy: policy, Level: 2},
	)
	rota.AddIncident(pagerduty.Incident{
		Number: 4711, Title: "Payments are rejected", Status: "acknowledged", PriorityID: p1, Service: service,
		Assignees: []string{pagerDutyID(ben())}, CreatedAt: w.began.Add(-20 * time.Minute),
	})
	return rota
}

func pagerDutyUser(p Person) pagerduty.User {
	return pagerduty.User{ID: pagerDutyID(p), Email: p.Mail, Name: p.Name}
}

// pagerDutyID has the form of PagerDuty's identifiers.
func pagerDutyID(p Person) string { return "PU" + p.Employee }

func (w *World) hr() *bamboohr.Server {
	hr := &bamboohr.Server{APIKey: w.secrets.hr}
	for _, p := range People() {
		if p.Employee == "" {
			continue
		}
		hr.AddEmployee(bamboohr.Employee{ID: bambooID(p), Fields: w.employment(p)})
		if p.OnLeave {
			hr.AddTimeOff(bamboohr.TimeOff{EmployeeID: bambooID(p), Start: w.date(-3), End: w.date(11)})
		}
	}
	return hr
}

// bambooID is the id of a record, which is not the employee number.
func bambooID(p Person) string { return "1" + p.Employee }

// employment is what BambooHR's record of an employee shows.
func (w *World) employment(p Person) map[string]any {
	fields := map[string]any{
		"status": "Active", "workEmail": p.Mail, "employeeNumber": p.Employee, "hireDate": w.date(-900), "originalHireDate": w.date(-900),
		"terminationDate": nil, "employmentStatus": p.Status, "department": p.Department, "division": "Technology",
		"jobTitle": p.Title, "jobTitleName": p.Title, "location": "Hamburg", "reportsToId": bambooID(hiro()),
	}
	if p.ID == hiro().ID {
		fields["reportsToId"] = nil
	}
	if p.Left {
		fields["status"], fields["employmentStatus"], fields["terminationDate"] = "Inactive", "Terminated", w.date(-7)
	}
	return fields
}

// day is the beginning of a day, counted from today.
func (w *World) day(offset int) time.Time {
	return w.began.UTC().Truncate(24*time.Hour).AddDate(0, 0, offset)
}

// date is a day as HR systems write it.
func (w *World) date(offset int) string { return w.day(offset).Format(time.DateOnly) }

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}
