package httpapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/httpapi"
)

// writePair writes a self-signed certificate of a serial number.
func writePair(t *testing.T, dir string, serial int64) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "gateway"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func start(t *testing.T, l httpapi.Listener, handler http.Handler) *httpapi.Server {
	t.Helper()
	l.Address = "127.0.0.1:0"
	server, err := httpapi.Serve(t.Context(), l, handler, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// serial connects and returns the serial number of the certificate that is shown.
func serial(t *testing.T, s *httpapi.Server, c *tls.Config) (int64, uint16, error) {
	t.Helper()
	c.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", s.Addr().String(), c)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return state.PeerCertificates[0].SerialNumber.Int64(), state.CipherSuite, nil
}

func TestCertificateIsReloadedAndABadOneIsNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := writePair(t, dir, 1)
	s := start(t, httpapi.Listener{Certificate: certificate, Key: key}, http.NotFoundHandler())
	defer s.Shutdown(context.Background())
	expect := func(want int64) {
		t.Helper()
		deadline := time.Now().Add(5 * time.Second)
		for {
			got, _, err := serial(t, s, &tls.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("certificate %d, want %d", got, want)
			}
		}
	}
	expect(1)
	writePair(t, dir, 2)
	expect(2)
	if err := os.WriteFile(key, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		expect(2)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	certificate, key := writePair(t, t.TempDir(), 1)
	s := start(t, httpapi.Listener{Certificate: certificate, Key: key}, http.NotFoundHandler())
	defer s.Shutdown(context.Background())
	if _, _, err := serial(t, s, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
	cbc := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}
	if _, suite, err := serial(t, s, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: cbc}); err == nil {
		t.Errorf("suite %s is accepted", tls.CipherSuiteName(suite))
	}
	if _, _, err := serial(t, s, &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2 with AEAD: %v", err)
	}
}

func TestShutdownWaitsForAnswersUnderWay(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s := start(t, httpapi.Listener{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		w.WriteHeader(http.StatusTeapot)
	}))
	status := make(chan int, 1)
	go func() {
		response, err := http.Get("http://" + s.Addr().String())
		if err != nil {
			status <- 0
			return
		}
		response.Body.Close()
		status <- response.StatusCode
	}()
	<-entered
	time.AfterFunc(50*time.Millisecond, func() { close(leave) })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-status; got != http.StatusTeapot {
		t.Errorf("status %d, want the answer that was under way", got)
	}
}

func TestAddressInUseIsAnError(t *testing.T) {
	t.Parallel()
	s := start(t, httpapi.Listener{}, http.NotFoundHandler())
	defer s.Shutdown(context.Background())
	_, err := httpapi.Serve(t.Context(), httpapi.Listener{Address: s.Addr().String()}, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if want := "listen tcp " + s.Addr().String() + ": bind: address already in use"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Errorf("%T, want a *net.OpError", err)
	}
}

func TestEndOfAListenerIsNoticed(t *testing.T) {
	t.Parallel()
	certificate, key := writePair(t, t.TempDir(), 1)
	for _, l := range []httpapi.Listener{{}, {Certificate: certificate, Key: key}} {
		s := start(t, l, http.NotFoundHandler())
		select {
		case <-s.Done():
			t.Fatal("done while it serves")
		default:
		}
		kill(t, s.Addr())
		select {
		case <-s.Done():
		case <-time.After(5 * time.Second):
			t.Fatal("a listener that failed is not noticed")
		}
		for range 2 {
			if err := s.Shutdown(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "listener "+s.Addr().String()) {
				t.Errorf("shutdown: %v, want why the listener failed", err)
			}
		}
	}
}

func TestListenerIsDoneAfterShutdown(t *testing.T) {
	t.Parallel()
	s := start(t, httpapi.Listener{}, http.NotFoundHandler())
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("not done")
	}
}

// kill ends a listening socket of this process from outside of net/http, as a fault of the system would.
func kill(t *testing.T, address net.Addr) {
	t.Helper()
	const most = 1024
	for fd := range most {
		accepts, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil || accepts == 0 {
			continue
		}
		name, err := syscall.Getsockname(fd)
		if at, ok := name.(*syscall.SockaddrInet4); err == nil && ok && at.Port == address.(*net.TCPAddr).Port {
			if err := syscall.Shutdown(fd, syscall.SHUT_RDWR); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no socket listens on %s", address)
}
