// Package sim stands in for Microsoft's side of a callout: a [Tenant] that publishes signing keys and
// issues tokens as Entra ID does, a [PIM] that delivers callouts with PIM's timeout and retries and
// judges the answer as strictly as PIM may, and [Body], which writes the three request shapes.
//
// It serves the demonstration, the simulate command and tests. The serving path never imports it, and
// it never decides: whatever it is answered, it reports.
package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// The limits of a registration (customExtensionClientConfiguration in Microsoft Graph).
const (
	MinTimeout = time.Second
	MaxTimeout = 60 * time.Second
	MaxRetries = 5
)

// DefaultTimeout is the timeout of Microsoft's example.
const DefaultTimeout = 10 * time.Second

// PIM calls one registered custom extension as Microsoft Entra PIM does. It is safe for concurrent use.
type PIM struct {
	// Target is the registered URL. It is called verbatim and redirects are not followed.
	Target string
	// Timeout is the registered timeout, 1 s to 60 s; 10 s if zero. It covers the whole of an attempt.
	Timeout time.Duration
	// Retries is the registered maximum of retries, 0 to 5.
	Retries int
	// Pause lies between two attempts. Microsoft has published none, and none is the meanest.
	Pause time.Duration
	// Token fetches the bearer token of an attempt; attempts carry none if nil.
	Token func(context.Context) (string, error)
	// Transport sends the requests; http.DefaultTransport if nil.
	Transport http.RoundTripper
}

// Request is one callout to deliver, with what may go wrong on PIM's side of it.
type Request struct {
	Body []byte
	// Token is sent in place of PIM's own.
	Token string
	// Copies is how many deliveries of an attempt are under way at the same time; 1 if zero.
	Copies int
	// HangUpAfter cuts the first attempt short, as if its timeout were this; never if zero.
	HangUpAfter time.Duration
}

// Delivery is what came of a callout.
type Delivery struct {
	// Attempts in the order in which they began.
	Attempts []Attempt
	// Answer is the first acceptable answer; nil if none came.
	Answer *Answer
	// Took is the time from the first attempt to the end of the last.
	Took time.Duration
	// Err says why there is no answer.
	Err error
}

// Attempt is one HTTP request of a delivery.
type Attempt struct {
	// Number counts attempts, Copy the simultaneous requests of one; both from 1.
	Number, Copy int
	StartedAt    time.Time
	Took         time.Duration
	// Status is the HTTP status; 0 if no whole answer came.
	Status int
	// Body is what was answered, as far as it came.
	Body []byte
	// Answer is what the body says; nil if PIM cannot accept it.
	Answer *Answer
	// Err says why PIM cannot accept it.
	Err error
}

// Identical reports whether every attempt that was answered got the same bytes.
func (d Delivery) Identical() bool {
	var first []byte
	for _, a := range d.Attempts {
		switch {
		case a.Status == 0:
		case first == nil:
			first = a.Body
		case !bytes.Equal(first, a.Body):
			return false
		}
	}
	return true
}

// Status is the HTTP status of the last attempt that was answered; 0 if none was.
func (d Delivery) Status() int {
	status := 0
	for _, a := range d.Attempts {
		if a.Status != 0 {
			status = a.Status
		}
	}
	return status
}

// ErrUnanswered means that no attempt of a delivery was answered with anything.
var ErrUnanswered = errors.New("no answer")

// Validate says what Microsoft Graph would refuse about the registration. Graph refuses plain HTTP as
// well, which is accepted here for stand-ins on the same machine.
func (p PIM) Validate() error {
	target, err := url.Parse(p.Target)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	switch timeout := p.timeout(); {
	case target.Host == "" || target.Scheme != "https" && target.Scheme != "http":
		return fmt.Errorf("target %q: not an absolute URL", p.Target)
	case timeout < MinTimeout || timeout > MaxTimeout:
		return fmt.Errorf("timeout %s: not between %s and %s", timeout, MinTimeout, MaxTimeout)
	case p.Retries < 0 || p.Retries > MaxRetries:
		return fmt.Errorf("retries %d: not between 0 and %d", p.Retries, MaxRetries)
	}
	return nil
}

// Activate delivers one callout. It tries again after a timeout, a broken connection and any status
// but 200, as often as is registered; an answer with status 200 ends the delivery, acceptable or not.
func (p PIM) Activate(ctx context.Context, r Request) Delivery {
	if err := p.Validate(); err != nil {
		return Delivery{Err: err}
	}
	var d Delivery
	began := time.Now()
	for number := 1; number <= p.Retries+1; number++ {
		if number > 1 && !sleep(ctx, p.Pause) {
			break
		}
		attempts := p.attempt(ctx, r, number)
		d.Attempts = append(d.Attempts, attempts...)
		if settled(attempts) || ctx.Err() != nil {
			break
		}
	}
	d.Took = time.Since(began)
	d.conclude()
	return d
}

func (d *Delivery) conclude() {
	d.Err = ErrUnanswered
	for _, a := range d.Attempts {
		if a.Answer != nil {
			d.Answer, d.Err = a.Answer, nil
			return
		}
		if a.Err != nil {
			d.Err = a.Err
		}
	}
}

func settled(attempts []Attempt) bool {
	for _, a := range attempts {
		if a.Status == http.StatusOK {
			return true
		}
	}
	return false
}

// attempt sends every copy of one attempt at the same time. Fetching the token does not count towards
// the timeout.
func (p PIM) attempt(ctx context.Context, r Request, number int) []Attempt {
	token, err := p.token(ctx, r)
	if err != nil {
		return []Attempt{{Number: number, Copy: 1, StartedAt: time.Now(), Err: fmt.Errorf("token: %w", err)}}
	}
	r.Token = token
	limit := p.timeout()
	if number == 1 && r.HangUpAfter > 0 {
		limit = min(limit, r.HangUpAfter)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	attempts := make([]Attempt, max(r.Copies, 1))
	var copies sync.WaitGroup
	for i := range attempts {
		copies.Go(func() {
			attempts[i] = p.send(ctx, r)
			attempts[i].Number, attempts[i].Copy = number, i+1
		})
	}
	copies.Wait()
	return attempts
}

func (p PIM) send(ctx context.Context, r Request) Attempt {
	a := Attempt{StartedAt: time.Now()}
	contentType, err := p.post(ctx, r, &a)
	if err == nil {
		a.Answer, err = ReadAnswer(a.Status, contentType, a.Body)
	}
	a.Took, a.Err = time.Since(a.StartedAt), err
	return a
}

// post sends one request and reads the answer into the attempt; it returns the content type.
func (p PIM) post(ctx context.Context, r Request, a *Attempt) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Target, bytes.NewReader(r.Body))
	if err != nil {
		return "", fmt.Errorf("callout: %w", err)
	}
	if r.Token != "" {
		request.Header.Set("Authorization", "Bearer "+r.Token)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	client := http.Client{
		Transport:     p.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("callout: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	// One byte more than an answer may have, so that its reader can tell.
	a.Body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	a.Status = response.StatusCode
	return response.Header.Get("Content-Type"), nil
}

func (p PIM) token(ctx context.Context, r Request) (string, error) {
	if r.Token != "" || p.Token == nil {
		return r.Token, nil
	}
	return p.Token(ctx)
}

func (p PIM) timeout() time.Duration {
	if p.Timeout == 0 {
		return DefaultTimeout
	}
	return p.Timeout
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
