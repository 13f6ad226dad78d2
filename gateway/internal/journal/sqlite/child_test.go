//go:build unix

package sqlite_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

// childVariable makes the test binary a child process that does what it names.
const childVariable = "JOURNAL_TEST_CHILD"

func TestMain(m *testing.M) {
	children := map[string]func(dir, name string){"append": appendForEver, "asked": appendAsked, "full": fillDisk, "hold": holdOpen}
	if child, ok := children[os.Getenv(childVariable)]; ok {
		child(os.Args[1], os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childSettings(dir string) journal.Settings {
	return journal.Settings{
		Path: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key"),
		CheckpointFile: filepath.Join(dir, "checkpoints"), CheckpointEvery: 20,
	}
}

func openInChild(dir string) *sqlite.Store {
	store, err := sqlite.Open(ctx(), childSettings(dir))
	if err != nil {
		say("fatal %v", err)
		os.Exit(1)
	}
	return store
}

// say writes one line in one call, so that a kill cannot cut it.
func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

// report appends a record and says how that went.
func report(store *sqlite.Store, id string) error {
	r := journaltest.Record(1)
	r.Evaluation.ID = id
	err := store.Append(ctx(), r)
	if err != nil {
		say("error %s %v", id, err)
		return err
	}
	say("written %s", id)
	return nil
}

// appendForEver has four callers append until the process is killed.
func appendForEver(dir, name string) {
	store := openInChild(dir)
	say("open")
	for caller := range 4 {
		go func() {
			for i := 0; ; i++ {
				_ = report(store, fmt.Sprintf("%s-%d-%d", name, caller, i))
			}
		}()
	}
	select {}
}

// appendAsked appends until its input is closed, and closes the journal.
func appendAsked(dir, name string) {
	store := openInChild(dir)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for i := 0; ; i++ {
		if report(store, name+"-"+strconv.Itoa(i)) != nil {
			wait(10 * time.Millisecond)
		}
		select {
		case <-done:
			if err := store.Close(); err != nil {
				say("fatal %v", err)
			}
			return
		default:
		}
	}
}

// holdOpen keeps the journal open until it is killed.
func holdOpen(dir, _ string) {
	_ = openInChild(dir)
	say("open")
	select {}
}

// wait is for child processes, which have no test to fail.
func wait(d time.Duration) { <-time.After(d) }
