package main

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
)

// GetOnCall says whether one person is on call now. Somebody who is known and has no duty is found and
// not on call; an answer that is not complete is a fault.
func (a *account) GetOnCall(ctx context.Context, q *oncallv1.GetOnCallRequest) (*oncallv1.GetOnCallResponse, error) {
	var (
		who  string
		what subject
	)
	both, lookup := errgroup.WithContext(ctx)
	both.Go(func() (err error) { who, err = a.findUser(lookup, q.GetEmail()); return err })
	both.Go(func() (err error) { what, err = a.subject(lookup, q); return err })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	entries, err := a.onCalls(ctx, who, what)
	if err != nil {
		return nil, err
	}
	duty, err := current(entries, a.now())
	if err != nil {
		return nil, err
	}
	return duty.answer(ctx, who), nil
}

// subject is what somebody may be on call for; at least one of its ids is set, and entries must fit all.
type subject struct {
	policy   string
	schedule string
}

func (a *account) subject(ctx context.Context, q *oncallv1.GetOnCallRequest) (subject, error) {
	s := subject{policy: q.GetEscalationPolicy(), schedule: q.GetSchedule()}
	if q.GetService() == "" && s == (subject{}) {
		return s, finding.BadQuestion("none of service, escalation_policy and schedule is given")
	}
	if s.policy != "" && !isID(s.policy) || s.schedule != "" && !isID(s.schedule) {
		return s, finding.BadQuestion("escalation_policy and schedule are ids of PagerDuty, such as P7LVMYP")
	}
	if q.GetService() == "" {
		return s, nil
	}
	policy, err := a.policyOf(ctx, q.GetService())
	if err != nil {
		return s, err
	}
	if s.policy != "" && s.policy != policy {
		return s, finding.BadQuestion("the service has another escalation policy than the one asked for")
	}
	s.policy = policy
	return s, nil
}

// serviceID is the id of a service that a question names by the operator's word or by PagerDuty's id.
func (a *account) serviceID(name string) (string, error) {
	if id := a.services[name]; id != "" {
		return id, nil
	}
	if !isID(name) {
		return "", finding.BadQuestion("the setting services has no service of this name")
	}
	return name, nil
}

// policyOf reads the escalation policy of a service. A service that does not exist is a mistake in the
// policy or in the settings and tells nothing about the person.
func (a *account) policyOf(ctx context.Context, service string) (string, error) {
	id, err := a.serviceID(service)
	if err != nil {
		return "", err
	}
	var answer struct {
		Service struct {
			ID               string `json:"id"`
			EscalationPolicy ref    `json:"escalation_policy"`
		} `json:"service"`
	}
	_, err = a.client.JSON(ctx, upstream.Request{Path: upstream.Path("services", id), Template: "/services/{id}"}, &answer)
	switch {
	case isMissing(err):
		return "", finding.BadQuestion("PagerDuty has no service of this id")
	case err != nil:
		return "", err
	case answer.Service.ID != id || !isID(answer.Service.EscalationPolicy.ID):
		return "", finding.Malformed("GET /services/{id}: answered no service with an escalation policy")
	}
	return answer.Service.EscalationPolicy.ID, nil
}

// onCalls reads the entries of one person for one subject. Since and until are left out: both are now
// then, and earliest would answer with the next duty.
func (a *account) onCalls(ctx context.Context, who string, what subject) ([]onCall, error) {
	query := url.Values{"user_ids[]": {who}}
	if what.policy != "" {
		query.Set("escalation_policy_ids[]", what.policy)
	}
	if what.schedule != "" {
		query.Set("schedule_ids[]", what.schedule)
	}
	entries, err := list(ctx, a, listing{collection: "oncalls", query: query}, func(p page) []onCall { return p.OnCalls })
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.fits(who, what) {
			return nil, finding.Malformed("GET /oncalls: answered an entry that was not asked for")
		}
	}
	return entries, nil
}

