package evaluation

import (
	"log/slog"
	"sync"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// drift reports what PIM sends and this version does not know, each member once: the first sign that
// the preview has moved on.
type drift struct {
	mu   sync.Mutex
	seen map[string]bool
}

func newDrift() *drift { return &drift{seen: map[string]bool{}} }

// report logs the members of an activation that were never seen before. Their names come from an
// authenticated caller; the memory is bounded all the same.
func (d *drift) report(a pim.Activation, logger *slog.Logger) {
	const most = 1024
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, member := range a.UnknownMembers {
		if key := string(a.Provider) + " " + member; !d.seen[key] && len(d.seen) < most {
			d.seen[key] = true
			logger.Warn("unknown member", slog.String("provider", string(a.Provider)), slog.String("member", member))
		}
	}
}
