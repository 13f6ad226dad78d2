package main

import (
	"cmp"
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	incidentv1 "github.com/countersign/countersign/proto/countersign/incident/v1"
)

// incidentNumber is the form of an incident number.
var incidentNumber = regexp.MustCompile(`^[1-9][0-9]{0,9}$`)

// GetIncident reads the most severe open incident assigned to one person, among equals the oldest.
func (a *account) GetIncident(ctx context.Context, q *incidentv1.GetIncidentRequest) (*incidentv1.GetIncidentResponse, error) {
	if q.GetNumber() != "" && !incidentNumber.MatchString(q.GetNumber()) {
		return nil, finding.BadQuestion("number is no number of a PagerDuty incident")
	}
	who, err := a.findUser(ctx, q.GetEmail())
	if err != nil {
		return nil, err
	}
	open, order, err := a.openIncidents(ctx, who, q.GetService())
	if err != nil {
		return nil, err
	}
	if q.GetNumber() != "" {
		open = slices.DeleteFunc(open, func(i incident) bool { return strconv.Itoa(i.Number) != q.GetNumber() })
	}
	if len(open) == 0 {
		return nil, finding.NotFound("no open incident of this person fits")
	}
	worst := slices.MinFunc(open, order.compare)
	openedBy, err := a.openedBy(ctx, &worst, opener{who, upstream.Email(q.GetEmail())})
	if err != nil {
		return nil, err
	}
	r := worst.answer(ctx, order)
	r.OpenCount = new(int32(len(open))) //nolint:gosec // At most maxPages*pageSize.
	openedBy.tell(ctx, r)
	return r, nil
}

// openIncidents reads the open incidents of a person, and in the meantime how the account orders its
// priorities.
func (a *account) openIncidents(ctx context.Context, who, service string) ([]incident, priorities, error) {
	query := url.Values{
		"user_ids[]":  {who},
		"statuses[]":  {"triggered", "acknowledged"},
		"urgencies[]": {"high", "low"},
		// Without it only the last month counts.
		"date_range": {"all"},
		"include[]":  {"first_trigger_log_entries"},
	}
	if service != "" {
		id, err := a.serviceID(service)
		if err != nil {
			return nil, nil, err
		}
		query.Set("service_ids[]", id)
	}
	var (
		open  []incident
		order priorities
	)
	both, lookup := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		l := listing{collection: "incidents", query: query}
		open, err = list(lookup, a, l, func(p page) []incident { return p.Incidents })
		return err
	})
	both.Go(func() (err error) { order, err = a.priorities(lookup); return err })
	if err := both.Wait(); err != nil {
		return nil, nil, err
	}
	open, err := stillOpen(open, who, query.Get("service_ids[]"))
	return open, order, err
}

// stillOpen drops incidents that were resolved while the pages were read, and refuses an answer that
// ignores a filter.
func stillOpen(all []incident, who, service string) ([]incident, error) {
	var open []incident
	for _, i := range all {
		switch {
		case i.Status == "resolved":
		case !i.assignedTo(who) || service != "" && i.Service.ID != service:
			return nil, finding.Malformed("GET /incidents: answered an incident that was not asked for")
		case i.Number < 1 || i.CreatedAt.IsZero():
			return nil, finding.Malformed("GET /incidents: answered an incident without number or time")
		default:
			open = append(open, i)
		}
	}
	return open, nil
}

type incident struct {
	Number      int                `json:"incident_number"`
	Title       string             `json:"title"`
	Status      string             `json:"status"`
	Urgency     string             `json:"urgency"`
	URL         string             `json:"html_url"`
	CreatedAt   time.Time          `json:"created_at"`
	Service     ref                `json:"service"`
	Priority    nullable[priority] `json:"priority"`
	AssignedVia string             `json:"assigned_via"`
	Assignments []struct {
		Assignee ref `json:"assignee"`
	} `json:"assignments"`
	FirstEntry struct {
		Agent ref `json:"agent"`
	} `json:"first_trigger_log_entry"`
}

func (i *incident) assignedTo(who string) bool {
	for _, a := range i.Assignments {
		if a.Assignee.ID == who {
			return true
		}
	}
	return false
}

