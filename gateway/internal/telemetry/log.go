package telemetry

import (
	"bufio"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Log is a slog logger that writes behind the back of its callers: a slow terminal or disk delays no
// answer. Lines that find the queue full are dropped and counted.
type Log struct {
	*slog.Logger
	queue *queue
}

// Format is the form of the lines.
type Format string

// The formats.
const (
	JSON Format = "json"
	Text Format = "text"
)

// NewLog starts a log to w. Close writes out what is queued.
func NewLog(w io.Writer, level slog.Level, format Format) *Log {
	const lines = 4096
	q := &queue{lines: make(chan []byte, lines), to: w}
	q.writing.Go(q.write)
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewJSONHandler(q, options)
	if format == Text {
		handler = slog.NewTextHandler(q, options)
	}
	return &Log{Logger: slog.New(handler), queue: q}
}

// Dropped is how many lines were lost so far because the queue was full.
func (l *Log) Dropped() uint64 { return l.queue.dropped.Load() }

// Close writes out what is queued. Lines logged afterwards are dropped.
func (l *Log) Close() error {
	l.queue.close()
	return nil
}

// queue is an io.Writer that never blocks and never fails.
type queue struct {
	mu      sync.RWMutex
	closed  bool
	lines   chan []byte
	to      io.Writer
	dropped atomic.Uint64
	writing sync.WaitGroup
}

// Write takes one line; slog calls it once a record.
func (q *queue) Write(line []byte) (int, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		q.dropped.Add(1)
		return len(line), nil
	}
	select {
	case q.lines <- append([]byte(nil), line...):
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

// write gathers lines into larger writes and flushes when none are waiting.
func (q *queue) write() {
	const buffer = 64 << 10
	out := bufio.NewWriterSize(q.to, buffer)
	for line := range q.lines {
		_, _ = out.Write(line)
		if len(q.lines) == 0 {
			_ = out.Flush()
		}
	}
	_ = out.Flush()
}

func (q *queue) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	const patience = 2 * time.Second
	written := make(chan struct{})
	go func() {
		q.writing.Wait()
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(patience): // a stuck terminal does not keep the gateway from ending
	}
}
