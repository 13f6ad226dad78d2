package serve_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/countersign/countersign/connectors/connectortest"
	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/connectors/finding"
	"github.com/countersign/countersign/connectors/serve"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

const getFreeze = "acme.freeze.v1.FreezeService/GetFreeze"

// teller answers with whatever the test says.
type teller struct {
	answer func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error)
	closed *atomic.Int32
}

func (s *teller) GetFreeze(ctx context.Context, r *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
	return s.answer(ctx, r)
}

func (s *teller) Close() error {
	s.closed.Add(1)
	return nil
}

func connector(answer func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error)) serve.Connector[*freezev1.Config, *teller] {
	return serve.Connector[*freezev1.Config, *teller]{
		Name: "teller", Version: "1.0.0", Vendor: "Acme",
		Open: func(context.Context, *freezev1.Config) (*teller, error) {
			return &teller{answer: answer, closed: new(atomic.Int32)}, nil
		},
		Capabilities: []serve.Capability[*teller]{serve.Unary(freezev1.FreezeService_GetFreeze_FullMethodName, (*teller).GetFreeze)},
	}
}

func emea() *freezev1.Config { return &freezev1.Config{Region: "emea"} }

func payments() *freezev1.GetFreezeRequest {
	return &freezev1.GetFreezeRequest{Team: new("payments")}
}

func TestAnswersNameWhatIsUnknown(t *testing.T) {
	t.Parallel()
	client := connectortest.Start(t, connector(func(ctx context.Context, _ *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
		finding.None(ctx, "until")
		finding.Attempt(ctx, "req-1")
		return &freezev1.GetFreezeResponse{Frozen: new(true)}, nil
	}), emea())
	answer := &freezev1.GetFreezeResponse{}
	if err := client.Invoke(t.Context(), getFreeze, payments(), answer); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, fact := range []string{"frozen", "until", "reason", "owners", "bypass_code"} {
		got[fact] = connectortest.State(answer, fact)
	}
	want := map[string]string{"frozen": "value", "until": "none", "reason": "unknown", "owners": "unknown", "bypass_code": "unknown"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if answer.GetObservation().GetAttempts() != 1 || answer.GetObservation().GetUpstreamRequestId() != "req-1" {
		t.Errorf("observation %v", answer.GetObservation())
	}
}

func TestAnswersThatDoNotComeOut(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		answer func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error)
		want   codes.Code
		kind   connectorv1.FaultKind
	}{
		"a panic is internal": {
			answer: func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
				panic("hunter2")
			},
			want: codes.Internal, kind: connectorv1.FaultKind_FAULT_KIND_MALFORMED,
		},
		"a finding keeps its meaning": {
			answer: func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
				return nil, finding.Busy("too many")
			},
			want: codes.ResourceExhausted, kind: connectorv1.FaultKind_FAULT_KIND_BUSY,
		},
		"any other error is internal": {
			answer: func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
				return nil, errors.New("GET https://x/?token=hunter2")
			},
			want: codes.Internal, kind: connectorv1.FaultKind_FAULT_KIND_MALFORMED,
		},
		"no answer and no error is internal": {
			answer: func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
				return nil, nil
			},
			want: codes.Internal, kind: connectorv1.FaultKind_FAULT_KIND_MALFORMED,
		},
		"a fact both none and set is internal": {
			answer: func(ctx context.Context, _ *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
				finding.None(ctx, "frozen")
				return &freezev1.GetFreezeResponse{Frozen: new(false)}, nil
			},
			want: codes.Internal, kind: connectorv1.FaultKind_FAULT_KIND_MALFORMED,
		},
		"an answer of more than 4 MiB is internal": {
			answer: func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
				return &freezev1.GetFreezeResponse{BypassCode: new(strings.Repeat("x", 5<<20))}, nil
			},
			want: codes.Internal, kind: connectorv1.FaultKind_FAULT_KIND_MALFORMED,
		},
		"a deadline of its own is a timeout": {
			answer: func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
				return nil, context.DeadlineExceeded
			},
			want: codes.DeadlineExceeded, kind: connectorv1.FaultKind_FAULT_KIND_TIMEOUT,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := connectortest.Start(t, connector(c.answer), emea())
			for range 2 { // the second call shows that the server outlives the first
				err := client.Invoke(t.Context(), getFreeze, payments(), &freezev1.GetFreezeResponse{})
				if status.Code(err) != c.want {
					t.Fatalf("%v, want code %s", err, c.want)
				}
				if kind, _, _ := finding.Of(err); kind != c.kind {
					t.Errorf("%v is a %s, want %s", err, kind, c.kind)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v lets the text through", err)
				}
			}
		})
	}
}

