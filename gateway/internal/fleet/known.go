package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/countersign/countersign/connectors/host"
)

// file is where the description of a program is kept. The digest is one that the host has checked.
func (o Options) file(digest string) string {
	return filepath.Join(o.Descriptions, filepath.Base(strings.ToLower(digest))+".binpb")
}

// known returns what the program with a digest described itself as when it was last ready; nil if that
// is not known. Whoever changes the file gains nothing: a process that describes itself otherwise is not
// used, so that what policies would be told stays unknown.
func (o Options) known(digest string) *host.Description {
	if o.Descriptions == "" {
		return nil
	}
	raw, err := os.ReadFile(o.file(digest))
	if err != nil {
		return nil
	}
	d, err := host.ParseDescription(raw)
	if err != nil {
		return nil
	}
	return d
}

// keep replaces the file of a description in one step.
func (o Options) keep(d *host.Description, digest string) error {
	const onlyOurs = 0o700
	if o.Descriptions == "" {
		return nil
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(d.Raw)
	if err != nil {
		return fmt.Errorf("description: %w", err)
	}
	if err := os.MkdirAll(o.Descriptions, onlyOurs); err != nil {
		return err
	}
	f, err := os.CreateTemp(o.Descriptions, "description-*") // readable by its owner only
	if err != nil {
		return err
	}
	if err := write(f, raw); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), o.file(digest))
}

func write(f *os.File, raw []byte) error {
	_, err := f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
