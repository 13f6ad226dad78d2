package upstream

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/countersign/countersign/connectors/finding"
)

// judge turns a status into a finding, and an answer of another kind than the one demanded as well.
func (c *Client) judge(q *question, resp *Response) error {
	switch status := resp.Status; {
	case status >= 200 && status < 300:
		return c.checkMedia(q, resp)
	case status >= 300 && status < 400:
		return finding.Malformed("%s: answered %d, a redirect%s", q.what, status, c.whereTo(resp))
	case status == http.StatusNotFound:
		return c.notFound(q, resp)
	case status == http.StatusUnauthorized, status == http.StatusForbidden,
		status == http.StatusPaymentRequired, status == http.StatusProxyAuthRequired:
		return finding.Denied("%s: answered %d, so it refuses the credentials or their rights", q.what, status)
	case status == http.StatusTooManyRequests:
		return finding.Busy("%s: answered %d, too many requests%s", q.what, status, askedToWait(resp))
	case status == http.StatusRequestTimeout:
		return finding.Timeout("%s: answered %d", q.what, status)
	case status >= 500:
		return finding.Unavailable("%s: answered %d%s", q.what, status, askedToWait(resp))
	default:
		return finding.BadQuestion("%s: answered %d, so it refuses the question", q.what, status)
	}
}

// notFound believes a 404 only if it does not come from something that serves web pages, such as a
// proxy, a parked host or a wrong base URL.
func (c *Client) notFound(q *question, resp *Response) error {
	if mediaType(resp) == htmlType {
		return finding.Malformed("%s: answered 404 with HTML; is the base URL right?", q.what)
	}
	return finding.NotFound("%s: answered 404", q.what)
}

const htmlType = "text/html"

func (c *Client) checkMedia(q *question, resp *Response) error {
	if len(resp.Body) == 0 {
		return nil
	}
	got := mediaType(resp)
	switch {
	case c.accepts(got) && isUTF8(resp):
		return nil
	case got == htmlType:
		return finding.Malformed("%s: answered HTML; is it hibernating or a login page?", q.what)
	default:
		return finding.Malformed("%s: answered another media type than %s", q.what, c.mediaType)
	}
}

func (c *Client) accepts(got string) bool {
	return got == c.mediaType || c.mediaType == "application/json" && strings.HasSuffix(got, "+json")
}

func mediaType(resp *Response) string {
	got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return got
}

func isUTF8(resp *Response) bool {
	_, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	charset := parameters["charset"]
	return err == nil && (charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii"))
}

func (c *Client) whereTo(resp *Response) string {
	to, err := c.base.Parse(resp.Header.Get("Location"))
	if err != nil || isSameHost(c.base, to) {
		return ""
	}
	return " to another host; is it hibernating or a login page?"
}

func askedToWait(resp *Response) string {
	wait, ok := retryAfter(resp.Header)
	if !ok {
		return ""
	}
	return ", and asks to wait " + wait.String()
}

// fault turns an error of net/http into a finding. The text of such an error can carry the URL and
// pieces of the answer, so only known causes are spelled out.
func (c *Client) fault(ctx context.Context, q *question, err error) error {
	if refused, ok := errors.AsType[*url.Error](err); ok {
		err = refused.Err
	}
	switch {
	case ctx.Err() != nil || isTimeout(err):
		return finding.Timeout("%s: no answer in time", q.what)
	case errors.Is(err, errTooLarge), errors.Is(err, errEncoding):
		return finding.Malformed("%s: %v", q.what, err)
	case isGarbage(err):
		return finding.Malformed("%s: the answer is not well-formed HTTP", q.what)
	default:
		return finding.Unavailable("%s: %s", q.what, cause(err))
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// isGarbage recognises an answer that breaks HTTP or its compression. The errors of net/http for it have
// no type.
func isGarbage(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) ||
		strings.Contains(err.Error(), "malformed")
}

func isUntrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate)
}

// isFinal tells failures that another attempt cannot cure.
func isFinal(err error) bool {
	return errors.Is(err, errTooLarge) || errors.Is(err, errEncoding) || errors.Is(err, ErrForbiddenAddress) ||
		isGarbage(err) || isUntrusted(err)
}

func cause(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, ErrForbiddenAddress):
		return ErrForbiddenAddress.Error()
	case isUntrusted(err):
		return "its certificate is not trusted for this name"
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection ended before the answer did"
	default:
		return "the connection failed"
	}
}
