package config

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign/countersign/gateway/internal/strictyaml"
)

// Load reads and checks a configuration, the files it names included. The configuration is nil only
// if its file cannot be read; with problems it must not be used.
func Load(path string) (*Config, strictyaml.Problems) {
	data, err := readFile(path)
	if err != nil {
		return nil, strictyaml.Problems{unreadable(path, err)}
	}
	c, problems := Parse(path, data)
	if c.document.Has("") {
		problems = append(problems, c.checkMachine()...)
	}
	problems.Sort()
	return c, problems
}

// Parse checks a configuration without looking at the machine: no file it names is opened.
func Parse(file string, data []byte) (*Config, strictyaml.Problems) {
	c := &Config{}
	document, problems := strictyaml.Decode(file, data, c)
	c.document = document
	if !document.Has("") {
		return c, problems // not even YAML: more would be noise
	}
	c.derive()
	problems = append(problems, c.check(problems)...)
	problems.Sort()
	return c, problems
}

// derive fills in the defaults that follow from other settings.
func (c *Config) derive() {
	for path, name := range map[*Path]string{
		&c.Journal.Path: "journal.db", &c.Journal.KeyFile: "journal.key", &c.Journal.CheckpointFile: "journal.checkpoints",
	} {
		if *path == "" {
			*path = c.StateDir.join(name)
		}
	}
}

func (p Path) join(name string) Path { return Path(filepath.Join(string(p), name)) }

// KeyCache is the file that keeps the tenant's signing keys over a restart.
func (c *Config) KeyCache() Path { return c.StateDir.join("entra-keys.json") }

// Due is how long after its arrival a callout must be answered.
func (c *Config) Due() time.Duration {
	return min(time.Duration(c.Answer.Within*float64(c.PIM.Timeout)), c.Answer.AtMost)
}

// File is the name the configuration was loaded under.
func (c *Config) File() string { return c.document.File() }

// Position says where a setting stands, such as "connectors.itsm.config.instance", or the nearest one
// around it.
func (c *Config) Position(path string) (file string, line, column int) {
	line, column = c.document.Position(path)
	return c.document.File(), line, column
}

// Problem is a problem with a setting, for what only later stages can check.
func (c *Config) Problem(path, message, remedy string) strictyaml.Problem {
	return c.document.Problem(path, message, remedy)
}

func readFile(path string) (data []byte, err error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, strictyaml.MaxBytes+1))
}

// unreadable leaves out the path of the system's error, since the problem names it.
func unreadable(path string, err error) strictyaml.Problem {
	if system, ok := errors.AsType[*os.PathError](err); ok {
		err = system.Err
	}
	return strictyaml.Problem{File: path, Message: "cannot be read: " + err.Error(), Remedy: "give the path of a configuration file"}
}
