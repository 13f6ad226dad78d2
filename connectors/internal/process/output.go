package process

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of what a process may log.
const (
	maxLine      = 8 << 10 // bytes of one line; the rest of the line is cut
	maxPerSecond = 500     // lines; the rest of the second is dropped and counted
	maxLast      = 64      // lines kept for the report of an exit
	maxLastLine  = 1 << 10 // bytes kept of each of them
)

// output turns what a process writes into log records, within bounds. Nothing a process can write makes
// it fail: there is no format that a line has to have.
type output struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	kept    []string
	second  time.Time
	count   int
	dropped int
}

func newOutput(log *slog.Logger, now func() time.Time) *output { return &output{log: log, now: now} }

// pump reads until the writing end is closed.
func (o *output) pump(r io.Reader) {
	l := &lines{to: o}
	_, _ = io.Copy(l, r)
	l.flush()
	o.report()
}

// line takes one line.
func (o *output) line(line string, cut bool) {
	if line == "" {
		return
	}
	line = strings.ToValidUTF8(line, "\uFFFD")
	o.remember(line)
	if dropped, ok := o.admit(); ok {
		o.reportDropped(dropped)
		record(o.log, line, cut)
	}
}

// remember keeps a line for the report of an exit.
func (o *output) remember(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) == maxLast {
		o.kept = append(o.kept[:0], o.kept[1:]...)
	}
	o.kept = append(o.kept, shorten(line, maxLastLine))
}

func (o *output) last() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.kept...)
}

// admit reports whether this second still has room, and how many lines were dropped before it.
func (o *output) admit() (dropped int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); now.Sub(o.second) >= time.Second || now.Before(o.second) {
		dropped, o.second, o.count, o.dropped = o.dropped, now, 0, 0
	}
	o.count++
	if o.count > maxPerSecond {
		o.dropped++
		return 0, false
	}
	return dropped, true
}

func (o *output) report() {
	o.mu.Lock()
	dropped := o.dropped
	o.dropped = 0
	o.mu.Unlock()
	o.reportDropped(dropped)
}

func (o *output) reportDropped(dropped int) {
	if dropped > 0 {
		o.log.Warn("connector logs too much", slog.Int("dropped_lines", dropped), slog.Int("lines_per_second", maxPerSecond))
	}
}

// lines is a writer that cuts a stream into lines of bounded length.
type lines struct {
	to  *output
	buf []byte
	cut bool
}

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p[:min(len(p), maxLine)], '\n')
		switch {
		case end >= 0:
			l.add(p[:end])
			l.flush()
			p = p[end+1:]
		default:
			end = min(len(p), maxLine)
			l.add(p[:end])
			p = p[end:]
		}
	}
	return n, nil
}

func (l *lines) add(p []byte) {
	room := maxLine - len(l.buf)
	l.cut = l.cut || len(p) > room
	l.buf = append(l.buf, p[:min(len(p), room)]...)
}

func (l *lines) flush() {
	l.to.line(strings.TrimRight(string(l.buf), "\r"), l.cut)
	l.buf, l.cut = l.buf[:0], false
}

// shorten cuts at the beginning of a character.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