func TestAnAnswerFromACacheStaysAsItIs(t *testing.T) {
	t.Parallel()
	cached := &freezev1.GetFreezeResponse{Frozen: new(true)}
	client := connectortest.Start(t, connector(func(ctx context.Context, _ *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
		finding.Attempt(ctx, "")
		return cached, nil
	}), emea())
	for range 2 {
		answer := &freezev1.GetFreezeResponse{}
		if err := client.Invoke(t.Context(), getFreeze, payments(), answer); err != nil {
			t.Fatal(err)
		}
		if got := answer.GetObservation().GetAttempts(); got != 1 || cached.Observation != nil {
			t.Errorf("%d attempts, the cache has %v", got, cached.GetObservation())
		}
	}
}

func TestCallsGetADeadline(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	client := connectortest.Start(t, connector(func(ctx context.Context, _ *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return &freezev1.GetFreezeResponse{}, nil
	}), emea())
	bounded, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, c := range []struct {
		ctx      context.Context
		from, to time.Duration
	}{{t.Context(), 25 * time.Second, 30 * time.Second}, {bounded, 0, 5 * time.Second}} {
		if err := client.Invoke(c.ctx, getFreeze, payments(), &freezev1.GetFreezeResponse{}); err != nil {
			t.Fatal(err)
		}
		if got := <-left; got <= c.from || got > c.to {
			t.Errorf("deadline in %s, want between %s and %s", got, c.from, c.to)
		}
	}
}

func TestNothingIsAnsweredBeforeConfiguration(t *testing.T) {
	t.Parallel()
	client := connectortest.Serve(t, connector(nil))
	err := client.Invoke(t.Context(), getFreeze, payments(), &freezev1.GetFreezeResponse{})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("capability: %v", err)
	}
	if _, err := client.CheckHealth(t.Context()); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("health: %v", err)
	}
}

