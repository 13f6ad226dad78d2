package fleet

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/gateway/internal/pim"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

func observation(unknown ...string) *connectorv1.Observation {
	return &connectorv1.Observation{ObservedAt: timestamppb.New(time.Unix(1, 0)), UnknownFields: unknown}
}

func TestAFactIsAValueNoneOrUnknown(t *testing.T) {
	t.Parallel()
	change, nobodyKnows := ticketv1.TicketKind_TICKET_KIND_CHANGE, ticketv1.TicketKind(99)
	unspecified := ticketv1.TicketKind_TICKET_KIND_UNSPECIFIED
	for name, c := range map[string]struct {
		answer *ticketv1.GetTicketResponse
		fact   string
		want   pim.Fact
	}{
		"set":                  {&ticketv1.GetTicketResponse{Active: new(false)}, "active", pim.Fact{State: pim.Known, Value: false}},
		"unset":                {&ticketv1.GetTicketResponse{}, "active", pim.Fact{State: pim.None}},
		"hidden":               {&ticketv1.GetTicketResponse{Observation: observation("active")}, "active", pim.Fact{State: pim.Unknown}},
		"set and hidden":       {&ticketv1.GetTicketResponse{Observation: observation("active"), Active: new(true)}, "active", pim.Fact{State: pim.Unknown}},
		"word":                 {&ticketv1.GetTicketResponse{Kind: &change}, "kind", pim.Fact{State: pim.Known, Value: "change"}},
		"number of no word":    {&ticketv1.GetTicketResponse{Kind: &nobodyKnows}, "kind", pim.Fact{State: pim.Unknown}},
		"word for not telling": {&ticketv1.GetTicketResponse{Kind: &unspecified}, "kind", pim.Fact{State: pim.Unknown}},
		"empty text":           {&ticketv1.GetTicketResponse{Number: new("")}, "number", pim.Fact{State: pim.Known, Value: ""}},
		"integer":              {&ticketv1.GetTicketResponse{Priority: proto.Int32(2)}, "priority", pim.Fact{State: pim.Known, Value: int64(2)}},
		"time out of range":    {&ticketv1.GetTicketResponse{WindowStart: &timestamppb.Timestamp{Seconds: math.MaxInt64}}, "window_start", pim.Fact{State: pim.Unknown}},
		"time with bad nanos":  {&ticketv1.GetTicketResponse{WindowStart: &timestamppb.Timestamp{Nanos: -1}}, "window_start", pim.Fact{State: pim.Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.answer.Observation == nil {
				c.answer.Observation = observation()
			}
			facts, _, err := answer(c.answer.ProtoReflect())
			if err != nil {
				t.Fatal(err)
			}
			if got := facts[c.fact]; got != c.want {
				t.Errorf("%s is %+v, want %+v", c.fact, got, c.want)
			}
		})
	}
}

func TestValuesThatMeanNothingAreUnknown(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]*freezev1.GetFreezeResponse{
		"not a number": {Budget: new(math.NaN())},
		"infinite":     {Budget: new(math.Inf(1))},
	} {
		a.Observation = observation()
		facts, _, err := answer(a.ProtoReflect())
		if err != nil || facts["budget"].State != pim.Unknown {
			t.Errorf("%s: %+v, %v", name, facts["budget"], err)
		}
	}
}

func TestAnswerWithoutAnObservationIsMalformed(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]*connectorv1.Observation{
		"none":        nil,
		"no time":     {},
		"bad time":    {ObservedAt: &timestamppb.Timestamp{Nanos: -5}},
		"year 300000": {ObservedAt: &timestamppb.Timestamp{Seconds: math.MaxInt64}},
	} {
		f := read(pim.Ask{}, (&ticketv1.GetTicketResponse{Observation: o, Active: new(true)}).ProtoReflect())
		if f.Fault != pim.Malformed || f.Fact("active").State != pim.Unknown {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestSecretFactIsNeverWritten(t *testing.T) {
	t.Parallel()
	const canary = "canary-7c1e"
	facts, _, err := answer((&freezev1.GetFreezeResponse{Observation: observation(), BypassCode: new(canary)}).ProtoReflect())
	if err != nil || facts["bypass_code"].Value != canary {
		t.Fatalf("the policy does not see it: %+v, %v", facts["bypass_code"], err)
	}
	text, err := json.Marshal(pim.Evaluation{Findings: []pim.Finding{{Facts: facts}}})
	if err != nil || strings.Contains(string(text), canary) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestFactsWithoutPresenceAreRefused(t *testing.T) {
	t.Parallel()
	if err := checkFacts((&freezev1.GetFreezeResponse{}).ProtoReflect().Descriptor(), 0); err != nil {
		t.Errorf("a right answer: %v", err)
	}
	err := checkFacts((&connectorv1.Diagnostic{}).ProtoReflect().Descriptor(), 0)
	if err == nil || !strings.Contains(err.Error(), "declare it optional") {
		t.Errorf("error %v, want one that says what to do", err)
	}
}

func TestArgumentsThatDoNotFitAreErrors(t *testing.T) {
	t.Parallel()
	method := ticketv1.File_countersign_ticket_v1_ticket_proto.Services().Get(0).Methods().Get(0)
	for name, arguments := range map[string]map[string]any{
		"no such argument": {"nubmer": "CHG1"},
		"wrong type":       {"number": int64(1)},
		"a list":           {"number": []any{"CHG1"}},
		"not UTF-8":        {"number": "\xff"},
		"nothing":          {"number": nil},
	} {
		if _, err := request(method, arguments); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	m, err := request(method, map[string]any{"number": "CHG1"})
	if err != nil {
		t.Fatal(err)
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var read ticketv1.GetTicketRequest
	if err := proto.Unmarshal(wire, &read); err != nil || read.GetNumber() != "CHG1" {
		t.Errorf("request %v, %v", &read, err)
	}
}
