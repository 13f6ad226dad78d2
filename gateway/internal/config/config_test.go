package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/config"
)

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, problems := config.Load(filepath.Join("testdata", "mistakes.yaml"))
	got := filepath.ToSlash(problems.Error()) + "\n"
	if strings.Contains(got, "hunter2") {
		t.Error("a value shows in a problem")
	}
	golden := filepath.Join("testdata", "mistakes.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// sound is a configuration without problems; tests replace one line of it.
const sound = `listen: {address: "127.0.0.1:8443"}
admin: {address: "127.0.0.1:9443"}
entra:
  tenant_id: 0F9E6F3A-2c1d-4b8e-9a57-3d2f1c0b4a61
  client_id: 7d1c9b52-6e4f-4a03-8c2b-5f6a7e8d9c10
pim: {timeout: 10s}
policies: ["*.policy.yaml"]
connectors:
  itsm: {path: /p, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, allow: [ticket]}
`

func TestOneLineAtATime(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, old, replacement, want string }{
		{"nothing is wrong", "", "", ""},
		{
			"plain HTTP to other machines", `"127.0.0.1:8443"`, `":8443"`,
			"f:1:19: listen.address: would serve plain HTTP to other machines (give listen.tls, or set listen.behind_proxy where a proxy ends TLS)",
		},
		{"plain HTTP behind a proxy", `"127.0.0.1:8443"`, `":8443", behind_proxy: true`, ""},
		{"plain HTTP by the name of this machine", "127.0.0.1:8443", "localhost:8443", ""},
		{"plain HTTP on a mapped loopback address", "127.0.0.1:8443", "[::ffff:127.0.0.1]:8443", ""},
		{
			"a name that only begins like a loopback address", "127.0.0.1:8443", "127.0.0.1.example.com:8443",
			"f:1:19: listen.address: would serve plain HTTP to other machines (give listen.tls, or set listen.behind_proxy where a proxy ends TLS)",
		},
		{
			"TLS without its key", `"127.0.0.1:8443"`, `":8443", tls: {certificate: /c}`,
			`f:1:28: listen.tls: lacks the key "key"`,
		},
		{
			"metrics for other machines", "127.0.0.1:9443", "[::]:9443",
			"f:2:18: admin.address: would let other machines ask for metrics and the state of the connectors (listen on 127.0.0.1, or set admin.remote where something else decides who gets there)",
		},
		{"metrics for other machines, said so", `"127.0.0.1:9443"`, `"[::]:9443", remote: true`, ""},
		{"one address for both", "127.0.0.1:9443", "localhost:8443", "f:2:18: admin.address: is the address of listen (give each its own port)"},
		{"two free ports", "127.0.0.1:8443\"}\nadmin: {address: \"127.0.0.1:9443", "127.0.0.1:0\"}\nadmin: {address: \"127.0.0.1:0", ""},
		{
			"a queue that eats the answer's time", "pim: {timeout: 10s}", "pim: {timeout: 1s}\nlimits: {queue_wait: 400ms}",
			"f:7:22: limits.queue_wait: takes more than half of the 650ms until the answer is due (make it shorter)",
		},
		{
			"no time to ask anybody", "pim: {timeout: 10s}", "pim: {timeout: 1s}\nanswer: {within: 0.1}",
			"f:7:18: answer.within: leaves 100ms of pim.timeout to answer in, too little to ask anybody (make it larger, so that at least 400ms are left)",
		},
		{
			"a little less than the least time", "pim: {timeout: 10s}", "pim: {timeout: 1s}\nanswer: {within: 0.399}",
			"f:7:18: answer.within: leaves 399ms of pim.timeout to answer in, too little to ask anybody (make it larger, so that at least 400ms are left)",
		},
		{"the least time to ask somebody", "pim: {timeout: 10s}", "pim: {timeout: 1s}\nanswer: {within: 0.4}", ""},
		{
			"a share that is out of range is one problem", "pim: {timeout: 10s}", "pim: {timeout: 1s}\nanswer: {within: 0.01}",
			"f:7:18: answer.within: is out of range (from 0.1 to 0.9)",
		},
		{
			"no leeway, which would mean the default", "entra:", "entra:\n  leeway: 0s",
			"f:4:11: entra.leeway: is out of range (from 1s to 5m)",
		},
		{
			"no wait in the queue, which would mean the default", "pim:", "limits: {queue_wait: 0s}\npim:",
			"f:6:22: limits.queue_wait: is out of range (from 1ms to 5s)",
		},
		{
			"no wait for a connector, which would mean the default", "[ticket]", "[ticket], limits: {wait: 0s}",
			"f:9:126: connectors.itsm.limits.wait: is out of range (from 1ms to 5s)",
		},
		{
			"no drain of a connector, which would mean the default", "[ticket]", "[ticket], limits: {drain: 0s}",
			"f:9:127: connectors.itsm.limits.drain: is out of range (from 100ms to 5m)",
		},
		{
			"certificates where the gateway was started", "entra:", "entra:\n  ca_file: ca.pem",
			"f:4:12: entra.ca_file: is no absolute path (begin it with /)",
		},
		{"an authority on this machine", "entra:", "entra:\n  authority: http://127.0.0.1:8080/", ""},
		{
			"an authority with a path", "entra:", "entra:\n  authority: https://login.microsoftonline.com/common",
			"f:4:14: entra.authority: is no URL of a server (write https://host, without path and query)",
		},
		{
			"an authority that only looks like this machine", "entra:", "entra:\n  authority: http://localhost@evil.example",
			"f:4:14: entra.authority: is no URL of a server (write https://host, without path and query)",
		},
		{
			"a caller named twice", "entra:", "entra:\n  callers: [1c67c054-65c8-4f7f-92a1-eb7ba6e48627, 1C67C054-65c8-4f7f-92a1-eb7ba6e48627]",
			"f:4:51: entra.callers[1]: is here twice (remove one of them)",
		},
		{"a vendor's own capability", "[ticket]", "[acme.risk.v1.RiskService/GetRisk]", ""},
		{
			"a stray slash before a method", "[ticket]", "[/acme.risk.v1.RiskService/GetRisk]",
			"f:9:102: connectors.itsm.allow[0]: is neither a standard capability nor a gRPC method (write one of principal, ticket, employment, oncall, incident, calendar, or a method such as acme.risk.v1.RiskService/GetRisk)",
		},
		{"no connectors", "connectors:\n  itsm:", "connectors: {}\nlogging: {level: warn}\n#", ""},
		{
			"state where the gateway was started", "pim:", "state_dir: state\npim:",
			"f:6:12: state_dir: is no absolute path (begin it with /)",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			document := strings.Replace(sound, tc.old, tc.replacement, 1)
			if document == sound && tc.old != tc.replacement {
				t.Fatalf("%q is not in the sound configuration", tc.old)
			}
			_, problems := config.Parse("f", []byte(document))
			if diff := cmp.Diff(tc.want, problems.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsedValuesAreInNormalForm(t *testing.T) {
	t.Parallel()
	c, problems := config.Parse("f", []byte(sound))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if c.Entra.TenantID != "0f9e6f3a-2c1d-4b8e-9a57-3d2f1c0b4a61" {
		t.Errorf("tenant %s", c.Entra.TenantID)
	}
	if c.Due() != 6500*time.Millisecond || c.KeyCache() != "/var/lib/countersign/entra-keys.json" {
		t.Errorf("due after %s, keys in %s", c.Due(), c.KeyCache())
	}
	file, line, column := c.Position("connectors.itsm.config.absent")
	if file != "f" || line != 9 || column != 3 {
		t.Errorf("position %s:%d:%d", file, line, column)
	}
	if p := c.Problem("pim.timeout", "m", "r").String(); p != "f:6:16: pim.timeout: m (r)" {
		t.Errorf("problem %s", p)
	}
}

func TestDueIsNeverLaterThanAtMost(t *testing.T) {
	t.Parallel()
	c, problems := config.Parse("f", []byte(strings.Replace(sound, "timeout: 10s", "timeout: 60s", 1)))
	if len(problems) > 0 || c.Due() != 15*time.Second {
		t.Errorf("due after %s, problems %v", c.Due(), problems)
	}
}

func TestBrokenSyntaxIsTheOnlyProblem(t *testing.T) {
	t.Parallel()
	c, problems := config.Parse("f", []byte("listen: [\n"))
	if c == nil || len(problems) != 1 {
		t.Errorf("got %v", problems)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadLooksAtTheMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, key := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "tls.key")
	document := strings.Replace(sound, "listen: {", "listen: {tls: {certificate: "+dir+"/absent, key: "+key+"}, ", 1)
	document = strings.Replace(document, "entra:", "entra:\n  ca_file: "+dir, 1)
	write(t, file, document)
	write(t, key, "key")
	if err := os.Chmod(key, 0o604); err != nil {
		t.Fatal(err)
	}
	_, problems := config.Load(file)
	var got []string
	for _, p := range problems {
		got = append(got, p.Path+": "+p.Message)
	}
	slices.Sort(got)
	want := []string{
		"entra.ca_file: is not a file that can be read",
		"listen.tls.certificate: is not a file that can be read",
		"listen.tls.key: is open to every user of this machine",
		"policies[0]: matches no file",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestLoadFindsPoliciesBesideTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	write(t, file, strings.Replace(sound, `"*.policy.yaml"`, `"*.policy.yaml", "a.policy.yaml"`, 1))
	write(t, filepath.Join(dir, "b.policy.yaml"), "")
	write(t, filepath.Join(dir, "a.policy.yaml"), "")
	c, problems := config.Load(file)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	files, _ := c.PolicyFiles()
	if diff := cmp.Diff([]string{filepath.Join(dir, "a.policy.yaml"), filepath.Join(dir, "b.policy.yaml")}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAConfigurationEverybodyCanChangeIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	write(t, file, sound)
	write(t, filepath.Join(dir, "a.policy.yaml"), "")
	if err := os.Chmod(file, 0o602); err != nil {
		t.Fatal(err)
	}
	_, problems := config.Load(file)
	if len(problems) != 1 || problems[0].Message != "can be changed by every user of this machine" {
		t.Errorf("got %v", problems)
	}
}

func TestAMissingFileIsAProblem(t *testing.T) {
	t.Parallel()
	c, problems := config.Load("absent.yaml")
	want := "absent.yaml: cannot be read: no such file or directory (give the path of a configuration file)"
	if c != nil || problems.Error() != want {
		t.Errorf("got %v", problems)
	}
	if _, problems := config.Load(t.TempDir()); len(problems) != 1 {
		t.Errorf("a directory gives %v", problems)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"4MiB": "4MiB", "4096KiB": "4MiB", "1B": "1B", "0B": "0B", "1025B": "1025B", "1GiB": "1GiB",
		"4": "", "4MB": "", "-1B": "", "4 MiB": "", "1.5MiB": "", "999999999999999GiB": "",
	} {
		var size config.Size
		err := size.UnmarshalText([]byte(text))
		if want == "" && err == nil || want != "" && (err != nil || size.String() != want) {
			t.Errorf("%q is %s, %v; want %q", text, size, err, want)
		}
	}
}

// FuzzParse wants a configuration to be refused or to keep the promises that others rely on.
func FuzzParse(f *testing.F) {
	mistakes, err := os.ReadFile(filepath.Join("testdata", "mistakes.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(mistakes)
	f.Add([]byte(sound))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := config.Parse("f", data)
		if c == nil {
			t.Fatal("no configuration")
		}
		if len(problems) > 0 {
			return
		}
		if len(c.Entra.TenantID) != 36 || len(c.Entra.Callers) == 0 || len(c.Policies) == 0 || c.Due() < 400*time.Millisecond {
			t.Errorf("accepted %+v", c)
		}
		if c.Listen.TLS == nil && !c.Listen.BehindProxy && !c.Listen.Address.Loopback() {
			t.Errorf("accepted plain HTTP on %s", c.Listen.Address)
		}
		for name, connector := range c.Connectors {
			if len(connector.SHA256) != 64 || !filepath.IsAbs(string(connector.Path)) || len(connector.Allow) == 0 || connector.Limits.InFlight < 1 {
				t.Errorf("accepted the connector %s: %+v", name, connector)
			}
		}
	})
}
