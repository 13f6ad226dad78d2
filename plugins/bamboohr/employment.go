package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	bamboohrv1 "github.com/countersign/countersign/proto/countersign/plugins/bamboohr/v1"
)

// record reads one employee. Fields that the key may not view are left out by BambooHR. A record that may
// not be viewed (403) says nothing about other records, so it is not the credentials that are refused.
func (c *company) record(ctx context.Context, id string) (record, error) {
	var r record
	resp, err := c.client.JSON(ctx, upstream.Request{
		Path:     upstream.Path("api", "v1", "employees", id),
		Template: "/api/v1/employees/{id}",
		Query:    url.Values{"fields": {strings.Join(c.fields(), ",")}, "onlyCurrent": {"true"}},
		Accept:   []int{http.StatusForbidden},
	}, &r)
	switch {
	case status.Code(err) == codes.NotFound:
		return nil, errBehind
	case err != nil:
		return nil, err
	case resp.Status == http.StatusForbidden:
		return nil, finding.BadQuestion("the key may not view this record")
	case r.text("id").value != id:
		return nil, finding.Malformed("GET /api/v1/employees/{id}: answered another record than asked for")
	}
	return r, nil
}

// fields are asked for by both of the names that BambooHR's documents have for some of them.
func (c *company) fields() []string {
	names := []string{
		"status", "workEmail", "employeeNumber", "hireDate", "terminationDate", "employmentStatus",
		"department", "location", "jobTitle", "jobTitleName", "reportsToId", "supervisorEId",
	}
	for _, custom := range []string{c.settings.GetContractEndField(), c.settings.GetCostCenterField(), c.settings.GetCompanyField()} {
		if custom != "" {
			names = append(names, custom)
		}
	}
	return names
}

// employment is everything that an answer depends on. Its methods are pure.
type employment struct {
	settings *bamboohrv1.Config
	zone     *time.Location
	record   record
	timeOff  timeOff
	now      time.Time
}

type stateFact = fact[employmentv1.EmploymentState]

// state is the state of the employment. Whatever it depends on and cannot be learnt makes it unknown.
func (e employment) state() stateFact {
	status := e.record.text("status")
	switch {
	case strings.EqualFold(status.value, "Active"):
		return e.stateOfActive()
	case strings.EqualFold(status.value, "Inactive"):
		return e.stateOfInactive()
	default:
		return stateFact{}
	}
}

// stateOfInactive: BambooHR calls people inactive who have left, and people who have not started yet.
func (e employment) stateOfInactive() stateFact {
	hired := e.hired()
	switch {
	case hired.state != known:
		return stateFact{}
	case hired.value.After(e.now):
		return valueOf(employmentv1.EmploymentState_EMPLOYMENT_STATE_PREBOARDING)
	default:
		return valueOf(employmentv1.EmploymentState_EMPLOYMENT_STATE_TERMINATED)
	}
}

func (e employment) stateOfActive() stateFact {
	suspended, leave, ends, hired := e.suspended(), e.onLeave(), e.ends(), e.hired()
	leaveMatters := !e.settings.GetTimeOffNotUsed() || len(e.settings.GetLeaveStatuses()) > 0
	ended := ends.state == known && !e.now.Before(ends.value)
	switch {
	case ends.state == unknown, ended, suspended.state == unknown, leaveMatters && leave.state == unknown:
		// Active beyond the last working day is a contradiction that only HR can resolve.
		return stateFact{}
	case hired.state == known && hired.value.After(e.now):
		return valueOf(employmentv1.EmploymentState_EMPLOYMENT_STATE_PREBOARDING)
	case suspended.value:
		return valueOf(employmentv1.EmploymentState_EMPLOYMENT_STATE_SUSPENDED)
	case leave.value:
		return valueOf(employmentv1.EmploymentState_EMPLOYMENT_STATE_LEAVE)
	case ends.state == known:
		return valueOf(employmentv1.EmploymentState_EMPLOYMENT_STATE_NOTICE)
	default:
		return valueOf(employmentv1.EmploymentState_EMPLOYMENT_STATE_ACTIVE)
	}
}

func (e employment) hired() fact[time.Time] { return e.record.day("hireDate", e.zone) }

// ends is the end of the last working day: of the termination or of the contract, whichever is earlier.
func (e employment) ends() fact[time.Time] {
	termination := e.termination()
	if e.settings.GetContractEndField() == "" {
		return termination
	}
	contract := lastDay(e.record.day(e.settings.GetContractEndField(), e.zone))
	switch {
	case termination.state == unknown || contract.state == unknown:
		return fact[time.Time]{}
	case termination.state == none || contract.state == known && contract.value.Before(termination.value):
		return contract
	default:
		return termination
	}
}

// termination leaves out the end of an earlier employment, which stays in the record of people who were
// hired again.
func (e employment) termination() fact[time.Time] {
	date, hired := e.record.day("terminationDate", e.zone), e.hired()
	if date.state == known && hired.state == known && date.value.Before(hired.value) {
		return noneOf[time.Time]()
	}
	return lastDay(date)
}