func TestMissingArgumentsNeverReachTheConnector(t *testing.T) {
	t.Parallel()
	client := connectortest.Start(t, connector(func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
		t.Error("was asked")
		return &freezev1.GetFreezeResponse{}, nil
	}), emea())
	for _, team := range []*string{nil, new(""), new("  ")} {
		err := client.Invoke(t.Context(), getFreeze, &freezev1.GetFreezeRequest{Team: team}, &freezev1.GetFreezeResponse{})
		if _, source, _ := finding.Of(err); source != connectorv1.FaultSource_FAULT_SOURCE_QUESTION {
			t.Errorf("team %v: %v", team, err)
		}
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	t.Parallel()
	c := connector(nil)
	c.Validate = func(config *freezev1.Config) []*connectorv1.Diagnostic {
		if config.GetRegion() != "moon" {
			return nil
		}
		return []*connectorv1.Diagnostic{{Severity: connectorv1.Severity_SEVERITY_ERROR, FieldPath: "region", Summary: "no such region"}}
	}
	client := connectortest.Serve(t, c)
	cases := map[string]struct {
		config *freezev1.Config
		want   []string
	}{
		"complete":                   {emea(), nil},
		"empty":                      {&freezev1.Config{}, []string{"region"}},
		"an element of a list":       {&freezev1.Config{Region: "emea", Freezes: []*freezev1.Freeze{{Team: "a"}, {}}}, []string{"freezes[1].team"}},
		"the chosen of a oneof":      {&freezev1.Config{Region: "emea", Source: &freezev1.Config_Feed{Feed: &freezev1.Feed{}}}, []string{"feed.url"}},
		"the vendor's own, and more": {&freezev1.Config{Region: "moon", Freezes: []*freezev1.Freeze{{}}}, []string{"freezes[0].team", "region"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range client.Validate(t, c.config) {
				got = append(got, d.GetFieldPath())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			err := client.Configure(t.Context(), c.config)
			if refused := status.Code(err) == codes.InvalidArgument; refused != (len(c.want) > 0) {
				t.Errorf("configure: %v", err)
			}
		})
	}
}

func TestUnreadableConfigurationsAreDiagnosed(t *testing.T) {
	t.Parallel()
	client := connectortest.Serve(t, connector(nil))
	for name, raw := range map[string][]byte{"truncated": {0x0a, 0x09}, "unknown setting": {0x0a, 0x01, 'x', 0xfa, 0x3f, 0x01, 'y'}} {
		validated, err := connectorv1.NewConnectorServiceClient(client.Conn()).ValidateConfig(t.Context(), &connectorv1.ValidateConfigRequest{Config: raw})
		if err != nil || len(validated.GetDiagnostics()) == 0 {
			t.Errorf("%s: %v, %v", name, validated, err)
		}
	}
}

func TestReconfigurationLetsCallsFinishOnTheOldInstance(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan string), make(chan struct{})
	var opened []*teller
	c := connector(nil)
	c.Open = func(_ context.Context, config *freezev1.Config) (*teller, error) {
		opened = append(opened, &teller{closed: new(atomic.Int32), answer: func(context.Context, *freezev1.GetFreezeRequest) (*freezev1.GetFreezeResponse, error) {
			entered <- config.GetRegion()
			<-leave
			return &freezev1.GetFreezeResponse{Owners: []string{config.GetRegion()}}, nil
		}})
		return opened[len(opened)-1], nil
	}
	client := connectortest.Start(t, c, emea())
	first := make(chan *freezev1.GetFreezeResponse, 1)
	ask := func(into chan<- *freezev1.GetFreezeResponse) {
		answer := &freezev1.GetFreezeResponse{}
		if err := client.Invoke(context.WithoutCancel(t.Context()), getFreeze, payments(), answer); err != nil {
			t.Error(err)
		}
		into <- answer
	}
	go ask(first)
	<-entered
	if err := client.Configure(t.Context(), &freezev1.Config{Region: "apac"}); err != nil {
		t.Fatal(err)
	}
	if opened[0].closed.Load() != 0 {
		t.Error("closed under a call")
	}
	second := make(chan *freezev1.GetFreezeResponse, 1)
	go ask(second)
	if got := <-entered; got != "apac" {
		t.Errorf("new call went to %s", got)
	}
	close(leave)
	if got := (<-first).GetOwners()[0]; got != "emea" {
		t.Errorf("old call finished on %s", got)
	}
	<-second
	waitFor(t, func() bool { return opened[0].closed.Load() == 1 })
	if opened[1].closed.Load() != 0 {
		t.Error("the instance in force was closed")
	}
}

// waitFor polls for what another goroutine is about to do.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("did not happen in 5 s")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestOpenErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want codes.Code
	}{
		"a finding": {finding.Denied("credentials refused"), codes.PermissionDenied},
		"any other": {errors.New("no route"), codes.FailedPrecondition},
	} {
		connector := connector(nil)
		connector.Open = func(context.Context, *freezev1.Config) (*teller, error) { return nil, c.err }
		if err := connectortest.Serve(t, connector).Configure(t.Context(), emea()); status.Code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	c := connector(nil)
	c.Health = func(context.Context, *teller) (*connectorv1.CheckHealthResponse, error) {
		return &connectorv1.CheckHealthResponse{Status: connectorv1.HealthStatus_HEALTH_STATUS_OK}, nil
	}
	health, err := connectortest.Start(t, c, emea()).CheckHealth(t.Context())
	if err != nil || health.GetStatus() != connectorv1.HealthStatus_HEALTH_STATUS_OK {
		t.Errorf("%v, %v", health, err)
	}
	health, err = connectortest.Start(t, connector(nil), emea()).CheckHealth(t.Context())
	if err != nil || health.GetStatus() != connectorv1.HealthStatus_HEALTH_STATUS_UNSPECIFIED {
		t.Errorf("without a health check: %v, %v", health, err)
	}
}

