//go:build !linux

package process

import (
	"os"
	"syscall"
)

// execPath names the program by its path. Without /proc a file can be exchanged between the check of its
// digest and the start, so gateways in production run on Linux.
func execPath(binary *os.File) string { return binary.Name() }

// attributes are none: the lifeline on standard input has to be enough.
func attributes() *syscall.SysProcAttr { return nil }

// awaitExit waits for the child; what it started has to end by itself.
func (p *Process) awaitExit() string {
	why := reason(p.running.Wait())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	return why
}

func signalGroup(leader *os.Process, _ syscall.Signal) { _ = leader.Kill() }
