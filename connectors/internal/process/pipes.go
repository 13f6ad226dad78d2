package process

import (
	"errors"
	"os"
	"time"
)

// pipes are both ends of a child's standard files.
type pipes struct {
	lifeline, stdout, stderr             *os.File
	childStdin, childStdout, childStderr *os.File
}

func openPipes() (*pipes, error) {
	var p pipes
	var errs [3]error
	p.childStdin, p.lifeline, errs[0] = os.Pipe()
	p.stdout, p.childStdout, errs[1] = os.Pipe()
	p.stderr, p.childStderr, errs[2] = os.Pipe()
	if err := errors.Join(errs[:]...); err != nil {
		p.closeAll()
		return nil, err
	}
	return &p, nil
}

func (p *pipes) closeChild() { closeFiles(p.childStdin, p.childStdout, p.childStderr) }

// closeAll closes what is not closed yet.
func (p *pipes) closeAll() {
	p.closeChild()
	closeFiles(p.lifeline, p.stdout, p.stderr)
}

func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// expire ends reading at a time, whoever still holds the writing ends.
func (p *pipes) expire(at time.Time) {
	_ = p.stdout.SetReadDeadline(at)
	_ = p.stderr.SetReadDeadline(at)
}
