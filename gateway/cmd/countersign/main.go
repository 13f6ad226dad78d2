// Command countersign is the integration gateway for Microsoft Entra PIM custom extensions. Every
// command of it is a verb; "countersign help" lists them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go obey(signals, cancel)
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// obey ends what is under way at the first signal, and the program at the second, whatever the first
// began.
func obey(signals <-chan os.Signal, cancel context.CancelFunc) {
	<-signals
	cancel()
	second := <-signals
	signal.Reset()
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(second)
	}
	if err != nil {
		os.Exit(exitError)
	}
}
