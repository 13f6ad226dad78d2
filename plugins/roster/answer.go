package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/upstream"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

// GetPrincipal reads one principal by its object id.
func (r *roster) GetPrincipal(ctx context.Context, q *principalv1.GetPrincipalRequest) (*principalv1.GetPrincipalResponse, error) {
	id := guid(q.GetId())
	if id == "" {
		return nil, finding.BadQuestion("id is no GUID")
	}
	all, verified, err := r.principals.get(r.now(), r.maxAge)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.facts.GetId() == id {
			finding.ObservedAt(ctx, verified)
			finding.None(ctx, p.none...)
			return proto.CloneOf(p.facts), nil
		}
	}
	return nil, finding.NotFound("the file of principals does not list this id")
}

// GetEmployment reads how one person is employed now. The record must bear every key that was asked for.
func (r *roster) GetEmployment(ctx context.Context, q *employmentv1.GetEmploymentRequest) (*employmentv1.GetEmploymentResponse, error) {
	email := upstream.Email(q.GetEmail())
	if q.GetEmail() != "" && email == "" || q.GetEmployeeNumber() == "" && email == "" {
		return nil, finding.BadQuestion("neither employee_number nor a mail address is given")
	}
	all, verified, err := r.employments.get(r.now(), r.maxAge)
	if err != nil {
		return nil, err
	}
	w, err := whose(all, q.GetEmployeeNumber(), email)
	if err != nil {
		return nil, err
	}
	finding.ObservedAt(ctx, verified)
	return w.answer(ctx, r.now()), nil
}

// whose finds the record that bears every key. A record that bears one of two and does not say the other
// is no answer, and no proof of absence either.
func whose(all []employment, number, email string) (*employment, error) {
	half := false
	for i := range all {
		w := &all[i]
		n, e := bears(w.facts.EmployeeNumber, number), bears(w.facts.Email, email)
		if n == yes && e == yes || n == yes && email == "" || e == yes && number == "" {
			return w, nil
		}
		half = half || n == yes && e == unsaid || e == yes && n == unsaid
	}
	if half {
		return nil, finding.BadQuestion("the record that bears one of employee_number and email does not say the other")
	}
	return nil, finding.NotFound("the file of employments does not list this person")
}

type bearing int

const (
	no bearing = iota
	yes
	unsaid
)

func bears(has *string, wanted string) bearing {
	switch {
	case has == nil:
		return unsaid
	case wanted != "" && *has == wanted:
		return yes
	default:
		return no
	}
}

// answer brings a record up to now: its dates decide where they say more than its words.
func (w *employment) answer(ctx context.Context, now time.Time) *employmentv1.GetEmploymentResponse {
	f, none := proto.CloneOf(w.facts), w.none
	if f.LeaveEndsAt != nil && !now.Before(f.GetLeaveEndsAt().AsTime()) {
		endLeave(f)
		none = append([]string{"leave_ends_at"}, none...)
	}
	if f.GetState() == leave {
		f.OnLeave = new(true)
	}
	if state := stateAt(f, now); state != 0 {
		f.State = state.Enum()
	}
	tellNone(ctx, f, none)
	return f
}

const (
	active = employmentv1.EmploymentState_EMPLOYMENT_STATE_ACTIVE
	leave  = employmentv1.EmploymentState_EMPLOYMENT_STATE_LEAVE
)

// endLeave is what becomes of a record when the leave that it speaks of is over.
func endLeave(f *employmentv1.GetEmploymentResponse) {
	f.LeaveEndsAt = nil
	if f.GetState() == leave {
		f.State = active.Enum()
		f.OnLeave = new(false)
	}
	if f.GetOnLeave() {
		f.OnLeave = new(false)
	}
}

// tellNone declares fields none, but for those that have a value after all and those that are not facts.
func tellNone(ctx context.Context, m proto.Message, names []string) {
	for _, name := range names {
		f := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
		if f != nil && !m.ProtoReflect().Has(f) {
			finding.None(ctx, name)
		}
	}
}

// stateAt is the state that the dates demand: who has not begun is preboarding, who has left is
// terminated, and who is active is on leave or under notice if the record says so. 0 is unknown.
func stateAt(f *employmentv1.GetEmploymentResponse, now time.Time) employmentv1.EmploymentState {
	state := f.GetState()
	over := state == employmentv1.EmploymentState_EMPLOYMENT_STATE_TERMINATED || state == employmentv1.EmploymentState_EMPLOYMENT_STATE_RETIRED
	begun := f.HiredAt == nil || !now.Before(f.GetHiredAt().AsTime())
	switch {
	case over:
		return state
	case f.EndsAt != nil && !now.Before(f.GetEndsAt().AsTime()):
		return employmentv1.EmploymentState_EMPLOYMENT_STATE_TERMINATED
	case !begun:
		return employmentv1.EmploymentState_EMPLOYMENT_STATE_PREBOARDING
	case state == active && f.GetOnLeave():
		return leave
	case state == active && f.EndsAt != nil:
		return employmentv1.EmploymentState_EMPLOYMENT_STATE_NOTICE
	default:
		return state
	}
}

