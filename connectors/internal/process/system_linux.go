package process

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// execPath names the open file itself: what was hashed is what runs.
func execPath(binary *os.File) string {
	return "/proc/self/fd/" + strconv.Itoa(int(binary.Fd()))
}

// attributes give the child its own process group, and its death with the gateway's.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits for the child without reaping it, kills what is left of its group and reaps it then:
// once the leader is reaped the number of the group can be given to somebody else.
func (p *Process) awaitExit() string {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.running.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	signalGroup(p.running, syscall.SIGKILL)
	p.reaped = true
	return reason(p.running.Wait())
}

func signalGroup(leader *os.Process, s syscall.Signal) {
	_ = syscall.Kill(-leader.Pid, s)
}
