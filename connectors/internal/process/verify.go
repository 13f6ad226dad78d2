package process

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrDigest is in the error about a program whose SHA-256 is not the configured one.
var ErrDigest = errors.New("sha256 does not match")

// openVerified opens a program once and hashes what it opened, so that the caller can start exactly what
// was hashed, whatever happens to the path in between.
func openVerified(path, want string) (*os.File, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the program
	if err != nil {
		return nil, err
	}
	if err := verify(f, want); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("program %s: %w", path, err)
	}
	return f, nil
}

func verify(f *os.File, want string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("is not a regular file")
	}
	digest, err := hex.DecodeString(want)
	if err != nil || len(digest) != sha256.Size {
		return fmt.Errorf("%w: %q is not a SHA-256 in hex", ErrDigest, want)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := hash.Sum(nil); subtle.ConstantTimeCompare(got, digest) != 1 {
		return fmt.Errorf("%w: the file has %x, the configuration says %s", ErrDigest, got, want)
	}
	return refuseScript(f)
}

// refuseScript refuses what an interpreter would open a second time by a path that no longer exists,
// and whose interpreter nobody has verified.
func refuseScript(f *os.File) error {
	var magic [2]byte
	if _, err := f.ReadAt(magic[:], 0); err == nil && string(magic[:]) == "#!" {
		return errors.New("is a script; a connector is one executable file")
	}
	return nil
}
