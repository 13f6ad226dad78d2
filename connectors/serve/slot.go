package serve

import (
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
)

// slot holds the instance in force and closes the ones before it when their last call is over.
type slot[I any] struct {
	log     *slog.Logger
	mu      sync.Mutex
	current *tenant[I]
	closing sync.WaitGroup
}

type tenant[I any] struct {
	instance I
	calls    int
	retired  bool
}

// acquire returns the tenant in force, nil before the first; release must follow.
func (s *slot[I]) acquire() *tenant[I] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.current.calls++
	}
	return s.current
}

func (s *slot[I]) release(t *tenant[I]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.calls--
	s.settle(t)
}

// replace puts a tenant in force, none if it is nil.
func (s *slot[I]) replace(next *tenant[I]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current
	s.current = next
	if old != nil {
		old.retired = true
		s.settle(old)
	}
}

// settle closes a retired instance that nobody uses, away from the call that used it last.
func (s *slot[I]) settle(t *tenant[I]) {
	closer, ok := any(t.instance).(io.Closer)
	if ok && t.retired && t.calls == 0 {
		s.closing.Go(func() { s.close(closer) })
	}
}

func (s *slot[I]) close(closer io.Closer) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("closing an instance panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	if err := closer.Close(); err != nil {
		s.log.Warn("an instance did not close cleanly", slog.Any("error", err))
	}
}
