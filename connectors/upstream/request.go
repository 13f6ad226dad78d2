package upstream

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/countersign/countersign/connectors/finding"
)

// Request is one question to an upstream.
type Request struct {
	// Method is GET if empty.
	Method string
	// Path is appended to the base URL; build it with [Path].
	Path string
	// Template is how messages show the path, such as /users/{id}. Without it, segments that are not
	// made of letters are shown as {…}; give it where a name can be made of letters only.
	Template string
	Query    url.Values
	Header   http.Header
	// Body is sent as JSON, Form as application/x-www-form-urlencoded; at most one of them is set.
	Body any
	Form url.Values
	// Accept lists statuses to hand back instead of turning them into a finding.
	Accept []int
	// Repeatable marks a request that may be sent twice although its method is not GET or HEAD.
	Repeatable bool
}

// Path escapes every segment and joins them with slashes. An empty segment, "." and ".." would lead to
// another resource: [Client.Do] refuses a path that has one.
func Path(segments ...string) string {
	var b strings.Builder
	for _, segment := range segments {
		if segment == "" {
			segment = "."
		}
		b.WriteString("/" + url.PathEscape(segment))
	}
	return b.String()
}

// question is a request that is ready to be put on the wire.
type question struct {
	method     string
	url        string
	what       string
	header     http.Header
	body       []byte
	repeatable bool
}

func (q *question) rawBody() any {
	if q.body == nil {
		return nil
	}
	return q.body
}

func (c *Client) prepare(r Request) (*question, error) {
	method := or(r.Method, http.MethodGet)
	what := method + " " + c.base.Host + or(r.Template, template(r.Path))
	if err := checkPath(r.Path); err != nil {
		return nil, finding.BadQuestion("%s: %v", what, err)
	}
	q := &question{
		method:     method,
		url:        c.urlOf(r),
		what:       what,
		header:     c.headerOf(r),
		repeatable: r.Repeatable || method == http.MethodGet || method == http.MethodHead,
	}
	return q, q.encode(r)
}

func (c *Client) urlOf(r Request) string {
	u := strings.TrimRight(c.base.String(), "/") + r.Path
	if len(r.Query) > 0 {
		u += "?" + r.Query.Encode()
	}
	return u
}

func (c *Client) headerOf(r Request) http.Header {
	h := http.Header{"Accept": {c.mediaType}, "User-Agent": {"countersign-connector"}}
	for _, from := range []http.Header{c.header, r.Header} {
		for name, values := range from {
			h[http.CanonicalHeaderKey(name)] = values
		}
	}
	return h
}

func (q *question) encode(r Request) error {
	switch {
	case r.Body != nil && r.Form != nil:
		return fmt.Errorf("%s: a request has a body or a form, not both", q.what)
	case r.Form != nil:
		q.header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.body = []byte(r.Form.Encode())
	case r.Body != nil:
		body, err := json.Marshal(r.Body)
		if err != nil {
			return fmt.Errorf("%s: encode the body: %w", q.what, err)
		}
		q.header.Set("Content-Type", "application/json")
		q.body = body
	}
	return nil
}

func checkPath(path string) error {
	if path == "" {
		return nil
	}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#\\") {
		return fmt.Errorf("the path is not one")
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || plain == "." || plain == ".." {
			return fmt.Errorf("a segment of the path is empty or leads elsewhere")
		}
	}
	return nil
}

// template hides what a path was built with: a segment that is neither a version, such as v1.0, nor made
// of letters only counts as an identifier.
func template(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if len(segment) > 40 || !isVersion(segment) && !isWord(segment) {
			segments[i] = "{…}"
		}
	}
	return strings.Join(segments, "/")
}

func isVersion(segment string) bool {
	return len(segment) <= 5 && strings.Trim(strings.TrimPrefix(segment, "v"), "0123456789.") == ""
}

func isWord(segment string) bool {
	return !strings.ContainsFunc(segment, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("_-.", r)
	})
}

func answerOf(resp *http.Response) (*Response, error) {
	body, err := io.ReadAll(resp.Body) // Held in memory and bounded by attempts.RoundTrip.
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}
