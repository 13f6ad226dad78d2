package host_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/connectors/connectortest"
	"github.com/countersign/countersign/connectors/host"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	const scriptSum = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf"
	cases := map[string]struct {
		spoil func(*host.Spec, *host.Options)
		want  string
	}{
		"a digest of another program":   {func(s *host.Spec, _ *host.Options) { s.SHA256 = strings.Repeat("0", 64) }, "sha256 does not match"},
		"no digest":                     {func(s *host.Spec, _ *host.Options) { s.SHA256 = "" }, "64 hexadecimal digits"},
		"a relative path":               {func(s *host.Spec, _ *host.Options) { s.Path = "connector" }, "absolute"},
		"a path without a program":      {func(s *host.Spec, _ *host.Options) { s.Path = "/no/such/program" }, "no such file"},
		"a directory":                   {func(s *host.Spec, _ *host.Options) { s.Path = "/" }, "regular file"},
		"a script":                      {func(s *host.Spec, _ *host.Options) { s.Path, s.SHA256 = script, scriptSum }, "is a script"},
		"a socket directory too long":   {func(_ *host.Spec, o *host.Options) { o.SocketDir = "/" + strings.Repeat("x", 70) }, strings.Repeat("x", 70)},
		"no socket directory":           {func(_ *host.Spec, o *host.Options) { o.SocketDir = "/no/such" }, "/no/such"},
		"environment of the handshake":  {func(s *host.Spec, _ *host.Options) { s.Env = []string{"PLUGIN_CLIENT_CERT="} }, "PLUGIN_CLIENT_CERT"},
		"a program that ends":           {func(s *host.Spec, _ *host.Options) { s.Args = []string{"exit"} }, "exit status 3; its last line: no licence"},
		"a program that says nothing":   {func(s *host.Spec, _ *host.Options) { s.Args, s.Limits.StartTimeout = []string{"silent"}, time.Second }, "timeout"},
		"a program that floods":         {func(s *host.Spec, _ *host.Options) { s.Args = []string{"floods"} }, "64 KiB"},
		"no certificate":                {func(s *host.Spec, _ *host.Options) { s.Args = []string{"plain"} }, "without a certificate"},
		"somebody else's socket":        {func(s *host.Spec, _ *host.Options) { s.Args = []string{"elsewhere"} }, "docker.sock"},
		"a handshake and nothing after": {func(s *host.Spec, _ *host.Options) { s.Args = []string{"liar"} }, "program"},
		"a program that ends later":     {func(s *host.Spec, _ *host.Options) { s.Args = []string{"mayfly"} }, "exit status 9"},
		"another protocol version":      {func(s *host.Spec, _ *host.Options) { s.Args = []string{"future"} }, "Plugin version: 2"},
		"a capability without a server": {func(s *host.Spec, _ *host.Options) { s.Args = []string{"unimplemented"} }, "not implemented"},
		"an upstream that is down":      {func(s *host.Spec, _ *host.Options) { s.Configure = configured("down") }, "upstream is down"},
		"a program that ends at last":   {func(s *host.Spec, _ *host.Options) { s.Configure = configured("exits") }, "exit status 4"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, o := hazard(t), options(t)
			c.spoil(&spec, &o)
			got, err := host.Start(t.Context(), spec, o)
			if err == nil {
				_ = got.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error about %q", err, c.want)
			}
			if config := (*host.ConfigError)(nil); errors.As(err, &config) {
				t.Errorf("%v blames the configuration", err)
			}
		})
	}
}

func TestConfigurationsThatAreRefusedAreToldFromFailures(t *testing.T) {
	t.Parallel()
	cause := errors.New("line 3: unknown setting")
	cases := map[string]struct {
		configure func(*host.Description) ([]byte, error)
		fields    []string
	}{
		"by validation":    {configured("refused"), []string{"region"}},
		"by configuration": {configured("invalid"), nil},
		"by the caller":    {func(*host.Description) ([]byte, error) { return nil, cause }, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := hazard(t)
			spec.Configure = c.configure
			_, err := host.Start(t.Context(), spec, options(t))
			var refused *host.ConfigError
			if !errors.As(err, &refused) {
				t.Fatalf("%v is no ConfigError", err)
			}
			if diff := cmp.Diff(c.fields, paths(refused.Diagnostics)); diff != "" {
				t.Error(diff)
			}
			if name == "by the caller" && !errors.Is(err, cause) {
				t.Errorf("%v hides its cause", err)
			}
			started := host.StartInBackground(spec, options(t))
			eventually(t, "the failure", func() bool { return started.Status().State == host.Failed })
			if got := started.Status(); got.Next.IsZero() || started.Description() != nil {
				t.Errorf("is not tried again: %+v", got)
			}
			_ = started.Close(t.Context())
		})
	}
}

func paths(diagnostics []*connectorv1.Diagnostic) []string {
	var fields []string
	for _, d := range diagnostics {
		fields = append(fields, d.GetFieldPath())
	}
	return fields
}

