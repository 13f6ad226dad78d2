package main

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

func TestTextNeverSteersATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := format("text")
	err := f.print(&out, nil, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "ticket\t%s\n", "CHG1\x1b]0;owned\x07\u009b31m\u202e\u00e9")
		return err
	})
	const want = "ticket\tCHG1\ufffd]0;owned\ufffd\ufffd31m\ufffd\u00e9\n"
	if err != nil || out.String() != want {
		t.Errorf("%q, %v, want %q", out.String(), err, want)
	}
}
