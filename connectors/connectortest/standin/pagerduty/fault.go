package pagerduty

import (
	"net/http"
	"time"
)

// Fault makes every answer wrong in one way, as an upstream in trouble does. A Status of 429 comes with
// PagerDuty's own header ratelimit-reset and without Retry-After.
type Fault struct {
	// Delay waits before anything else happens.
	Delay time.Duration
	// Status replaces the status; 0 leaves the true answer alone unless Body is set, which is then sent with 200.
	Status int
	// Body replaces the body.
	Body string
	// ContentType goes with Body; application/json if empty.
	ContentType string
	// Hang never answers; it ends when the client gives up.
	Hang bool
}

// SetFault puts a fault into force; nil clears it.
func (s *Server) SetFault(f *Fault) { s.change(func() { s.fault = f }) }

// faulty carries out the fault in force and says whether the request has been dealt with.
func (s *Server) faulty(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	f := s.fault
	s.mu.Unlock()
	if f == nil {
		return false
	}
	if f.Hang {
		<-r.Context().Done()
		return true
	}
	select {
	case <-time.After(f.Delay):
	case <-r.Context().Done():
		return true
	}
	if f.Status == 0 && f.Body == "" {
		return false
	}
	f.write(w)
	return true
}

func (f *Fault) write(w http.ResponseWriter) {
	contentType := f.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	status := f.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("ratelimit-reset", "30")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(f.Body))
}
