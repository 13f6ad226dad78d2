package upstream

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// ErrForbiddenAddress says that a host name led to an address that no upstream has, such as a cloud's
// metadata service.
var ErrForbiddenAddress = errors.New("the name leads to a link-local or metadata address")

const (
	dialTimeout      = time.Second
	handshakeTimeout = 1500 * time.Millisecond
	// idleTimeout is below the two minutes after which load balancers of common services hang up.
	idleTimeout = 90 * time.Second
	// silence and pingTimeout find a connection whose other end has vanished.
	silence        = 15 * time.Second
	pingTimeout    = 3 * time.Second
	idlePerHost    = 8
	maxHeaderBytes = 64 << 10
	maxRedirects   = 3
)

// transport is the wire: no proxy but the configured one, TLS 1.2 or newer.
func (p *settingErrors) transport(t *connectorv1.Transport) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: control}
	wire := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.roots(t.GetCaFile())},
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: pingTimeout},
	}
	if proxy := p.proxy(t.GetProxyUrl()); proxy != nil {
		wire.Proxy = http.ProxyURL(proxy)
	}
	return wire
}

// control runs when a name has been resolved and before the connection is made, so that a name cannot
// be pointed elsewhere in between.
func control(_, address string, _ syscall.RawConn) error {
	if forbiddenDial(address) {
		return ErrForbiddenAddress
	}
	return nil
}

// sameHost follows redirects of reads inside one host and hands every other redirect back unfollowed,
// so that credentials reach the configured host only.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || !isRead(first.Method) || !isSameHost(first.URL, next.URL) {
		return http.ErrUseLastResponse
	}
	return nil
}

func isSameHost(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }
