// Package fault makes a stand-in of an upstream fail the way real upstreams do.
package fault

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Fault is one way to fail. Its fields combine: a delay comes first, then the first of Hang, Reset and
// an answer with Status or Body. The zero Fault changes nothing.
type Fault struct {
	// Delay is how long an answer is held back.
	Delay time.Duration
	// Hang never answers; the caller has to give up.
	Hang bool
	// Reset closes the connection in the middle of the answer.
	Reset bool
	// Status is answered instead of the truth; 0 means 200 where Body is set.
	Status int
	// Body goes with Status.
	Body string
	// ContentType goes with Body; application/json if empty.
	ContentType string
	// Header is added to the answer.
	Header http.Header
}

// Garbage answers bytes that are no JSON, and says that they are.
func Garbage() *Fault { return &Fault{Body: "\x00\xff{{{not json"} }

// HTML answers a web page with status 200, as login pages and parked hosts do.
func HTML() *Fault {
	return &Fault{Body: "<!doctype html><title>Sign in</title><h1>Sign in</h1>", ContentType: "text/html; charset=utf-8"}
}

// Injector holds the fault in force. Embedded in a stand-in it gives it the methods SetFault and
// SetFaultAt.
type Injector struct {
	mu    sync.Mutex
	fault *Fault
	path  string
}

// SetFault makes every answer fail like this until the next call; nil ends it.
func (i *Injector) SetFault(f *Fault) { i.SetFaultAt("", f) }

// SetFaultAt is SetFault for the requests alone whose path contains a text, such as "/time_off/".
func (i *Injector) SetFaultAt(path string, f *Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fault, i.path = f, path
}

// Intercept fails the request if a fault is in force, and says whether it has dealt with the request.
func (i *Injector) Intercept(w http.ResponseWriter, r *http.Request) bool {
	i.mu.Lock()
	f, path := i.fault, i.path
	i.mu.Unlock()
	if f == nil || !strings.Contains(r.URL.Path, path) {
		return false
	}
	if !f.wait(r) {
		return true
	}
	switch {
	case f.Reset:
		breakOff(w)
	case f.Status == 0 && f.Body == "":
		return false
	default:
		f.answer(w)
	}
	return true
}

// wait holds the answer back; false means that the caller has given up. The server of net/http notices
// that only when it has read the body, which is put back for the truth.
func (f *Fault) wait(r *http.Request) bool {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if f.Hang {
		<-r.Context().Done()
		return false
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

func (f *Fault) answer(w http.ResponseWriter) {
	maps.Copy(w.Header(), f.Header)
	contentType, status := f.ContentType, f.Status
	if contentType == "" {
		contentType = "application/json"
	}
	if status == 0 {
		status = http.StatusOK
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, f.Body)
}

// breakOff promises more than it sends. The server of net/http turns this panic into a closed
// connection.
func breakOff(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "{")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
