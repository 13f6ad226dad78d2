//go:build !windows

package sqlite

import (
	"os"
	"syscall"
)

// openLocked takes the lock or fails at once. The lock ends with the process, however it ends.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func isHeld(err error) bool { return err == syscall.EWOULDBLOCK } //nolint:errorlint // a bare errno from openLocked
