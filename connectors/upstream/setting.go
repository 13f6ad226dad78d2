package upstream

import (
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// SettingError is one setting that cannot be used.
type SettingError struct {
	// Setting is the path of the setting, such as "transport.ca_file".
	Setting string
	// Problem says what is wrong; it never repeats a secret.
	Problem string
	// Remedy says what to do.
	Remedy string
}

// Error is the setting and the problem on one line.
func (e *SettingError) Error() string { return e.Setting + ": " + e.Problem }

// Diagnostics turns the error of [New] or [ClientCredentials] into what a connector's validation
// answers. It is empty for nil.
func Diagnostics(err error) []*connectorv1.Diagnostic {
	if err == nil {
		return nil
	}
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		var all []*connectorv1.Diagnostic
		for _, one := range several.Unwrap() {
			all = append(all, Diagnostics(one)...)
		}
		return all
	}
	d := &connectorv1.Diagnostic{Severity: connectorv1.Severity_SEVERITY_ERROR, Summary: err.Error()}
	if setting, ok := errors.AsType[*SettingError](err); ok {
		d.FieldPath, d.Summary, d.Remedy = setting.Setting, setting.Problem, setting.Remedy
	}
	return []*connectorv1.Diagnostic{d}
}

// settingErrors collects problems, so that all are reported at once.
type settingErrors struct{ all []error }

func (p *settingErrors) add(setting, problem, remedy string) {
	p.all = append(p.all, &SettingError{Setting: setting, Problem: problem, Remedy: remedy})
}

func (p *settingErrors) err() error { return errors.Join(p.all...) }

func (p *settingErrors) baseURL(text, setting string) *url.URL {
	const remedy = "write it as https://host or https://host/path"
	u, err := url.Parse(text)
	if text == "" || err != nil || u.Hostname() == "" {
		p.add(setting, "is no absolute URL", remedy)
		return nil
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		p.add(setting, "has more than scheme, host and path", remedy)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		p.add(setting, "is not https", "plain http is accepted for a loopback host only")
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && forbidden(address) {
		p.add(setting, "is a link-local or metadata address", "name the upstream itself")
	}
	if err := checkPath(strings.TrimRight(u.EscapedPath(), "/")); err != nil {
		p.add(setting, "has a path that leads elsewhere", remedy)
	}
	return u
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

func (p *settingErrors) attemptTimeout(t *connectorv1.Transport) time.Duration {
	if t.GetAttemptTimeout() == nil {
		return defaultAttempt
	}
	d := t.GetAttemptTimeout().AsDuration()
	if d < minAttempt || d > maxAttempt {
		p.add("transport.attempt_timeout", "is not between 100ms and 10s", "leave it out for 2.2s")
	}
	return d
}

func (p *settingErrors) roots(file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file) //nolint:gosec // The operator names the file.
	if err != nil {
		p.add("transport.ca_file", "cannot be read: "+errno(err), "name a readable PEM file")
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		p.add("transport.ca_file", "holds no certificate", "name a PEM file with CERTIFICATE blocks")
	}
	return pool
}

func (p *settingErrors) proxy(text string) *url.URL {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
		p.add("transport.proxy_url", "is no URL of a proxy", "write it as http://host:port")
		return nil
	}
	if u.User != nil {
		p.add("transport.proxy_url", "carries credentials", "use a proxy that admits this host without a password")
	}
	return u
}

// errno is the last part of a file error, without the path that the caller knows already.
func errno(err error) string {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err.Error()
	}
	return "unknown error"
}

// forbidden tells addresses that no upstream has: link-local ones, which include the metadata services
// of the clouds at 169.254.169.254, and the two that clouds use beside it.
func forbidden(address netip.Addr) bool {
	address = address.WithZone("").Unmap()
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(address) {
		full := address.As16()
		address = netip.AddrFrom4([4]byte(full[12:]))
	}
	return address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified() ||
		address == netip.AddrFrom4([4]byte{100, 100, 100, 200}) || address == netip.MustParseAddr("fd00:ec2::254")
}

func forbiddenDial(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err != nil || forbidden(address)
}
