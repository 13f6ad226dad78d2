package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/gateway/internal/journal"
	"github.com/countersign/countersign/gateway/internal/journal/journaltest"
	"github.com/countersign/countersign/gateway/internal/journal/sqlite"
)

func benchSettings(b *testing.B) journal.Settings {
	b.Helper()
	dir := b.TempDir()
	return journal.Settings{
		Path: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key"), CheckpointFile: filepath.Join(dir, "checkpoints"),
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			store := open(b, benchSettings(b))
			records := make([]journal.Record, b.N)
			for n := range records {
				records[n] = journaltest.Record(n)
			}
			var next atomic.Int64
			var group sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range callers {
				group.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if err := store.Append(ctx(), records[n-1]); err != nil {
							b.Error(err)
						}
					}
				})
			}
			group.Wait()
		})
	}
}

func BenchmarkAnswered(b *testing.B) {
	store := open(b, benchSettings(b))
	for n := range 1000 {
		mustAppend(b, store, n)
	}
	key := journaltest.Record(500).RequestKey
	b.ReportAllocs()
	for b.Loop() {
		if answers, err := store.Answered(ctx(), key); err != nil || len(answers) != 1 {
			b.Fatal(answers, err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	settings := benchSettings(b)
	const entries = 5000
	store := open(b, settings)
	for n := range entries {
		mustAppend(b, store, n)
	}
	mustClose(b, store)
	public := read(b, settings.KeyFile+".pub")
	b.ReportAllocs()
	for b.Loop() {
		report, err := sqlite.Verify(ctx(), settings.Path, public, journal.VerifyOptions{})
		if err != nil || report.FirstBad != nil || report.Entries != entries {
			b.Fatal(report, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
}
