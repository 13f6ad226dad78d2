package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/gateway/internal/journal"
)

func newKeys(t testing.TB) (*journal.Keys, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.key")
	keys, err := journal.LoadOrCreateKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return keys, path
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	t.Parallel()
	made, path := newKeys(t)
	for name, mode := range map[string]os.FileMode{path: 0o600, path + ".pub": 0o644} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
	if public := readFile(t, path+".pub"); public != made.Public()+"\n" {
		t.Errorf("public part is %q, want %q", public, made.Public())
	}
	again, err := journal.LoadOrCreateKeys(path)
	if err != nil || again.Public() != made.Public() || again.HashJustification("x") != made.HashJustification("x") {
		t.Errorf("loaded keys differ: %v", err)
	}
	other, _ := newKeys(t)
	if other.Public() == made.Public() || other.HashJustification("x") == made.HashJustification("x") {
		t.Error("two key files hold the same keys")
	}
}

func TestKeyFileThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	for mode, fine := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o440: true, 0o640: true, 0o644: false, 0o660: false, 0o604: false, 0o602: false, 0o601: false,
	} {
		_, path := newKeys(t)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := journal.LoadKeys(path); (err == nil) != fine {
			t.Errorf("mode %v: %v, want fine %t", mode, err, fine)
		}
	}
}

func TestBrokenKeyFilesAreRefusedWithoutBeingQuoted(t *testing.T) {
	t.Parallel()
	_, path := newKeys(t)
	lines := strings.Split(strings.TrimSpace(readFile(t, path)), "\n")
	comment, signer, secret := lines[0], lines[1], lines[2]
	for name, text := range map[string]string{
		"empty":             "",
		"no secret":         signer,
		"no signer":         secret,
		"two secrets":       strings.Join([]string{signer, secret, secret}, "\n"),
		"two signers":       strings.Join([]string{signer, signer, secret}, "\n"),
		"short secret":      signer + "\n" + secret[:len(secret)-8],
		"not base64":        signer + "\n" + secret + "*",
		"short signer":      signer[:len(signer)-4] + "\n" + secret,
		"something else":    strings.Join([]string{comment, signer, secret, "0123456789secret"}, "\n"),
		"public for signer": readFile(t, path+".pub") + secret,
	} {
		broken := filepath.Join(t.TempDir(), "broken.key")
		if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := journal.LoadOrCreateKeys(broken)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want an error", name, err)
			continue
		}
		if strings.Contains(err.Error(), "0123456789secret") || strings.Contains(err.Error(), secret[7:20]) {
			t.Errorf("%s: the error quotes the file: %v", name, err)
		}
	}
}

func TestKeysCannotBePrinted(t *testing.T) {
	t.Parallel()
	keys, path := newKeys(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(verb, keys)
		if !strings.Contains(text, keys.Public()) || strings.Contains(text, "0x") || strings.Contains(text, "[") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if strings.Contains(readFile(t, path+".pub"), "PRIVATE") {
		t.Error("the public part is private")
	}
}