// GetOnCall says whether one person is on call now.
func (r *roster) GetOnCall(ctx context.Context, q *oncallv1.GetOnCallRequest) (*oncallv1.GetOnCallResponse, error) {
	email := upstream.Email(q.GetEmail())
	if email == "" {
		return nil, finding.BadQuestion("email is no mail address")
	}
	now := r.now()
	all, verified, err := r.shifts.get(now, r.maxAge)
	if err != nil {
		return nil, err
	}
	if err := askable(all, q); err != nil {
		return nil, err
	}
	finding.ObservedAt(ctx, verified)
	duty, listed := current(all, email, func(s *shift) bool { return s.fits(q) && s.covers(now) })
	if duty != nil {
		return duty.answer(ctx), nil
	}
	if !listed {
		if err := r.known(email, now); err != nil {
			return nil, err
		}
	}
	finding.None(ctx, "level", "via", "permanent", "starts_at", "ends_at", "escalation_policy_name", "schedule_name")
	return &oncallv1.GetOnCallResponse{OnCall: new(false)}, nil
}

// known returns an error unless one of the other files lists an address: not found, or why that cannot be
// told.
func (r *roster) known(email string, now time.Time) error {
	workers, err := r.workers(now)
	if err != nil {
		return err
	}
	people, err := r.people(now)
	if err != nil {
		return err
	}
	worker := slices.ContainsFunc(workers, func(w employment) bool { return w.facts.GetEmail() == email })
	person := slices.ContainsFunc(people, func(p principal) bool {
		return p.facts.GetMail() == email || p.facts.GetUserPrincipalName() == email
	})
	if !worker && !person {
		return finding.NotFound("no file lists this person")
	}
	return nil
}

// workers and people are empty if there is no such file.
func (r *roster) workers(now time.Time) ([]employment, error) {
	if r.employments.path == "" {
		return nil, nil
	}
	all, _, err := r.employments.get(now, r.maxAge)
	return all, err
}

func (r *roster) people(now time.Time) ([]principal, error) {
	if r.principals.path == "" {
		return nil, nil
	}
	all, _, err := r.principals.get(now, r.maxAge)
	return all, err
}

// askable refuses a question about something that no shift is for: more likely a misspelling than a
// service without people.
func askable(all []shift, q *oncallv1.GetOnCallRequest) error {
	if q.GetService() == "" && q.GetEscalationPolicy() == "" && q.GetSchedule() == "" {
		return finding.BadQuestion("none of service, escalation_policy and schedule is given")
	}
	for i := range all {
		if all[i].fits(q) {
			return nil
		}
	}
	return finding.BadQuestion("no shift is for this service, escalation_policy or schedule")
}

// fits says whether a shift is for what was asked: every argument that is given must be named by it.
func (s *shift) fits(q *oncallv1.GetOnCallRequest) bool {
	same := func(asked, named string) bool { return asked == "" || strings.EqualFold(asked, named) }
	return same(q.GetService(), s.of.GetService()) &&
		same(q.GetEscalationPolicy(), s.of.GetEscalationPolicy()) &&
		same(q.GetSchedule(), s.of.GetSchedule())
}

func (s *shift) covers(now time.Time) bool {
	return s.facts.GetPermanent() || !now.Before(s.facts.GetStartsAt().AsTime()) && now.Before(s.facts.GetEndsAt().AsTime())
}

// current picks the shift that counts: the lowest level, and at that level the one that lasts longest.
// listed says whether the person has any shift at all.
func current(all []shift, email string, counts func(*shift) bool) (best *shift, listed bool) {
	for i := range all {
		s := &all[i]
		if s.of.GetEmail() != email {
			continue
		}
		listed = true
		if counts(s) && (best == nil || s.before(best)) {
			best = s
		}
	}
	return best, listed
}

func (s *shift) before(other *shift) bool {
	if c := cmp.Compare(s.facts.GetLevel(), other.facts.GetLevel()); c != 0 {
		return c < 0
	}
	if s.facts.GetPermanent() || other.facts.GetPermanent() {
		return s.facts.GetPermanent() && !other.facts.GetPermanent()
	}
	return s.facts.GetEndsAt().AsTime().After(other.facts.GetEndsAt().AsTime())
}

// answer turns a shift into facts. A shift that names its schedule is by schedule, unless it says else.
func (s *shift) answer(ctx context.Context) *oncallv1.GetOnCallResponse {
	f := proto.CloneOf(s.facts)
	f.OnCall = new(true)
	f.Permanent = new(s.facts.GetPermanent())
	if s.of.Schedule != nil && f.Via == nil {
		f.Via = oncallv1.OnCallVia_ON_CALL_VIA_SCHEDULE.Enum()
	}
	if f.GetPermanent() {
		finding.None(ctx, "starts_at", "ends_at")
	}
	tellNone(ctx, f, s.none)
	return f
}
