package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/config"
	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

const canary = "c4nary-7f3a9e1b5d2c8064"

func TestReferences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"env:NAME": true, "env:_n1": true, "file:/run/secrets/x": true,
		"": false, "env:": false, "env:1X": false, "env:A B": false, "file:": false, "file:relative": false,
		"file:~/x": false, canary: false, "ENV:NAME": false, " env:NAME": false, "file:/a\x00b": false,
	} {
		if secret, ok := config.ParseReference(text); ok != want || ok && secret.String() != text {
			t.Errorf("ParseReference(%q) = %s, %t", text, secret, ok)
		}
	}
}

func TestASecretThatIsWrittenOutIsRefused(t *testing.T) {
	t.Parallel()
	var into struct {
		Token config.Secret `yaml:"token"`
	}
	_, problems := strictyaml.Decode("f", []byte("token: "+canary), &into)
	want := "f:1:8: token: must be a reference to a secret, not the secret itself (write file:/absolute/path or env:NAME)"
	if problems.Error() != want {
		t.Errorf("got %v", problems)
	}
	if !into.Token.IsZero() {
		t.Error("the secret was kept")
	}
}

func TestResolveFromTheEnvironment(t *testing.T) {
	t.Setenv("COUNTERSIGN_TEST_SECRET", canary+"\n")
	t.Setenv("COUNTERSIGN_TEST_EMPTY", "")
	if plain, err := resolve(t, "env:COUNTERSIGN_TEST_SECRET"); err != nil || plain.Reveal() != canary+"\n" {
		t.Errorf("got %q, %v; a variable is taken as it is", plain.Reveal(), err)
	}
	for _, name := range []string{"COUNTERSIGN_TEST_EMPTY", "COUNTERSIGN_TEST_UNSET"} {
		if _, err := resolve(t, "env:"+name); !errors.Is(err, config.ErrSecretMissing) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func resolve(t *testing.T, reference string) (config.Plain, error) {
	t.Helper()
	secret, ok := config.ParseReference(reference)
	if !ok {
		t.Fatalf("%s is no reference", reference)
	}
	return secret.Resolve()
}

func TestResolveFromAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tc := range []struct {
		name, content, want string
		err                 error
	}{
		{"as it is", canary, canary, nil},
		{"with a line end", canary + "\n", canary, nil},
		{"with a Windows line end", canary + "\r\n", canary, nil},
		{"with two line ends", canary + "\n\n", canary + "\n", nil},
		{"with spaces", " " + canary + " \n", " " + canary + " ", nil},
		{"empty", "", "", config.ErrSecretMissing},
		{"a line end only", "\n", "", config.ErrSecretMissing},
		{"largest", strings.Repeat("x", 64<<10) + "\n", strings.Repeat("x", 64<<10), nil},
		{"too large", strings.Repeat("x", 64<<10+1), "", config.ErrSecretUnusable},
		{"far too large", canary + strings.Repeat("x", 1<<20), "", config.ErrSecretUnusable},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(tc.name, " ", "-"))
		write(t, path, tc.content)
		plain, err := resolve(t, "file:"+path)
		if !errors.Is(err, tc.err) || plain.Reveal() != tc.want {
			t.Errorf("%s: got %d bytes, %v", tc.name, len(plain.Reveal()), err)
		}
		if err != nil && (strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: the error is %q", tc.name, err)
		}
	}
	if _, err := resolve(t, "file:"+dir+"/absent"); !errors.Is(err, config.ErrSecretMissing) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := resolve(t, "file:"+dir); !errors.Is(err, config.ErrSecretUnusable) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := resolve(t, "file:"+os.DevNull); !errors.Is(err, config.ErrSecretUnusable) {
		t.Errorf("a device: %v", err)
	}
	if _, err := (config.Secret{}).Resolve(); !errors.Is(err, config.ErrSecretMissing) {
		t.Errorf("nothing: %v", err)
	}
}

// holder buries secrets the ways a struct can.
type holder struct {
	Plain    config.Plain
	Pointer  *config.Plain
	Any      any
	List     []config.Plain
	Map      map[string]config.Plain
	Variable config.Variable
	Settings config.Settings
	hidden   config.Plain
	variable config.Variable
	inner    struct{ plain config.Plain }
}

func hold(t *testing.T) holder {
	t.Helper()
	p := config.NewPlain(canary)
	var v config.Variable
	if err := v.UnmarshalText([]byte(canary)); err != nil {
		t.Fatal(err)
	}
	h := holder{
		Plain: p, Pointer: &p, Any: p, List: []config.Plain{p}, Map: map[string]config.Plain{"k": p},
		Variable: v, Settings: config.Settings{"password": canary}, hidden: p, variable: v,
	}
	h.inner.plain = p
	return h
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	h := hold(t)
	var out bytes.Buffer
	for _, value := range []any{h, &h, h.Plain, h.Pointer, h.Any, h.List, h.Map, h.Variable, h.Settings, h.hidden} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value, fmt.Errorf("wrapped: %v", value))
		for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(handler).Info("value", "value", value, slog.Group("group", "value", value)) //nolint:sloglint // what the test is about
		}
	}
	for _, value := range []any{h, &h, h.Plain, h.List, h.Map, h.Variable, h.Settings} {
		marshal(t, &out, value)
	}
	out.WriteString(cmp.Diff(config.NewPlain("x").String(), h.Plain.String()))
	if at := strings.Index(out.String(), canary); at >= 0 {
		t.Errorf("the secret shows: …%s", out.String()[max(0, at-80):at+len(canary)])
	}
	for _, coded := range []string{fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), strings.Join(strings.Fields(fmt.Sprintf("%d", []byte(canary))), " ")} {
		if strings.Contains(out.String(), coded) {
			t.Errorf("the secret shows as %s", coded)
		}
	}
	if !strings.Contains(out.String(), "[redacted]") || h.Plain.Reveal() != canary {
		t.Error("the test does not hold a secret")
	}
}

// marshal writes what encoders make of a value; an encoder that refuses it is as good.
func marshal(t *testing.T, out *bytes.Buffer, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Error(err)
	}
	out.Write(text)
	if text, err := xml.Marshal(value); err == nil {
		out.Write(text)
	}
	if m, ok := value.(interface{ MarshalYAML() (any, error) }); ok {
		text, _ := m.MarshalYAML()
		fmt.Fprint(out, text)
	}
}

func TestVariables(t *testing.T) {
	t.Setenv("COUNTERSIGN_TEST_VARIABLE", canary)
	for text, want := range map[string]string{
		"UTC": "UTC", "": "", "8080": "8080", "env:COUNTERSIGN_TEST_VARIABLE": canary, "environment:x": "environment:x",
	} {
		var v config.Variable
		if err := v.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if plain, err := v.Resolve(); err != nil || plain.Reveal() != want {
			t.Errorf("%q gives %q, %v", text, plain.Reveal(), err)
		}
	}
	for _, text := range []string{"env:1", "file:relative", "a\x00b"} {
		var v config.Variable
		if err := v.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
