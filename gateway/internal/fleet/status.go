package fleet

import "time"

// Status is the state of one connector for an operator.
type Status struct {
	Connector    string   `json:"connector"`
	State        string   `json:"state"`
	Version      string   `json:"version,omitempty"`
	SHA256       string   `json:"sha256"`
	PID          int      `json:"pid,omitempty"`
	Restarts     int      `json:"restarts"`
	Capabilities []string `json:"capabilities"`
	// Problem is why it does not answer; empty if it does.
	Problem string `json:"problem,omitempty"`
	// Next is when it is started again; zero if it is ready.
	Next time.Time `json:"next_start,omitzero"`
	// LastExit is how its last process ended.
	LastExit string `json:"last_exit,omitempty"`
	// LastExitAt is when.
	LastExitAt time.Time `json:"last_exit_at,omitzero"`
}

// Status returns the state of every connector, in the order of the configuration.
func (f *Fleet) Status() []Status {
	all := make([]Status, 0, len(f.order))
	for _, name := range f.order {
		m := f.members[name]
		s := m.process.Status()
		one := Status{
			Connector: name, State: string(s.State), Version: s.Version, SHA256: s.SHA256, PID: s.PID, Restarts: s.Restarts, Next: s.Next,
		}
		for _, c := range m.offers {
			one.Capabilities = append(one.Capabilities, c.Name())
		}
		if s.Problem != nil {
			one.Problem = bounded(s.Problem.Error())
		}
		if s.LastExit != nil {
			one.LastExit, one.LastExitAt = s.LastExit.Reason, s.LastExit.At
		}
		all = append(all, one)
	}
	return all
}
