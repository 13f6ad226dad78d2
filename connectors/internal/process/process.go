// Package process runs one connector program: it verifies and starts it, reads what it prints and kills
// it with everything it started. It is the runner that package host gives to go-plugin; it knows nothing
// of gRPC and never restarts anything.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command says what to run.
type Command struct {
	// Path is the program, absolute; SHA256 is its digest in lower-case hex.
	Path, SHA256 string
	Args         []string
	// Env is the whole environment beside what the handshake needs.
	Env []string
	// Logger receives what the program logs.
	Logger *slog.Logger
	Now    func() time.Time
	// Verified, if set, is called between the check of the digest and the start.
	Verified func()
}

// Process is one run of a program; it implements runner.Runner of go-plugin.
type Process struct {
	command   Command
	env       []string
	socketDir string
	output    *output
	handshake *io.PipeReader
	announce  *io.PipeWriter
	exited    chan struct{}

	mu       sync.Mutex
	lifeline *os.File
	running  *os.Process
	reaped   bool
	doomed   bool
	exit     Exit
	refusal  error
}

// Exit is how a process ended.
type Exit struct {
	// Reason is the exit status or the signal.
	Reason string
	// At is when it was noticed.
	At time.Time
	// Lines are the last lines the process wrote, at most 64.
	Lines []string
}

// New returns a process that is not started yet.
func New(command Command) *Process {
	p := &Process{command: command, output: newOutput(command.Logger, command.Now), exited: make(chan struct{})}
	p.handshake, p.announce = io.Pipe()
	return p
}

// Prepare sets the environment of the handshake and the directory for sockets, which the process owns
// from here on and removes when it ends.
func (p *Process) Prepare(env []string, socketDir string) {
	p.env, p.socketDir = env, socketDir
}

// Start verifies and starts the program. The context is not needed: nothing here waits.
func (p *Process) Start(context.Context) error {
	binary, err := openVerified(p.command.Path, p.command.SHA256)
	if err != nil {
		return p.notStarted(err)
	}
	defer binary.Close() //nolint:errcheck // read only
	if p.command.Verified != nil {
		p.command.Verified()
	}
	pipes, err := openPipes()
	if err != nil {
		return p.notStarted(err)
	}
	started := make(chan error, 1)
	go p.live(binary, pipes, started) //nolint:contextcheck // it outlives the start
	if err := <-started; err != nil {
		pipes.closeAll()
		return p.notStarted(fmt.Errorf("start %s: %w", p.command.Path, err))
	}
	return nil
}

func (p *Process) notStarted(err error) error {
	_ = os.RemoveAll(p.socketDir)
	_ = p.announce.Close()
	p.mu.Lock()
	p.refusal = err
	p.mu.Unlock()
	return err
}

// live is the life of the child. It stays on one thread from fork to reaping: the kernel sends the death
// signal of a child when the thread that forked it ends, not when the process does (prctl(2)).
func (p *Process) live(binary *os.File, pipes *pipes, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.spawn(binary, pipes); err != nil {
		started <- err
		return
	}
	pipes.closeChild()
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pumpStdout(pipes.stdout) })
	pumps.Go(func() { p.output.pump(pipes.stderr) })
	started <- nil
	why := p.awaitExit()
	// What is left in the pipes is read; a grandchild that escaped the group cannot hold them open.
	pipes.expire(time.Now().Add(lastWords))
	pumps.Wait()
	pipes.closeAll()
	_ = p.announce.Close()
	_ = os.RemoveAll(p.socketDir)
	p.mu.Lock()
	p.exit = Exit{Reason: why, At: p.command.Now(), Lines: p.output.last()}
	p.mu.Unlock()
	close(p.exited)
}

// lastWords is how long the output of a dead process is read.
const lastWords = 200 * time.Millisecond

func (p *Process) spawn(binary *os.File, pipes *pipes) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doomed {
		return errors.New("stopped before it was started")
	}
	running, err := os.StartProcess(execPath(binary), append([]string{p.command.Path}, p.command.Args...), &os.ProcAttr{
		Dir:   "/",
		Env:   append(append([]string{}, p.env...), p.command.Env...),
		Files: []*os.File{pipes.childStdin, pipes.childStdout, pipes.childStderr},
		Sys:   attributes(),
	})
	if err != nil {
		return err
	}
	p.running, p.lifeline = running, pipes.lifeline
	return nil
}

func reason(state *os.ProcessState, err error) string {
	if err != nil {
		return err.Error()
	}
	return state.String()
}

// Signal sends a signal to the process and everything in its group, unless it has ended.
func (p *Process) Signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doomed = p.doomed || s == syscall.SIGKILL
	if p.running != nil && !p.reaped {
		signalGroup(p.running, s)
	}
}

// CloseLifeline closes the other end of the process's standard input, at which a connector ends itself.
func (p *Process) CloseLifeline() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lifeline != nil {
		_ = p.lifeline.Close()
	}
}

// Exited is closed when the process has ended and everything it wrote is read.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Exit says how the process ended, once Exited is closed.
func (p *Process) Exit() Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// Last returns the last lines the process wrote.
func (p *Process) Last() []string { return p.output.last() }

// Refusal is why this package refused the program or its handshake, nil if it did not.
func (p *Process) Refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal
}

// Output returns where to write what the process printed over gRPC instead of its standard files.
func (p *Process) Output() io.Writer { return &lines{to: p.output} }

// PID is the number of the process, 0 before it runs.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return 0
	}
	return p.running.Pid
}

// Wait waits until the process has ended.
func (p *Process) Wait(context.Context) error {
	<-p.exited
	return nil
}

// Kill kills the process and everything in its group and does not wait.
func (p *Process) Kill(context.Context) error {
	p.Signal(syscall.SIGKILL)
	return nil
}

// Stdout gives go-plugin the handshake line and then ends: it would stop reading at a line of 64 KiB.
func (p *Process) Stdout() io.ReadCloser { return p.handshake }

// Stderr gives go-plugin nothing to read: its log bridge panics on lines such as {"@message":1}.
func (p *Process) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is the path of the program.
func (p *Process) Name() string { return p.command.Path }

// ID is the number of the process.
func (p *Process) ID() string { return strconv.Itoa(p.PID()) }

// Diagnose adds nothing to the errors of go-plugin; package host builds its own.
func (p *Process) Diagnose(context.Context) string { return "" }

// PluginToHost lets the process listen nowhere but in its own directory.
func (p *Process) PluginToHost(network, address string) (hostNetwork, hostAddress string, err error) {
	if network != "unix" || filepath.Dir(filepath.Clean(address)) != filepath.Clean(p.socketDir) {
		return "", "", fmt.Errorf("listens on %s %s and not in its socket directory", network, address)
	}
	return network, address, nil
}

// HostToPlugin refuses: the gateway offers connectors no service.
func (p *Process) HostToPlugin(string, string) (pluginNetwork, pluginAddress string, err error) {
	return "", "", errors.New("the gateway offers no service to connectors")
}
