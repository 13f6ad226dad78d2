package upstream

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	maxRetries  = 1
	backoffBase = 100 * time.Millisecond
	// backoffCap bounds every wait, Retry-After included: an upstream that wants to be left alone for
	// longer is not asked again in this call.
	backoffCap = 400 * time.Millisecond
	// maxRetryAfter bounds what is believed of a Retry-After header.
	maxRetryAfter = time.Hour

	budgetFull      = 10.0
	budgetThreshold = 5.0
	budgetGain      = 0.1
)

// retrying returns the retrying client of one call. Its back-off is what checkRetry has chosen and found
// to fit; the library's own lets Retry-After exceed every limit and overflow.
func (c *Client) retrying(one *call) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: c.http,
		RetryMax:   maxRetries,
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			return c.again(ctx, resp, err), nil
		},
		Backoff:        func(time.Duration, time.Duration, int, *http.Response) time.Duration { return one.wait },
		ErrorHandler:   retryablehttp.PassthroughErrorHandler,
		RequestLogHook: func(_ retryablehttp.Logger, _ *http.Request, try int) { one.try = try },
	}
}

// again decides after every attempt whether there is another one.
func (c *Client) again(ctx context.Context, resp *http.Response, err error) bool {
	if !isTransient(resp, err) {
		if err == nil {
			c.budget.succeed()
		}
		return false
	}
	one, affordable := callOf(ctx), c.budget.spend()
	if !affordable || !one.mayRepeat() || ctx.Err() != nil {
		return false
	}
	wait, ok := c.waitFor(resp)
	if !ok || !leaves(ctx, wait+worthwhile) {
		return false
	}
	one.wait = wait
	return true
}

// waitFor is how long to wait before the next attempt; false if the upstream asks for more than the cap.
func (c *Client) waitFor(resp *http.Response) (time.Duration, bool) {
	if resp != nil {
		if asked, ok := retryAfter(resp.Header); ok {
			return asked, asked <= backoffCap
		}
	}
	return c.jitter(backoffBase), true
}

func leaves(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= d
}

// isTransient tells failures that a second attempt may cure.
func isTransient(resp *http.Response, err error) bool {
	if err != nil {
		return !isFinal(err)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// retryAfter reads the header of that name, in seconds or as a date (RFC 9110 section 10.2.3), bounded
// to 0 … 1 h. A date is compared with the upstream's own clock where it tells it.
func retryAfter(h http.Header) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseUint(text, 10, 64)
		if err != nil || seconds > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), maxRetryAfter), true
}

func fullJitter(limit time.Duration) time.Duration {
	return rand.N(limit) //nolint:gosec // Spreads retries; nothing secret depends on it.
}

// budget limits retries of a client to a small share of its calls, so that retries cannot keep an
// overloaded upstream down. The figures are those of gRPC's retry throttling (proposal A6).
type budget struct {
	mu     sync.Mutex
	tokens float64
}

func newBudget() *budget { return &budget{tokens: budgetFull} }

func (b *budget) succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(budgetFull, b.tokens+budgetGain)
}

// spend counts a failure and says whether a retry may follow.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = max(0, b.tokens-1)
	return b.tokens > budgetThreshold
}
