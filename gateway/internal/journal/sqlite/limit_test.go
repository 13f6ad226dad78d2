//go:build unix

package sqlite_test

import (
	"os"
	"os/signal"
	"syscall"
)

// limitFiles keeps this process from making any file longer. The signal that comes with it would end it.
func limitFiles(length uint64) {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		say("fatal %v", err)
		os.Exit(1)
	}
	limit.Cur = min(length, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		say("fatal %v", err)
		os.Exit(1)
	}
}
