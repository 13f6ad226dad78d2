// Command tinyhost is the smallest gateway: it starts one connector, prints its process number and waits
// to be killed.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/countersign/countersign/connectors/host"
)

func main() {
	c, err := host.Start(context.Background(), host.Spec{
		Name: "orphan", Path: os.Args[1], SHA256: os.Args[2], Args: os.Args[3:],
	}, host.Options{SocketDir: os.TempDir()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, c.Status().PID)
	select {}
}
