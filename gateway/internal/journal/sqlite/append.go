package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
)

const (
	// largestBatch is how many records share a commit at most.
	largestBatch = 64
	// firstRetry and longestRetry bound the wait before the file is opened anew after an error.
	firstRetry   = 50 * time.Millisecond
	longestRetry = 5 * time.Second
)

var (
	errClosed    = errors.New("journal is closed")
	errQueueFull = errors.New("too many records are waiting to be written")
)

// request is what a caller waits for: a record to be written or, without one, a check.
type request struct {
	ctx  context.Context //nolint:containedctx // the caller's, for as long as it waits
	row  *journal.Row
	done chan error
}

// Append writes the record, together with whatever else waits, and returns when it is on disk.
func (s *Store) Append(ctx context.Context, r journal.Record) error {
	row, err := s.codec.Row(r)
	if err != nil {
		return unavailable(err)
	}
	return s.submit(&request{ctx: ctx, row: &row, done: make(chan error, 1)})
}

// Check commits a change outside the entries, the way a record would be.
func (s *Store) Check(ctx context.Context) error {
	return s.submit(&request{ctx: ctx, done: make(chan error, 1)})
}

func (s *Store) submit(r *request) error {
	if down := s.down.Load(); down != nil {
		return unavailable(down.err)
	}
	select {
	case <-s.closing:
		return unavailable(errClosed)
	case s.queue <- r:
	default:
		return unavailable(errQueueFull)
	}
	select {
	case err := <-r.done:
		return err
	case <-r.ctx.Done():
		return unavailable(r.ctx.Err())
	case <-s.stopped:
		return r.answered()
	}
}

// answered is the answer if there was one before the writer ended.
func (r *request) answered() error {
	select {
	case err := <-r.done:
		return err
	default:
		return unavailable(errClosed)
	}
}

// run is the writer goroutine: the only place that writes.
func (s *Store) run() {
	defer close(s.stopped)
	ticker := time.NewTicker(s.settings.CheckpointInterval)
	defer ticker.Stop()
	for {
		select {
		case first := <-s.queue:
			s.write(s.collect(first))
		case <-ticker.C:
			s.write(nil)
		case <-s.writer.retry:
			s.reopen()
		case <-s.closing:
			s.finish()
			return
		}
	}
}

// finish writes what was accepted before Close, and the last checkpoint.
func (s *Store) finish() {
	for {
		select {
		case first := <-s.queue:
			s.write(s.collect(first))
		default:
			s.write(nil)
			return
		}
	}
}

// collect takes along what is waiting. What nobody waits for any more is left out: a record of an
// answer that was not given would be repeated to the next delivery.
func (s *Store) collect(first *request) []*request {
	batch := make([]*request, 0, largestBatch)
	for next := first; ; {
		if err := next.ctx.Err(); err != nil {
			next.done <- unavailable(err)
		} else {
			batch = append(batch, next)
		}
		if len(batch) == largestBatch {
			return batch
		}
		select {
		case next = <-s.queue:
		default:
			return batch
		}
	}
}

// write commits a batch and answers its callers. An empty one stands for the checkpoint that is due.
func (s *Store) write(batch []*request) {
	if down := s.down.Load(); down != nil {
		answer(batch, down.err)
		return
	}
	results, err := s.writer.commit(batch)
	if err != nil {
		s.fail(err)
		answer(batch, err)
		return
	}
	for i, r := range batch {
		r.done <- results[i]
	}
	if s.copier != nil {
		s.copier.wake()
	}
}

func answer(batch []*request, err error) {
	for _, r := range batch {
		r.done <- unavailable(err)
	}
}
