package config

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// Permissions of users who neither own a file nor belong to its group.
const (
	othersAny   = 0o007
	othersWrite = 0o002
)

// checkMachine looks at the files that the configuration names.
func (c *Config) checkMachine() strictyaml.Problems {
	k := &checker{config: c}
	_, k.problems = c.PolicyFiles()
	k.certificate("listen.tls", c.Listen.TLS)
	k.certificate("admin.tls", c.Admin.TLS)
	k.readable("entra.ca_file", c.Entra.CAFile)
	k.closed("journal.key_file", c.Journal.KeyFile)
	if info, err := os.Stat(c.File()); err == nil && info.Mode().Perm()&othersWrite != 0 {
		k.report("", "can be changed by every user of this machine", "chmod o-w "+c.File())
	}
	return k.problems
}

// PolicyFiles are the files that the policies' patterns match now, sorted and each once. A pattern
// that matches nothing is a problem: a policy that is not loaded protects nothing.
func (c *Config) PolicyFiles() ([]string, strictyaml.Problems) {
	k := &checker{config: c}
	var files []string
	for i, pattern := range c.Policies {
		path := strictyaml.Index("policies", i)
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(c.File()), pattern)
		}
		matches, err := filepath.Glob(pattern)
		switch {
		case err != nil:
			k.report(path, "is no pattern", "use * and ? and close every [")
		case len(matches) == 0:
			k.report(path, "matches no file", "correct it; it is relative to "+c.File())
		}
		files = append(files, matches...)
	}
	slices.Sort(files)
	return slices.Compact(files), k.problems
}

func (k *checker) certificate(path string, t *TLS) {
	if t == nil {
		return
	}
	for name, file := range map[string]Path{"certificate": t.Certificate, "key": t.Key} {
		k.readable(strictyaml.Join(path, name), file)
	}
	k.closed(strictyaml.Join(path, "key"), t.Key)
}

// readable reports a PEM file that is not there; a file that is not given is no problem.
func (k *checker) readable(path string, file Path) {
	if file == "" {
		return
	}
	if info, err := os.Stat(string(file)); err != nil || !info.Mode().IsRegular() {
		k.report(path, "is not a file that can be read", "put a PEM file there or correct the path")
	}
}

// closed reports a key that every user may read; what does not exist yet is no problem.
func (k *checker) closed(path string, file Path) {
	if info, err := os.Stat(string(file)); err == nil && info.Mode().Perm()&othersAny != 0 {
		k.report(path, "is open to every user of this machine", "chmod o= "+string(file))
	}
}