func lastDay(date fact[time.Time]) fact[time.Time] {
	if date.state == known {
		return valueOf(endOf(date.value))
	}
	return date
}

// suspended says whether the employment status is one of the operator's words for suspension.
func (e employment) suspended() fact[bool] { return e.statusIs(e.settings.GetSuspendedStatuses()) }

// onLeave says whether somebody is absent with permission: by employment status or by time off.
func (e employment) onLeave() fact[bool] {
	byStatus := e.statusIs(e.settings.GetLeaveStatuses())
	byTimeOff := fact[bool]{state: e.timeOff.state, value: e.timeOff.state == known}
	if byTimeOff.state == none {
		byTimeOff.state = known
	}
	switch {
	case byStatus.value || byTimeOff.value:
		return valueOf(true)
	case e.settings.GetTimeOffNotUsed() && len(e.settings.GetLeaveStatuses()) > 0:
		return byStatus
	case byStatus.state == unknown || byTimeOff.state == unknown:
		return fact[bool]{}
	default:
		return valueOf(false)
	}
}

// statusIs says whether the employment status is among the operator's words. Without words nothing has to
// be known.
func (e employment) statusIs(words []string) fact[bool] {
	status := e.record.text("employmentStatus")
	switch {
	case len(words) == 0:
		return valueOf(false)
	case status.state == unknown:
		return fact[bool]{}
	default:
		return valueOf(status.state == known && containsFold(words, status.value))
	}
}

func containsFold(words []string, word string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(strings.TrimSpace(w), strings.TrimSpace(word)) })
}

func (e employment) workerType() *employmentv1.WorkerType {
	status := e.record.text("employmentStatus")
	switch {
	case status.state != known:
		return nil
	case containsFold(e.settings.GetContingentStatuses(), status.value):
		return employmentv1.WorkerType_WORKER_TYPE_CONTINGENT.Enum()
	case containsFold(e.settings.GetInternStatuses(), status.value):
		return employmentv1.WorkerType_WORKER_TYPE_INTERN.Enum()
	case containsFold(e.settings.GetEmployeeStatuses(), status.value):
		return employmentv1.WorkerType_WORKER_TYPE_EMPLOYEE.Enum()
	default:
		return nil
	}
}

// answer turns all of it into facts.
func (e employment) answer(ctx context.Context, manager fact[string]) *employmentv1.GetEmploymentResponse {
	r := &employmentv1.GetEmploymentResponse{
		EmployeeNumber: text(ctx, "employee_number", e.record.text("employeeNumber")),
		Email:          text(ctx, "email", address(e.record.text("workEmail"))),
		HiredAt:        instant(ctx, "hired_at", e.hired()),
		EndsAt:         instant(ctx, "ends_at", e.ends()),
		Department:     text(ctx, "department", e.record.text("department")),
		Location:       text(ctx, "location", e.record.text("location")),
		JobTitle:       text(ctx, "job_title", e.record.text("jobTitle").or(e.record.text("jobTitleName"))),
		CostCenter:     text(ctx, "cost_center", e.custom(e.settings.GetCostCenterField())),
		Company:        text(ctx, "company", e.custom(e.settings.GetCompanyField())),
		ManagerEmail:   text(ctx, "manager_email", manager),
		WorkerType:     e.workerType(),
	}
	if s := e.state(); s.state == known {
		r.State = s.value.Enum()
	}
	e.answerLeave(ctx, r)
	return r
}

// answerLeave: somebody who is not employed is not on leave either; there is nothing to be absent from.
func (e employment) answerLeave(ctx context.Context, r *employmentv1.GetEmploymentResponse) {
	leave := e.onLeave()
	switch {
	case strings.EqualFold(e.record.text("status").value, "Inactive"):
		finding.None(ctx, "on_leave", "leave_ends_at")
	case leave.state != known:
	case !leave.value:
		r.OnLeave = new(false)
		finding.None(ctx, "leave_ends_at")
	default:
		r.OnLeave = new(true)
		if e.timeOff.state == known {
			r.LeaveEndsAt = timestamppb.New(e.timeOff.value)
		}
	}
}

// custom is a custom field; one that the operator did not name is unknown.
func (e employment) custom(alias string) fact[string] {
	if alias == "" {
		return fact[string]{}
	}
	return e.record.text(alias)
}

// address folds a mail address; a text that is none is unknown.
func address(f fact[string]) fact[string] {
	if f.state != known {
		return f
	}
	folded := upstream.Email(f.value)
	if folded == "" {
		return fact[string]{}
	}
	return valueOf(folded)
}

func text(ctx context.Context, name string, f fact[string]) *string {
	if f.state == none {
		finding.None(ctx, name)
	}
	if f.state != known {
		return nil
	}
	return &f.value
}

func instant(ctx context.Context, name string, f fact[time.Time]) *timestamppb.Timestamp {
	if f.state == none {
		finding.None(ctx, name)
	}
	if f.state != known {
		return nil
	}
	return timestamppb.New(f.value)
}
