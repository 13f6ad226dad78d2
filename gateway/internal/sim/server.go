package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server serves one stand-in on a loopback port of its own.
type Server struct {
	// URL is the base URL, without a slash at its end.
	URL    string
	server *http.Server
	done   chan struct{}
}

// listen takes a free loopback port.
func listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	return listener, nil
}

// Serve starts a stand-in on a free loopback port and serves it until Close.
func Serve(ctx context.Context, stand http.Handler) (*Server, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	return serve(listener, stand), nil
}

func serve(listener net.Listener, stand http.Handler) *Server {
	s := &Server{
		URL:    "http://" + listener.Addr().String(),
		server: &http.Server{Handler: stand, ReadHeaderTimeout: 5 * time.Second},
		done:   make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		// Serve ends with ErrServerClosed once Close was called; a loopback listener has no other end.
		_ = s.server.Serve(listener)
	}()
	return s
}

// Close stops the server, cuts the connections that are open and waits for the listener to end.
func (s *Server) Close() error {
	err := s.server.Close()
	<-s.done
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close %s: %w", s.URL, err)
	}
	return nil
}