func TestDescriptionIsCompleteAndTheSameEveryTime(t *testing.T) {
	t.Parallel()
	first := connectortest.Serve(t, connector(nil)).Description()
	if !proto.Equal(first, connectortest.Serve(t, connector(nil)).Description()) {
		t.Error("two descriptions of one connector differ")
	}
	var files []string
	for _, f := range first.GetFileDescriptorSet().GetFile() {
		files = append(files, f.GetName())
	}
	want := []string{
		"acme/freeze/v1/freeze.proto", "countersign/connector/v1/observation.proto", "countersign/connector/v1/options.proto",
		"google/protobuf/descriptor.proto", "google/protobuf/timestamp.proto",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{getFreeze}, first.GetCapabilities()); diff != "" || first.GetConfigType() != "acme.freeze.v1.Config" {
		t.Errorf("config %s, capabilities %s", first.GetConfigType(), diff)
	}
}

func TestNothingToConfigure(t *testing.T) {
	t.Parallel()
	c := serve.Connector[*emptypb.Empty, *teller]{
		Name: "plain", Version: "1.0.0", Vendor: "Acme", Capabilities: connector(nil).Capabilities,
		Open: func(context.Context, *emptypb.Empty) (*teller, error) { return &teller{closed: new(atomic.Int32)}, nil },
	}
	if got := connectortest.Start(t, c, &emptypb.Empty{}).Description().GetConfigType(); got != "" {
		t.Errorf("config type %q", got)
	}
}

func TestMistakesOfTheConnectorAreFoundAtStart(t *testing.T) {
	t.Parallel()
	type connectorT = serve.Connector[*freezev1.Config, *teller]
	cases := map[string]struct {
		spoil func(*connectorT)
		want  string
	}{
		"name":         {func(c *connectorT) { c.Name = "Service Now" }, "lower-case"},
		"version":      {func(c *connectorT) { c.Version = "latest" }, "semantic version"},
		"vendor":       {func(c *connectorT) { c.Vendor = "" }, "vendor"},
		"open":         {func(c *connectorT) { c.Open = nil }, "Open"},
		"capabilities": {func(c *connectorT) { c.Capabilities = nil }, "no capabilities"},
		"twice":        {func(c *connectorT) { c.Capabilities = append(c.Capabilities, c.Capabilities...) }, "twice"},
		"wrong types": {func(c *connectorT) {
			c.Capabilities[0] = serve.Unary(ticketv1.TicketService_GetTicket_FullMethodName, (*teller).GetFreeze)
		}, "takes a"},
		"unknown method": {func(c *connectorT) {
			c.Capabilities[0] = serve.Unary("/acme.freeze.v1.FreezeService/Thaw", (*teller).GetFreeze)
		}, "not found"},
		"no observation": {func(c *connectorT) {
			c.Capabilities[0] = serve.Unary(connectorv1.ConnectorService_Configure_FullMethodName, configure)
		}, "observation"},
		"several mistakes": {func(c *connectorT) { c.Name, c.Open = "", nil }, "\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spoilt := connector(nil)
			c.spoil(&spoilt)
			if _, err := serve.NewServer(spoilt, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want one about %q", err, c.want)
			}
		})
	}
}

func configure(*teller, context.Context, *connectorv1.ConfigureRequest) (*connectorv1.ConfigureResponse, error) { //nolint:revive // the shape of a method expression
	return nil, nil
}
