package host

// WithVerified returns options that call f between the check of a digest and the start.
func WithVerified(o Options, f func()) Options {
	o.verified = f
	return o
}

// NewDescription gives tests the intake of descriptions without a process.
var NewDescription = newDescription
