package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/gateway/internal/sim"
)

// small writes the configuration of a gateway without connectors and returns its path. The lines of
// listen and entra can be given others.
func small(t *testing.T, tenant *sim.Tenant, listen, entra string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "countersign.yaml")
	policies := "policies: [{name: nobody, applies_to: {entra_roles: {roles: ['*']}}, otherwise: deny}]\n"
	document := fmt.Sprintf(`listen: {%s}
admin: {address: "127.0.0.1:0"}
entra: {authority: %q, tenant_id: %s, client_id: %s%s}
state_dir: %s
policies: [policies.yaml]
`, listen, tenant.Authority(), tenant.ID(), tenant.ClientID(), entra, filepath.Join(dir, "state"))
	if err := errors.Join(os.WriteFile(path, []byte(document), 0o600), os.WriteFile(filepath.Join(dir, "policies.yaml"), []byte(policies), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func startTenant(t *testing.T) *sim.Tenant {
	t.Helper()
	tenant, err := sim.StartTenant(t.Context(), sim.TenantOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tenant.Close() })
	return tenant
}

// heard is what a gateway wrote to standard error.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(text []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(text)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// lines returns the log lines with a message.
func (h *heard) lines(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(h.String()) {
		var attributes map[string]any
		if json.Unmarshal([]byte(line), &attributes) == nil && attributes["msg"] == message {
			found = append(found, attributes)
		}
	}
	return found
}

// await returns the first log line with a message.
func (h *heard) await(t *testing.T, message string) map[string]any {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if found := h.lines(message); len(found) > 0 {
			return found[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no line %q in the log:\n%s", message, h.String())
	return nil
}

// serving runs a gateway until its context ends and returns what it writes and its exit code.
func serving(ctx context.Context, path string) (*heard, <-chan int) {
	said, code := &heard{}, make(chan int, 1)
	go func() { code <- run(ctx, []string{"serve", "--config", path}, streams{said, said}) }()
	return said, code
}

func exited(t *testing.T, said *heard, code <-chan int) int {
	t.Helper()
	select {
	case c := <-code:
		return c
	case <-time.After(20 * time.Second):
		t.Fatalf("still running:\n%s", said)
		return 0
	}
}

func TestServeEndsWithSuccessWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	said, code := serving(ctx, small(t, startTenant(t), `address: "127.0.0.1:0", drain: 0s`, ""))
	said.await(t, "serving")
	cancel()
	if c := exited(t, said, code); c != exitOK {
		t.Errorf("exit code %d\n%s", c, said)
	}
}

func TestServeEndsIfAListenerFails(t *testing.T) {
	t.Parallel()
	for door, drain := range map[string]string{"callouts": "1m", "admin": "0s"} {
		t.Run(door, func(t *testing.T) {
			t.Parallel()
			said, code := serving(t.Context(), small(t, startTenant(t), `address: "127.0.0.1:0", drain: `+drain, ""))
			address := fmt.Sprint(said.await(t, "serving")[door])
			end(t, address)
			if c := exited(t, said, code); c != exitError || !strings.Contains(said.String(), "countersign: listener "+address) {
				t.Errorf("exit code %d, want %d and the listener named\n%s", c, exitError, said)
			}
		})
	}
}

// end makes a listening socket of this process fail.
func end(t *testing.T, address string) {
	t.Helper()
	const most = 1024
	for fd := range most {
		accepts, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil || accepts == 0 {
			continue
		}
		name, err := syscall.Getsockname(fd)
		if at, ok := name.(*syscall.SockaddrInet4); err == nil && ok && strings.HasSuffix(address, fmt.Sprintf(":%d", at.Port)) {
			if err := syscall.Shutdown(fd, syscall.SHUT_RDWR); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no socket listens on %s", address)
}

func TestSecondSignalEndsADrainAtOnce(t *testing.T) {
	t.Parallel()
	path := small(t, startTenant(t), `address: "127.0.0.1:0", drain: 1m`, "")
	gateway := exec.CommandContext(t.Context(), "countersign", "serve", "--config", path)
	stderr, err := gateway.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if text := lines.Text(); strings.Contains(text, `"msg":"serving"`) || strings.Contains(text, `"msg":"draining"`) {
			if err := gateway.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = gateway.Wait()
	if status, ok := gateway.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v, want the second signal to end it", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("ended after %s, as if the signal was not there", took)
	}
}

func TestServeSaysWhichSettingKeepsItFromStarting(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	gone := startTenant(t)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range []string{"tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("nothing"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noPEM := filepath.Join(dir, "tls.crt")
	for name, tc := range map[string]struct{ path, want string }{
		"an address in use": {
			small(t, startTenant(t), fmt.Sprintf("address: %q", taken.Addr()), ""),
			"countersign.yaml:1:19: listen.address: cannot be listened on: bind: address already in use (end what listens there",
		},
		"a certificate that is none": {
			small(t, startTenant(t), fmt.Sprintf(`address: "127.0.0.1:0", tls: {certificate: %s, key: %s}`, noPEM, filepath.Join(dir, "tls.key")), ""),
			"countersign.yaml:1:34: listen.tls: certificate " + noPEM,
		},
		"no answer from Entra": {
			small(t, gone, `address: "127.0.0.1:0"`, ""),
			"connect: connection refused",
		},
		"no answer from Entra, its place": {
			small(t, gone, `address: "127.0.0.1:0"`, ""),
			"countersign.yaml:3:20: entra.authority: keys of tenant " + gone.ID(),
		},
		"trust in nobody": {
			small(t, startTenant(t), `address: "127.0.0.1:0"`, ", ca_file: "+noPEM),
			"certificates " + noPEM + ": no PEM certificate in it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, code := serving(t.Context(), tc.path)
			if c := exited(t, said, code); c != exitError {
				t.Errorf("exit code %d, want %d", c, exitError)
			}
			last := said.String()[strings.LastIndex(said.String(), "countersign: "):]
			if !strings.Contains(last, tc.want) || strings.Count(last, "\n") != 1 {
				t.Errorf("said\n%swithout %q on one line", last, tc.want)
			}
		})
	}
}

func TestWarningsOfConnectorsAreLogged(t *testing.T) {
	t.Parallel()
	path := small(t, startTenant(t), `address: "127.0.0.1:0", drain: 0s`, "")
	dir := filepath.Dir(path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	roster, sum := connectortest.Build(t, module+"/plugins/roster")
	text = fmt.Appendf(text, "connectors: {roster: {path: %s, sha256: %s, allow: [employment], config: {employments_file: %s}}}\n",
		roster, sum, filepath.Join(dir, "people.yaml"))
	if err := errors.Join(
		os.WriteFile(path, text, 0o600),
		os.WriteFile(filepath.Join(dir, "people.yaml"), []byte("employments: [{email: ada@example.com, state: active}]\n"), 0o600),
		os.Mkdir(filepath.Join(dir, "state"), 0o700),
		os.WriteFile(filepath.Join(dir, "state", "descriptions"), []byte("no folder"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, code := serving(ctx, path)
	warning := said.await(t, "connector has a problem")
	if warning["level"] != "WARN" || !strings.HasPrefix(fmt.Sprint(warning["setting"]), "connectors.roster") ||
		!strings.HasPrefix(fmt.Sprint(warning["place"]), path+":6:") || warning["problem"] == "" {
		t.Errorf("the warning is %v", warning)
	}
	cancel()
	if c := exited(t, said, code); c != exitOK {
		t.Errorf("exit code %d\n%s", c, said)
	}
}

func TestAuthorityBehindAProxyThatInspectsTLS(t *testing.T) {
	t.Parallel()
	var tenant *sim.Tenant
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tenant.ServeHTTP(w, r) }))
	proxy.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	proxy.StartTLS()
	defer proxy.Close()
	tenant, err := sim.NewTenant(sim.TenantOptions{Authority: proxy.URL})
	if err != nil {
		t.Fatal(err)
	}
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, code := serving(ctx, small(t, tenant, `address: "127.0.0.1:0", drain: 0s`, ", ca_file: "+authority))
	said.await(t, "serving")
	cancel()
	if c := exited(t, said, code); c != exitOK {
		t.Errorf("exit code %d\n%s", c, said)
	}
	said, code = serving(t.Context(), small(t, tenant, `address: "127.0.0.1:0"`, ""))
	if c := exited(t, said, code); c != exitError || !strings.Contains(said.String(), "certificate signed by unknown authority") {
		t.Errorf("without ca_file: exit code %d\n%s", c, said)
	}
}
