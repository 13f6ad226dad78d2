package journaltest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gateway/internal/journal"
)

// sizes are how many entries the copied checkpoints count.
func (b *bench) sizes(t *testing.T) []int64 {
	t.Helper()
	var sizes []int64
	var before journal.Hash
	for _, c := range b.checkpoints(t) {
		sizes = append(sizes, c.Head.Seq)
		if c.Previous != before {
			t.Errorf("checkpoint of %d entries does not follow the one before", c.Head.Seq)
		}
		before = c.Hash()
	}
	return sizes
}

// awaitSize waits until the copy counts so many entries, and fails after a time that is ample.
func (b *bench) awaitSize(t *testing.T, want int64) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(10 * time.Second)
	for {
		if sizes := b.sizes(t); len(sizes) > 0 && sizes[len(sizes)-1] == want {
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("checkpoints count %v entries, want %d at last", b.sizes(t), want)
		}
	}
}

func copiesCheckpointOnClose(t *testing.T, b *bench) {
	t.Helper()
	b.append(t, Record(0), Record(1))
	last := b.find(t, "evaluation-1")
	b.close(t)
	checkpoints := b.checkpoints(t)
	if len(checkpoints) != 2 {
		t.Fatalf("there are %d checkpoints, want the first and the last", len(checkpoints))
	}
	if want := (journal.Head{Seq: 2, Hash: last.Hash}); checkpoints[1].Head != want {
		t.Errorf("checkpoint is of %v, want %v", checkpoints[1].Head, want)
	}
}

func copiesCheckpointEvery(t *testing.T, b *bench) {
	t.Helper()
	b.settings.CheckpointEvery = 3
	b.restart(t)
	for n := range 7 {
		b.append(t, Record(n))
	}
	b.awaitSize(t, 6)
	if diff := cmp.Diff([]int64{0, 3, 6}, b.sizes(t)); diff != "" {
		t.Error(diff)
	}
}

func copiesCheckpointAfterWhile(t *testing.T, b *bench) {
	t.Helper()
	b.settings.CheckpointInterval = 10 * time.Millisecond
	b.restart(t)
	b.append(t, Record(0))
	b.awaitSize(t, 1)
	b.append(t, Record(1))
	b.awaitSize(t, 2)
}

func copiesEveryCheckpointOnce(t *testing.T, b *bench) {
	t.Helper()
	b.restart(t)
	b.append(t, Record(0))
	b.restart(t)
	b.restart(t)
	b.append(t, Record(1))
	b.close(t)
	if diff := cmp.Diff([]int64{0, 1, 2}, b.sizes(t)); diff != "" {
		t.Error(diff)
	}
}