func TestOneFlippedByteIsRefused(t *testing.T) {
	t.Parallel()
	spec := freeze(t)
	content, err := os.ReadFile(spec.Path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	spec.Path = filepath.Join(t.TempDir(), "flipped")
	if err := os.WriteFile(spec.Path, content, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Start(t.Context(), spec, options(t)); err == nil || !strings.Contains(err.Error(), "sha256 does not match") {
		t.Errorf("%v", err)
	}
}

func TestWhatWasHashedIsWhatRuns(t *testing.T) {
	t.Parallel()
	spec, other := freeze(t), hazard(t)
	path := filepath.Join(filepath.Dir(spec.Path), "exchanged")
	link(t, spec.Path, path)
	spec.Path = path
	exchanged := filepath.Join(filepath.Dir(other.Path), "exchanging")
	link(t, other.Path, exchanged)
	o := host.WithVerified(options(t), func() {
		if err := os.Rename(exchanged, path); err != nil {
			t.Error(err)
		}
	})
	c := start(t, spec, o)
	if got := c.Description().Name; got != "acme-freeze" {
		t.Errorf("%s runs, which nobody hashed", got)
	}
	if _, err := host.Start(t.Context(), spec, options(t)); err == nil || !strings.Contains(err.Error(), "sha256 does not match") {
		t.Errorf("the next start: %v", err)
	}
}

// link gives a program a second name. Copying it in this process would be a race with every fork of a
// parallel test: a program that is open for writing cannot be started.
func link(t *testing.T, from, to string) {
	t.Helper()
	_ = os.Remove(to)
	if err := os.Link(from, to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(to) })
}

func TestOneSpecStartsManyTimes(t *testing.T) {
	t.Parallel()
	spec, o := freeze(t), options(t)
	for range 10 {
		c, err := host.Start(t.Context(), spec, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnvironmentIsWhatTheSpecSays(t *testing.T) {
	t.Parallel()
	spec := hazard(t)
	spec.Env = []string{"HTTPS_PROXY=http://proxy:3128", "EMPTY="}
	spec.Lookup = func() ([]string, error) { return []string{"FOUND=1"}, nil }
	c := start(t, spec, options(t))
	answer, err := ask(t, c, "env")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, variable := range answer.GetOwners() {
		key, _, _ := strings.Cut(variable, "=")
		got = append(got, key)
	}
	slices.Sort(got)
	want := []string{
		"COUNTERSIGN_CONNECTOR", "EMPTY", "FOUND", "HTTPS_PROXY", "PLUGIN_CLIENT_CERT", "PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT",
		"PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnEnvironmentThatIsNotFoundIsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	spec, cause := hazard(t), errors.New("there is no such secret")
	spec.Lookup = func() ([]string, error) { return nil, cause }
	_, err := host.Start(t.Context(), spec, options(t))
	if _, ok := errors.AsType[*host.ConfigError](err); !ok || !errors.Is(err, cause) {
		t.Errorf("%v is no ConfigError of %v", err, cause)
	}
}

func TestFailuresThatLieElsewhereAreToldApart(t *testing.T) {
	t.Parallel()
	spec := hazard(t)
	spec.Configure = configured("down")
	if _, err := host.Start(t.Context(), spec, options(t)); !errors.Is(err, host.ErrConfigure) || errors.Is(err, host.ErrDigest) {
		t.Errorf("%v is not about putting the configuration into force", err)
	}
	spec.Configure = configured("exits")
	if _, err := host.Start(t.Context(), spec, options(t)); errors.Is(err, host.ErrConfigure) {
		t.Errorf("%v is about a process that ended", err)
	}
	spec.SHA256 = strings.Repeat("0", 64)
	if _, err := host.Start(t.Context(), spec, options(t)); !errors.Is(err, host.ErrDigest) || errors.Is(err, host.ErrConfigure) {
		t.Errorf("%v is not about the digest", err)
	}
}

func TestGreetingsBeforeTheHandshakeDoNoHarm(t *testing.T) {
	t.Parallel()
	c := start(t, hazard(t, "greets"), options(t))
	if _, err := ask(t, c, "fine"); err != nil {
		t.Error(err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	spec := hazard(t)
	spec.Configure = configured("refused")
	description, diagnostics, err := host.Inspect(t.Context(), spec, options(t))
	if err != nil || description.Name != "hazard" || !slices.Equal(paths(diagnostics), []string{"region"}) {
		t.Errorf("%v, %v, %v", description, diagnostics, err)
	}
	spec.Configure = configured("down") // Inspect does not put it into force
	if _, diagnostics, err := host.Inspect(t.Context(), spec, options(t)); err != nil || len(diagnostics) > 0 {
		t.Errorf("%v, %v", diagnostics, err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	spec := hazard(t, "silent")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := host.Start(ctx, spec, options(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestNothingOutlivesAGatewayThatIsKilled(t *testing.T) {
	t.Parallel()
	path, digest := connectortest.Build(t, hazardPkg)
	tiny, _ := connectortest.Build(t, "github.com/countersign/countersign/connectors/host/testdata/tinyhost")
	gateway := exec.CommandContext(t.Context(), tiny, path, digest, "stubborn")
	gateway.Env = []string{"TMPDIR=" + shortDir(t)}
	stdout, err := gateway.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	pid := readPID(t, stdout)
	if !running(pid) {
		t.Fatalf("connector %d does not run", pid)
	}
	if err := gateway.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = gateway.Wait()
	eventually(t, "the connector's death", func() bool { return !running(pid) })
}
