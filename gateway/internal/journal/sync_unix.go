//go:build !windows

package journal

import "os"

func syncHandle(d *os.File) error { return d.Sync() }
