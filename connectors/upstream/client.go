// Package upstream is the HTTP client of connectors. One call of it is bounded by the deadline of the
// question it belongs to, repeated at most once and only where a repeat is harmless, limited in size and
// media type, never redirected to another host, and its errors are findings that name host, path and
// status and nothing else.
//
// It never keeps cookies, never consults the environment, never logs, and never puts bodies, query
// strings or credentials into an error.
package upstream

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Authorize adds credentials to a request before it is sent. It is called once a call, not once an
// attempt.
type Authorize = func(ctx context.Context, r *http.Request) error

// Options say how to reach one upstream.
type Options struct {
	// BaseURL is where paths begin, such as https://acme.service-now.com. It is https, or http for a
	// loopback host.
	BaseURL string
	// BaseURLSetting is what problems call BaseURL; "base_url" if empty.
	BaseURLSetting string
	// Transport holds the settings shared by all connectors; nil means their defaults.
	Transport *connectorv1.Transport
	// Authorize adds the credentials; nil sends none.
	Authorize Authorize
	// Header is sent with every request.
	Header http.Header
	// MediaType is demanded of every answer with a body; application/json if empty, which accepts every
	// type with the suffix +json as well.
	MediaType string
	// MaxBytes bounds an answer's body after decompression; 1 MiB if 0.
	MaxBytes int64
	// RequestID names the response header with the upstream's own identifier of a request.
	RequestID string
}

// Client calls one upstream. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	authorize Authorize
	header    http.Header
	mediaType string
	budget    *budget
	jitter    func(limit time.Duration) time.Duration
	http      *http.Client
}

// New returns a client. Its error names every wrong setting; [Diagnostics] takes it apart.
func New(o Options) (*Client, error) {
	var problems settingErrors
	base := problems.baseURL(o.BaseURL, or(o.BaseURLSetting, "base_url"))
	wire := problems.transport(o.Transport)
	timeout := problems.attemptTimeout(o.Transport)
	if err := problems.err(); err != nil {
		return nil, err
	}
	c := &Client{
		base:      base,
		authorize: o.Authorize,
		header:    o.Header.Clone(),
		mediaType: or(o.MediaType, "application/json"),
		budget:    newBudget(),
		jitter:    fullJitter,
		http: &http.Client{
			Transport:     &attempts{next: wire, timeout: timeout, maxBytes: orSize(o.MaxBytes), requestID: o.RequestID},
			CheckRedirect: sameHost,
		},
	}
	return c, nil
}

// Close drops the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Response is an upstream's answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do asks the upstream. Its errors are the findings of package finding: 404 is NotFound, 401 and 403 are
// Denied, 429 is Busy, 5xx and a broken connection are Unavailable, too late is Timeout, and an answer
// that is too large, of another media type or a redirect is Malformed. Any other status of the 4xx class
// is a BadQuestion. Statuses named in r.Accept are handed back instead.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	q, err := c.prepare(r)
	if err != nil {
		return nil, err
	}
	resp, sent, err := c.send(ctx, q, "")
	if err == nil && resp.Status == http.StatusUnauthorized && sent != "" {
		resp, err = c.sendAnew(ctx, q, resp, sent)
	}
	if err != nil {
		return nil, err
	}
	if slices.Contains(r.Accept, resp.Status) {
		return resp, nil
	}
	return resp, c.judge(q, resp)
}

// sendAnew repeats a refused request if, and only if, there are other credentials than the refused
// ones: a wrong password is never sent twice.
func (c *Client) sendAnew(ctx context.Context, q *question, refused *Response, sent string) (*Response, error) {
	resp, _, err := c.send(ctx, q, sent)
	if err != nil {
		return nil, err
	}
	if resp == nil {
		return refused, nil
	}
	return resp, nil
}

// send puts one question on the wire. refused is the Authorization that the upstream has just refused;
// if there is no other, nothing is sent and the response is nil.
func (c *Client) send(ctx context.Context, q *question, refused string) (*Response, string, error) {
	one := &call{repeatable: q.repeatable}
	ctx = context.WithValue(ctx, callKey{}, one)
	r, err := retryablehttp.NewRequestWithContext(ctx, q.method, q.url, q.rawBody())
	if err != nil {
		return nil, "", c.fault(ctx, q, err)
	}
	r.Header = q.header.Clone()
	if c.authorize != nil {
		if err := c.authorize(context.WithValue(ctx, refusedKey{}, refused), r.Request); err != nil {
			return nil, "", err
		}
	}
	sent := r.Header.Get("Authorization")
	if refused != "" && sent == refused {
		return nil, sent, nil
	}
	resp, err := c.retrying(one).Do(r)
	if err != nil {
		return nil, sent, c.fault(ctx, q, err)
	}
	answer, err := answerOf(resp)
	if err != nil {
		return nil, sent, c.fault(ctx, q, err)
	}
	return answer, sent, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func orSize(size int64) int64 {
	if size <= 0 {
		return 1 << 20
	}
	return size
}