// answer turns an incident into facts. A word that is not known here stays unknown.
func (i *incident) answer(ctx context.Context, order priorities) *incidentv1.GetIncidentResponse {
	r := &incidentv1.GetIncidentResponse{
		Number:      new(strconv.Itoa(i.Number)),
		OpenedAt:    timestamppb.New(i.CreatedAt),
		ServiceName: text(i.Service.Summary),
		Title:       text(i.Title),
		Url:         text(i.URL),
	}
	switch i.Status {
	case "triggered":
		r.Status = incidentv1.IncidentStatus_INCIDENT_STATUS_TRIGGERED.Enum()
	case "acknowledged":
		r.Status = incidentv1.IncidentStatus_INCIDENT_STATUS_ACKNOWLEDGED.Enum()
	}
	switch i.Urgency {
	case "high":
		r.Urgency = incidentv1.IncidentUrgency_INCIDENT_URGENCY_HIGH.Enum()
	case "low":
		r.Urgency = incidentv1.IncidentUrgency_INCIDENT_URGENCY_LOW.Enum()
	}
	switch i.AssignedVia {
	case "escalation_policy":
		r.AssignedVia = incidentv1.AssignedVia_ASSIGNED_VIA_ESCALATION.Enum()
	case "direct_assignment":
		r.AssignedVia = incidentv1.AssignedVia_ASSIGNED_VIA_DIRECT.Enum()
	}
	if rank := order.rank(i); rank > 0 {
		r.Severity = new(rank)
	} else if order.usable() && i.Priority.given && i.Priority.value == nil {
		finding.None(ctx, "severity")
	}
	return r
}

type priority struct {
	ID string `json:"id"`
}

// priorities are the account's priorities in its own order, worst first. Their names are labels that the
// account chose: "P1" means nothing by itself.
type priorities []priority

// priorities reads the order. An account without the ability answers 402, a key without the right 403:
// then there is no order, and severities are unknown.
func (a *account) priorities(ctx context.Context) (priorities, error) {
	l := listing{collection: "priorities", query: url.Values{}, short: true}
	order, err := list(ctx, a, l, func(p page) []priority { return p.Priorities })
	if isDenied(err) || isMissing(err) {
		return nil, nil
	}
	return order, err
}

func (ps priorities) usable() bool { return len(ps) > 0 }

// rank is the place of an incident's priority in the order, from 1; 0 if that cannot be told.
func (ps priorities) rank(i *incident) int32 {
	if i.Priority.value == nil {
		return 0
	}
	return int32(slices.IndexFunc(ps, func(p priority) bool { return p.ID == i.Priority.value.ID })) + 1 //nolint:gosec // At most maxPages*pageSize.
}

// compare orders incidents by severity, those without one last, then by urgency, then by age.
func (ps priorities) compare(a, b incident) int {
	return cmp.Or(
		cmp.Compare(ps.place(&a), ps.place(&b)),
		compareBool(a.Urgency != "high", b.Urgency != "high"),
		a.CreatedAt.Compare(b.CreatedAt),
		cmp.Compare(a.Number, b.Number),
	)
}

func (ps priorities) place(i *incident) int {
	if rank := ps.rank(i); rank > 0 {
		return int(rank)
	}
	return len(ps) + 1
}

// opener is who opened an incident: a user's id and address. Without an id it was a machine.
type opener struct {
	id      string
	address string
}

// openedBy finds out who triggered an incident. asker saves a request if it was the person asked about.
// nil means that it cannot be told.
func (a *account) openedBy(ctx context.Context, i *incident, asker opener) (*opener, error) {
	agent := i.FirstEntry.Agent
	switch kind := strings.TrimSuffix(agent.Type, "_reference"); {
	case kind == "service" || strings.HasSuffix(kind, "integration"):
		return &opener{}, nil
	case kind != "user" || !isID(agent.ID):
		return nil, nil
	case agent.ID == asker.id:
		return &asker, nil
	}
	address, err := a.address(ctx, agent.ID)
	if err != nil || address == "" {
		return nil, err
	}
	return &opener{agent.ID, address}, nil
}

func (o *opener) tell(ctx context.Context, r *incidentv1.GetIncidentResponse) {
	switch {
	case o == nil:
	case o.id == "":
		finding.None(ctx, "opened_by_email")
	default:
		r.OpenedByEmail = new(o.address)
	}
}
