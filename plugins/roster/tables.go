package main

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

// The tables, by the names of their lists in a YAML file.
const (
	principalsTable  = "principals"
	employmentsTable = "employments"
	shiftsTable      = "shifts"
)

// principal is one record of the principals: what is known, and what is known to be absent.
type principal struct {
	facts *principalv1.GetPrincipalResponse
	none  []string
}

type employment struct {
	facts *employmentv1.GetEmploymentResponse
	none  []string
}

// shift is who (of) is on call for what (of), and how (facts).
type shift struct {
	of    *oncallv1.GetOnCallRequest
	facts *oncallv1.GetOnCallResponse
	none  []string
}

// unique refuses a key that a record before has as well.
type unique map[string]place

func (u unique) check(d *decoder, name, value string, at place) {
	if value == "" {
		return
	}
	key := name + "\x00" + value
	if first, taken := u[key]; taken {
		d.add(at, "%s is the same as in line %d", name, first.line)
		return
	}
	u[key] = at
}

func principals(d *decoder, entries []entry) []principal {
	all, seen := make([]principal, 0, len(entries)), unique{}
	for _, e := range entries {
		p := principal{facts: &principalv1.GetPrincipalResponse{}}
		p.none = d.fill(e, p.facts)
		if p.facts.Id == nil {
			d.add(e.place, "a principal needs an id")
		}
		seen.check(d, "id", p.facts.GetId(), e.place)
		seen.check(d, "mail", p.facts.GetMail(), e.place)
		seen.check(d, "user_principal_name", p.facts.GetUserPrincipalName(), e.place)
		d.order(e, p.facts.GetHiredAt(), p.facts.GetLeavesAt())
		all = append(all, p)
	}
	return all
}

func employments(d *decoder, entries []entry) []employment {
	all, seen := make([]employment, 0, len(entries)), unique{}
	for _, e := range entries {
		w := employment{facts: &employmentv1.GetEmploymentResponse{}}
		w.none = d.fill(e, w.facts)
		if w.facts.EmployeeNumber == nil && w.facts.Email == nil {
			d.add(e.place, "an employment needs an employee_number or an email")
		}
		if w.facts.GetState() == employmentv1.EmploymentState_EMPLOYMENT_STATE_LEAVE && w.facts.OnLeave != nil && !w.facts.GetOnLeave() {
			d.add(e.place, "state leave and on_leave false contradict each other")
		}
		seen.check(d, "employee_number", w.facts.GetEmployeeNumber(), e.place)
		seen.check(d, "email", w.facts.GetEmail(), e.place)
		d.order(e, w.facts.GetHiredAt(), w.facts.GetEndsAt())
		all = append(all, w)
	}
	return all
}

func shifts(d *decoder, entries []entry) []shift {
	all, seen := make([]shift, 0, len(entries)), unique{}
	for _, e := range entries {
		s := shift{of: &oncallv1.GetOnCallRequest{}, facts: &oncallv1.GetOnCallResponse{}}
		s.none = d.fill(e, s.of, s.facts)
		s.check(d, e)
		seen.check(d, "the shift", s.key(), e.place)
		all = append(all, s)
	}
	return all
}

func (s *shift) check(d *decoder, e entry) {
	permanent := s.facts.GetPermanent()
	bounded := s.facts.StartsAt != nil && s.facts.EndsAt != nil
	unbounded := s.facts.StartsAt == nil && s.facts.EndsAt == nil
	switch {
	case s.of.Email == nil || s.facts.Level == nil:
		d.add(e.place, "a shift needs an email and a level")
	case s.of.Service == nil && s.of.EscalationPolicy == nil && s.of.Schedule == nil:
		d.add(e.place, "a shift needs a service, an escalation_policy or a schedule")
	case permanent && !unbounded, !permanent && !bounded:
		d.add(e.place, "a shift needs starts_at and ends_at, or permanent: true and neither of them")
	}
	d.order(e, s.facts.GetStartsAt(), s.facts.GetEndsAt())
}

// key is what makes a shift the same as another one: who, for what, when.
func (s *shift) key() string {
	return strings.ToLower(strings.Join([]string{
		s.of.GetEmail(), s.of.GetService(), s.of.GetEscalationPolicy(), s.of.GetSchedule(),
		s.facts.GetStartsAt().String(), s.facts.GetEndsAt().String(),
	}, "\x00"))
}

// order refuses an end that is not after its beginning.
func (d *decoder) order(e entry, from, to *timestamppb.Timestamp) {
	if from != nil && to != nil && !from.AsTime().Before(to.AsTime()) {
		d.add(e.place, "it ends before it begins")
	}
}
