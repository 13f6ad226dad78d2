package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Listener says where and how to listen.
type Listener struct {
	// Address is host:port; port 0 takes a free one.
	Address string
	// Certificate and Key are PEM files, read again when they change. Both empty means plain HTTP.
	Certificate, Key string
	// MaxConnections bounds the open connections; 0 means 2000.
	MaxConnections int
	// Slowest is the longest an answer can take, for the write timeout; 0 means 20 s.
	Slowest time.Duration
}

// Server is one listener at work.
type Server struct {
	server *http.Server
	addr   net.Addr
	done   chan struct{}
	served error // why it ended; to be read when done is closed
}

// Serve starts to listen and returns at once; Shutdown ends it. An address that cannot be listened on is
// a *net.OpError.
func Serve(ctx context.Context, l Listener, handler http.Handler, logger *slog.Logger) (*Server, error) {
	const (
		maxConnections = 2000
		slowest        = 20 * time.Second
	)
	if l.MaxConnections <= 0 {
		l.MaxConnections = maxConnections
	}
	if l.Slowest <= 0 {
		l.Slowest = slowest
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Address)
	if err != nil {
		return nil, err // it names the address
	}
	s := &Server{server: newServer(l, handler, logger), addr: listener.Addr(), done: make(chan struct{})}
	listener = netutil.LimitListener(listener, l.MaxConnections)
	if l.Certificate == "" {
		s.run(func() error { return s.server.Serve(listener) })
		return s, nil
	}
	pair := &keyPair{certificate: l.Certificate, key: l.Key, logger: logger}
	if _, err := pair.get(nil); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.server.TLSConfig = tlsConfig(pair)
	s.run(func() error { return s.server.ServeTLS(listener, "", "") })
	return s, nil
}

func (s *Server) run(serve func() error) {
	go func() {
		defer close(s.done)
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			s.served = fmt.Errorf("listener %s: %w", s.addr, err)
		}
	}()
}

// newServer bounds everything a client can stretch: headers 5 s and 32 KiB, the body 10 s, the answer
// a little more than it may take, 100 streams a connection.
func newServer(l Listener, handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      l.Slowest + 5*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// tlsConfig allows TLS 1.2 with AEAD suites and forward secrecy, and TLS 1.3.
func tlsConfig(pair *keyPair) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: pair.get,
	}
}

// Addr is the address in use.
func (s *Server) Addr() net.Addr { return s.addr }

// Done is closed when nothing more is accepted: after Shutdown, or because the listener failed, which
// Shutdown then returns.
func (s *Server) Done() <-chan struct{} { return s.done }

// Shutdown stops accepting and waits for the answers under way, as long as the context allows.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	<-s.done
	return errors.Join(err, s.served)
}

// keyPair is a certificate that is read again when its file changes, so that renewal needs no
// restart. A new pair that cannot be read leaves the old one in force.
type keyPair struct {
	certificate, key string
	logger           *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time
	checked time.Time
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	const every = time.Second
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil && time.Since(k.checked) < every {
		return k.current, nil
	}
	k.checked = time.Now()
	changed, err := k.modified()
	if err == nil && k.current != nil && changed.Equal(k.changed) {
		return k.current, nil
	}
	pair, loadErr := tls.LoadX509KeyPair(k.certificate, k.key)
	if err = errors.Join(err, loadErr); err != nil {
		return k.keep(fmt.Errorf("certificate %s with key %s: %w", k.certificate, k.key, err))
	}
	k.current, k.changed = &pair, changed
	return k.current, nil
}

func (k *keyPair) keep(err error) (*tls.Certificate, error) {
	if k.current == nil {
		return nil, err
	}
	k.logger.Error("certificate not reloaded", slog.Any("error", err))
	return k.current, nil
}

// modified is when the younger of the two files was last written.
func (k *keyPair) modified() (time.Time, error) {
	var last time.Time
	for _, path := range []string{k.certificate, k.key} {
		info, err := os.Stat(path)
		if err != nil {
			return time.Time{}, err
		}
		if info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last, nil
}