// onCall is one entry of /oncalls: a person, a policy, a level and a time.
type onCall struct {
	User   ref   `json:"user"`
	Policy ref   `json:"escalation_policy"`
	Level  int32 `json:"escalation_level"`
	// Schedule is null for somebody who is named in the policy itself.
	Schedule nullable[ref] `json:"schedule"`
	// Start and End are null for an entry that always holds.
	Start nullable[time.Time] `json:"start"`
	End   nullable[time.Time] `json:"end"`
}

func (e *onCall) fits(who string, what subject) bool {
	return e.User.ID == who &&
		(what.policy == "" || e.Policy.ID == what.policy) &&
		(what.schedule == "" || e.Schedule.value != nil && e.Schedule.value.ID == what.schedule)
}

// check refuses an entry that cannot be understood: a level that is none, a member that is missing where
// null would have a meaning, a shift that ends before it starts.
func (e *onCall) check() error {
	missing := !e.Schedule.given || !e.Start.given || !e.End.given
	backwards := e.Start.value != nil && e.End.value != nil && !e.Start.value.Before(*e.End.value)
	if missing || backwards || e.Level < 1 {
		return finding.Malformed("GET /oncalls: answered an entry without level, schedule, start or end")
	}
	return nil
}

func (e *onCall) covers(now time.Time) bool {
	return (e.Start.value == nil || !now.Before(*e.Start.value)) && (e.End.value == nil || now.Before(*e.End.value))
}

// current picks the entry that counts among those that hold now: the lowest level; at that level one from a
// schedule before one without; among those the one that lasts longest. It is nil if none holds.
func current(entries []onCall, now time.Time) (*onCall, error) {
	var best *onCall
	for i := range entries {
		e := &entries[i]
		if err := e.check(); err != nil {
			return nil, err
		}
		if e.covers(now) && (best == nil || e.before(best)) {
			best = e
		}
	}
	return best, nil
}

func (e *onCall) before(other *onCall) bool {
	return cmp.Or(cmp.Compare(e.Level, other.Level), compareBool(other.scheduled(), e.scheduled()), compareEnd(other.End.value, e.End.value)) < 0
}

func (e *onCall) scheduled() bool { return e.Schedule.value != nil }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// compareEnd orders ends; no end is the latest.
func compareEnd(a, b *time.Time) int {
	if a == nil || b == nil {
		return compareBool(a == nil, b == nil)
	}
	return a.Compare(*b)
}

// answer turns the entry that counts into facts; nil means that the person is not on call.
func (e *onCall) answer(ctx context.Context, who string) *oncallv1.GetOnCallResponse {
	r := &oncallv1.GetOnCallResponse{OnCall: new(e != nil), UserId: new(who)}
	if e == nil {
		finding.None(ctx, "level", "via", "permanent", "starts_at", "ends_at", "escalation_policy_name", "schedule_name")
		return r
	}
	r.Level = new(e.Level)
	r.Permanent = new(e.End.value == nil)
	r.Via = oncallv1.OnCallVia_ON_CALL_VIA_DIRECT.Enum()
	r.EscalationPolicyName = text(e.Policy.Summary)
	r.StartsAt = instant(ctx, "starts_at", e.Start.value)
	r.EndsAt = instant(ctx, "ends_at", e.End.value)
	if e.Schedule.value == nil {
		finding.None(ctx, "schedule_name")
		return r
	}
	r.Via = oncallv1.OnCallVia_ON_CALL_VIA_SCHEDULE.Enum()
	r.ScheduleName = text(e.Schedule.value.Summary)
	return r
}

// text is a fact from a text that PagerDuty always sends: an empty one is unknown.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// instant is a fact from a time; null is none.
func instant(ctx context.Context, field string, at *time.Time) *timestamppb.Timestamp {
	if at == nil {
		finding.None(ctx, field)
		return nil
	}
	return timestamppb.New(*at)
}
