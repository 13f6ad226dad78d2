package entra

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/countersign/countersign/gateway/internal/strictjson"
)

// maxDocument is the size of the largest metadata document or key set that is read, in bytes. Entra's are
// below 20 KiB.
const maxDocument = 256 << 10

// source is where a tenant's keys come from.
type source struct {
	client    *http.Client
	authority string
	tenantID  string
}

// fetch reads the metadata document of a token version and the key set that it names.
func (s source) fetch(ctx context.Context, version string) (*keySet, error) {
	address := s.authority + "/" + s.tenantID + "/.well-known/openid-configuration"
	if version == version2 {
		address = s.authority + "/" + s.tenantID + "/v2.0/.well-known/openid-configuration"
	}
	metadata, err := s.get(ctx, address)
	if err != nil {
		return nil, err
	}
	issuer, _, err := metadata.String("issuer")
	if err == nil {
		err = checkIssuer(issuer, version, s.tenantID)
	}
	if err != nil {
		return nil, fmt.Errorf("metadata %s: %w", address, err)
	}
	keysAddress, _, err := metadata.String("jwks_uri")
	if err == nil {
		err = s.checkSameHost(keysAddress)
	}
	if err != nil {
		return nil, fmt.Errorf("metadata %s: %w", address, err)
	}
	document, err := s.get(ctx, keysAddress)
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(document, issuer, s.tenantID)
	if err != nil {
		return nil, fmt.Errorf("key set %s: %w", keysAddress, err)
	}
	return &keySet{issuer: issuer, keys: keys}, nil
}

func (s source) get(ctx context.Context, address string) (strictjson.Object, error) {
	var none strictjson.Object
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return none, fmt.Errorf("get %s: %w", address, err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return none, err // it names the method and the address
	}
	defer response.Body.Close() //nolint:errcheck // nothing is lost
	if response.StatusCode != http.StatusOK {
		return none, fmt.Errorf("get %s: status %d", address, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return none, fmt.Errorf("get %s: %w", address, err)
	}
	document, err := strictjson.Parse(body, strictjson.Limits{Bytes: maxDocument, Values: 4096, SkipBOM: true})
	if err != nil {
		return none, fmt.Errorf("get %s: %w", address, err)
	}
	return document, nil
}

// checkSameHost pins the key set to the authority: a metadata document cannot send the gateway elsewhere.
func (s source) checkSameHost(address string) error {
	authority, err := url.Parse(s.authority)
	if err != nil {
		return err
	}
	keys, err := url.Parse(address)
	if err != nil || keys.Scheme != authority.Scheme || keys.Host != authority.Host || keys.User != nil {
		return errors.New("jwks_uri is not on the host of the authority")
	}
	return nil
}

// checkIssuer wants the issuer of this tenant and this version. The host of version 1.0 is another one in
// every cloud, such as sts.windows.net.
func checkIssuer(issuer, version, tenantID string) error {
	path := "/" + tenantID + "/"
	if version == version2 {
		path += "v2.0"
	}
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || !isSecure(u) || u.User != nil || u.Path != path || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("issuer is not the tenant's for tokens of version " + version)
	}
	return nil
}

func checkAuthority(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("authority %q is not the base URL of a token service", address)
	}
	if !isSecure(u) {
		return fmt.Errorf("authority %q is neither https nor on a loopback address", address)
	}
	return nil
}

// isSecure allows http on this machine only, for stand-ins.
func isSecure(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// newClient never follows redirects and keeps no cookies, whatever the given client does.
func newClient(given *http.Client, caFile string) (*http.Client, error) {
	client := &http.Client{}
	if given != nil {
		*client = *given
	} else {
		roots, err := trustedRoots(caFile)
		if err != nil {
			return nil, err
		}
		client.Transport = &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			ForceAttemptHTTP2: true,
			MaxIdleConns:      2,
			IdleConnTimeout:   longestFetch,
		}
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

// trustedRoots are the system's certificates and those of a file; nil means just the system's.
func trustedRoots(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil //nolint:nilnil // what crypto/tls calls the system's
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("system certificates: %w", err)
	}
	pem, err := os.ReadFile(caFile) //nolint:gosec // a path from the operator's configuration
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificates %s: no PEM certificate in it", caFile)
	}
	return roots, nil
}
