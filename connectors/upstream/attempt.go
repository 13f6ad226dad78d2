package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/connectors/finding"
)

const (
	defaultAttempt = 2200 * time.Millisecond
	minAttempt     = 100 * time.Millisecond
	maxAttempt     = 10 * time.Second
	// worthwhile is the least time in which an attempt has a chance. A deadline that does not leave two
	// of them gets one attempt with all of its time.
	worthwhile = 250 * time.Millisecond
)

var (
	errTooLarge = errors.New("the answer is too large")
	errEncoding = errors.New("the answer has a content encoding nobody asked for")
)

type (
	callKey    struct{}
	refusedKey struct{}
)

// call is what is known of one call while it is on its way; only its own goroutine touches it.
type call struct {
	repeatable bool
	// try counts from 0.
	try int
	// wait is how long to wait before the next try.
	wait time.Duration
}

func (c *call) mayRepeat() bool { return c.repeatable && c.try < maxRetries }

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// attempts carries out single attempts: each is counted, has its own share of the time, and has been
// read to its end when it is handed on, so that a body that breaks off counts as a failed attempt.
type attempts struct {
	next      http.RoundTripper
	timeout   time.Duration
	maxBytes  int64
	requestID string
}

// RoundTrip implements [http.RoundTripper].
func (a *attempts) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), attemptTime(r.Context(), a.timeout))
	defer cancel()
	resp, err := a.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		finding.Attempt(ctx, "")
		return nil, err
	}
	finding.Attempt(ctx, printable(resp.Header.Get(a.requestID)))
	if err := a.read(resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// CloseIdleConnections lets [http.Client] close the connections of the wrapped transport.
func (a *attempts) CloseIdleConnections() {
	if closer, ok := a.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// attemptTime is what one attempt may take: the configured time, but no more than its share of what the
// deadline leaves.
func attemptTime(ctx context.Context, limit time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return limit
	}
	left := time.Until(deadline)
	if callOf(ctx).mayRepeat() && left >= 2*worthwhile {
		left /= 2
	}
	return min(limit, left)
}

func (a *attempts) read(resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return errEncoding
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, a.maxBytes+1))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(body)) > a.maxBytes {
		return errTooLarge
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// printable drops what does not belong into a log line from an identifier that the upstream chose.
func printable(id string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, id)
}
