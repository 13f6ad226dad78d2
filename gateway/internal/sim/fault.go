package sim

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// FaultKind is a way in which a tenant's documents go wrong.
type FaultKind string

// The faults. The zero value is none.
const (
	// Down cuts the connection without an answer.
	Down FaultKind = "down"
	// Slow answers rightly, after the fault's delay.
	Slow FaultKind = "slow"
	// Refusing answers 503 with Retry-After.
	Refusing FaultKind = "refusing"
	// Garbage answers 200 with a sign-in page.
	Garbage FaultKind = "garbage"
	// Empty answers 200 with a JSON object that has no keys and no issuer.
	Empty FaultKind = "empty"
	// Huge answers 200 with JSON of 8 MiB.
	Huge FaultKind = "huge"
	// Redirecting answers 302 to another host.
	Redirecting FaultKind = "redirecting"
)

// Fault is what is wrong with a tenant's documents.
type Fault struct {
	Kind FaultKind
	// Delay is how long Slow takes.
	Delay time.Duration
}

// SetFault makes the given documents go wrong from now on, all of them if none is given. The zero
// fault makes them right again.
func (t *Tenant) SetFault(f Fault, documents ...Document) {
	if len(documents) == 0 {
		documents = Documents()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range documents {
		t.faults[d] = f
	}
}

// spoil answers in the way of the fault and reports whether it did.
func (f Fault) spoil(w http.ResponseWriter, r *http.Request) bool {
	switch f.Kind {
	case Down:
		panic(http.ErrAbortHandler)
	case Slow:
		return !wait(r, f.Delay)
	case Refusing:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
	case Garbage:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Sign in to your account</title>")
	case Empty:
		writeJSON(w, http.StatusOK, object{{"keys", []object{}}})
	case Huge:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, `{"issuer":"`+strings.Repeat("a", hugeSize)+`","keys":[]}`)
	case Redirecting:
		w.Header().Set("Location", "https://keys.example.invalid/keys")
		w.WriteHeader(http.StatusFound)
	default:
		return false
	}
	return true
}

const hugeSize = 8 << 20

// wait reports whether the client was still there after the delay.
func wait(r *http.Request, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
