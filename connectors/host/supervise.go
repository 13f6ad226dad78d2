package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"
)

// How a connector whose process ends is treated.
const (
	firstPause    = 200 * time.Millisecond
	longestPause  = 30 * time.Second
	resignedPause = 5 * time.Minute  // once the budget is used up, or the configuration is to blame
	healthyFor    = 60 * time.Second // after this long the pauses begin anew
	crashBudget   = 5                // ends within crashWindow that are one too many
	crashWindow   = 10 * time.Minute
	missesAllowed = 3 // health probes without an answer after which a process counts as hung
)

// supervise starts the goroutine that keeps a process running until ctx ends; first may be nil.
func (c *Connector) supervise(ctx context.Context, first *instance) {
	ctx, cancel := context.WithCancel(ctx)
	c.cancel = cancel
	s := supervisor{Connector: c}
	if first != nil {
		s.admit(first) // before Start returns, so that a call right after it finds the connector ready
	}
	go func() {
		defer close(c.done)
		defer cancel()
		s.run(ctx, first)
	}()
}

// supervisor is what the one goroutine that supervises a connector knows.
type supervisor struct {
	*Connector
	attempts int         // starts since the connector was healthy
	resigned bool        // whether somebody has to help, and only the long pause remains
	crashes  []time.Time // ends within the window
}

// run keeps a process running until ctx ends.
func (s *supervisor) run(ctx context.Context, i *instance) {
	for {
		if i == nil {
			i = s.bringUp(ctx)
		}
		if i == nil {
			return
		}
		since := s.options.Now()
		reason := s.watch(ctx, i)
		if ctx.Err() != nil {
			i.stop(ctx)
			return
		}
		if s.ended(i, reason, since) {
			return
		}
		i = nil
	}
}

// admit makes a new instance the one that answers.
func (s *supervisor) admit(i *instance) {
	s.change(func() {
		if s.wasReady {
			s.restarts++
		}
		s.wasReady = true
		s.current, s.problem, s.next = i, nil, time.Time{}
		if s.description == nil {
			s.description = i.description
		}
		if s.state = Ready; s.closing {
			s.state = Draining
		}
	})
	s.resigned = false
	d := i.description
	s.log.Info("connector ready", slog.String("plugin", d.Name), slog.String("version", d.Version), slog.String("vendor", d.Vendor),
		slog.Int("pid", i.process.PID()))
}

// bringUp starts an instance, again and again if need be; nil if ctx ended.
func (s *supervisor) bringUp(ctx context.Context) *instance {
	for {
		if !s.pause(ctx) {
			return nil
		}
		i, err := s.launch(ctx)
		if err == nil && s.description != nil && !sameDescription(s.description, i.description) {
			i.stop(ctx)
			err = fmt.Errorf("connector %s: describes itself otherwise than at its first start", s.spec.Name)
		}
		if err == nil {
			s.admit(i)
			return i
		}
		if ctx.Err() != nil {
			return nil
		}
		s.notBroughtUp(err)
	}
}

// pause waits before a start; the very first needs no pause.
func (s *supervisor) pause(ctx context.Context) bool {
	wait := time.Duration(0)
	switch {
	case s.resigned:
		wait = s.options.Jitter(resignedPause)
	case s.attempts > 0:
		wait = s.options.Jitter(min(longestPause, firstPause<<min(s.attempts-1, 10)))
	}
	s.attempts++
	s.change(func() { s.next = s.options.Now().Add(wait) })
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// notBroughtUp records a start that failed. Only a connector that was ready before uses up a budget: the
// file of another may appear, its upstream may come back.
func (s *supervisor) notBroughtUp(err error) {
	var config *ConfigError
	switch {
	case errors.As(err, &config):
		s.resign(err, "correct the configuration, or what it refers to, then restart the gateway")
		return
	case s.resigned || s.wasReady && s.spent():
		s.resign(err, "find out why it does not start, repair it, then restart the gateway")
		return
	}
	s.change(func() {
		s.problem = err
		if !s.wasReady {
			s.state = Failed
		}
	})
	s.log.Warn("connector did not start", slog.Any("error", err), slog.Int("attempt", s.attempts))
}

// ended records the end of an instance and reports whether it was the last since the connector closes.
func (s *supervisor) ended(i *instance, reason string, since time.Time) (last bool) {
	i.discard()
	exit := i.process.Exit()
	if reason != "" {
		exit.Reason = reason
	}
	problem := fmt.Errorf("connector %s: its process ended: %s", s.spec.Name, exit.Reason)
	closing := false
	s.change(func() {
		s.current, s.last, s.problem, s.state = nil, &exit, problem, Restarting
		closing = s.closing
	})
	s.log.Error("connector process ended", slog.String("reason", exit.Reason), slog.Int("pid", i.process.PID()), slog.Any("last_lines", exit.Lines))
	if closing {
		return true
	}
	if s.options.Now().Sub(since) >= healthyFor {
		s.attempts = 0
	}
	s.attempts = max(s.attempts, 1)
	if s.spent() {
		s.resign(problem, "read its last lines, repair or replace the program, then restart the gateway")
	}
	return false
}

// spent counts an end and reports whether the budget is used up.
func (s *supervisor) spent() bool {
	now := s.options.Now()
	recent := s.crashes[:0]
	for _, at := range append(s.crashes, now) {
		if now.Sub(at) < crashWindow {
			recent = append(recent, at)
		}
	}
	s.crashes = recent
	return len(recent) >= crashBudget
}

// resign leaves the connector failed but for a start now and then. Somebody has to help; if what is wrong
// goes away by itself, such as a file that was not there, nobody has to restart the gateway for it.
func (s *supervisor) resign(err error, remedy string) {
	s.resigned = true
	s.change(func() { s.state, s.problem, s.next = Failed, err, s.options.Now().Add(resignedPause) })
	s.log.Error("connector failed", slog.Any("error", err), slog.String("remedy", remedy), slog.Duration("tried_again_within", resignedPause))
}

// watch returns when the process has ended or ctx has. A process that does not answer its health probes
// is killed; the reason says so.
func (s *supervisor) watch(ctx context.Context, i *instance) (reason string) {
	ticker := time.NewTicker(s.options.ProbeEvery)
	defer ticker.Stop()
	misses := 0
	for misses < missesAllowed {
		select {
		case <-i.process.Exited():
			return ""
		case <-ctx.Done():
			return ""
		case <-ticker.C:
			misses = s.missed(ctx, i, misses)
		}
	}
	i.process.Signal(syscall.SIGKILL)
	<-i.process.Exited()
	return fmt.Sprintf("killed: %d health probes without an answer", misses)
}

// missed probes an instance and returns the misses in a row. The end of the process ends the probe.
func (s *supervisor) missed(ctx context.Context, i *instance, misses int) int {
	probing, cancel := context.WithTimeout(ctx, s.options.ProbeTimeout)
	defer cancel()
	defer context.AfterFunc(i.alive, cancel)() //nolint:contextcheck // the end of the process is a context of its own
	err := i.probe(probing)
	if err == nil || ctx.Err() != nil || i.alive.Err() != nil {
		return 0
	}
	s.log.Warn("connector missed a health probe", slog.Any("error", err), slog.Int("misses", misses+1))
	return misses + 1
}

// discard frees what belongs to an instance whose process has ended.
func (i *instance) discard() {
	_ = i.conn.Close()
	i.process.CloseLifeline()
	i.stdio.Wait()
}

// sameDescription reports whether a restarted connector still is what policies were checked against.
func sameDescription(a, b *Description) bool { return proto.Equal(a.Raw, b.Raw) }
