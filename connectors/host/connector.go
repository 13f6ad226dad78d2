package host

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/countersign/countersign/connectors/internal/process"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Connector is one connector: a process, and the will to have one. It is safe for concurrent use.
type Connector struct {
	launcher
	cancel context.CancelFunc
	done   chan struct{} // closed when supervision has ended and no process is left

	mu          sync.Mutex
	changed     chan struct{} // closed and replaced at every change of what follows
	state       State
	current     *instance
	description *Description
	wasReady    bool
	restarts    int
	last        *Exit
	problem     error
	next        time.Time
	calls       int
	closing     bool
}

// State is what a connector is doing.
type State string

// The states. Only a ready connector answers.
const (
	Starting   State = "starting"   // for the first time
	Ready      State = "ready"      // it answers
	Restarting State = "restarting" // its process has ended and another comes
	Failed     State = "failed"     // see Status.Problem; Status.Next says when it is tried again
	Draining   State = "draining"   // closing: calls under way finish
	Stopped    State = "stopped"
)

// Status is a connector's state with what an operator asks next.
type Status struct {
	State    State
	Restarts int
	// Problem is why it is not ready; nil if it is.
	Problem error
	// Next is when it is started again; zero if it is ready or closed.
	Next time.Time
	// LastExit is how its last process ended; nil if none has.
	LastExit *Exit
	PID      int
	// Version is what the connector calls itself; empty before it was described.
	Version string
	SHA256  string
}

// Exit is how a process ended: the reason, when, and the last lines it wrote.
type Exit = process.Exit

// Start starts a connector and returns when it is ready: verified, probed, described, validated and
// configured. Afterwards its process is restarted whenever it ends, for as long as the connector is not
// closed: if that keeps failing, every few minutes. A *ConfigError says that the configuration is to blame.
func Start(ctx context.Context, spec Spec, o Options) (*Connector, error) {
	c := newConnector(spec, o)
	first, err := c.launch(ctx)
	if err != nil {
		return nil, err
	}
	c.supervise(context.WithoutCancel(ctx), first)
	return c, nil
}

// StartInBackground starts a connector and returns at once. Until it is ready it is starting or failed,
// and it is tried again until it is closed: at least every 30 s, or every 5 min if its configuration is to
// blame.
func StartInBackground(spec Spec, o Options) *Connector {
	c := newConnector(spec, o)
	c.supervise(context.Background(), nil)
	return c
}

// Inspect starts a program, learns what it is and what it says about its configuration, and stops it.
// The description is not nil if the program could be described.
func Inspect(ctx context.Context, spec Spec, o Options) (*Description, []*connectorv1.Diagnostic, error) {
	l := newLauncher(spec, o)
	i, err := l.begin(ctx)
	if err != nil {
		return nil, nil, l.named(err)
	}
	defer i.stop(ctx)
	_, diagnostics, err := l.validate(ctx, i)
	return i.description, diagnostics, l.named(err)
}

func newLauncher(spec Spec, o Options) launcher {
	o = o.orDefaults()
	return launcher{spec: spec, limits: spec.Limits.orDefaults(), options: o, log: o.Logger.With(slog.String("connector", spec.Name))}
}

func newConnector(spec Spec, o Options) *Connector {
	return &Connector{
		launcher: newLauncher(spec, o), state: Starting, description: spec.Description,
		changed: make(chan struct{}), done: make(chan struct{}),
	}
}

// Description returns what the connector said about itself at its first start; before that it is
// Spec.Description, which may be nil.
func (c *Connector) Description() *Description {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.description
}

// Status returns the connector's state.
func (c *Connector) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{State: c.state, Restarts: c.restarts, Problem: c.problem, Next: c.next, LastExit: c.last, SHA256: c.spec.SHA256}
	if c.current != nil {
		s.PID = c.current.process.PID()
	}
	if c.description != nil {
		s.Version = c.description.Version
	}
	return s
}

// CheckHealth asks the connector for the state of its upstream. A connector that is not ready is not
// waited for.
func (c *Connector) CheckHealth(ctx context.Context) (*connectorv1.CheckHealthResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limits.CallTimeout)
	defer cancel()
	c.mu.Lock()
	i, state := c.current, c.state
	c.mu.Unlock()
	if i == nil || state != Ready {
		return nil, c.down("is " + string(state))
	}
	return connectorv1.NewConnectorServiceClient(i.conn).CheckHealth(ctx, &connectorv1.CheckHealthRequest{})
}

// Close refuses new calls, lets those under way finish for at most Limits.DrainTimeout, and stops the
// process within Limits.StopTimeout. When ctx ends it stops draining. The error says how many calls were
// cut off.
func (c *Connector) Close(ctx context.Context) error {
	c.change(func() {
		c.closing = true
		if c.state == Ready {
			c.state = Draining
		}
	})
	left := c.drain(ctx)
	c.cancel()
	<-c.done
	c.change(func() { c.state, c.current, c.next = Stopped, nil, time.Time{} })
	if left > 0 {
		return fmt.Errorf("connector %s: %d calls were cut off", c.spec.Name, left)
	}
	return nil
}

// drain waits for the calls under way and returns how many are left.
func (c *Connector) drain(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, c.limits.DrainTimeout)
	defer cancel()
	for {
		c.mu.Lock()
		calls, changed := c.calls, c.changed
		c.mu.Unlock()
		if calls == 0 {
			return 0
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return calls
		}
	}
}

// change changes the state under the lock and wakes everybody who waits for a change.
func (c *Connector) change(how func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	how()
	close(c.changed)
	c.changed = make(chan struct{})
}

// down is the status of a call that no process answered. Its fault is the connector's own.
func (c *Connector) down(why string) error {
	return fault(codes.Unavailable, connectorv1.FaultKind_FAULT_KIND_UNAVAILABLE, "connector "+c.spec.Name+" "+why)
}
