package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign/gateway/internal/sim/world"
)

const module = "github.com/countersign/countersign"

// findPlugins returns the paths of the plugins' programs, and builds them first if it has to.
func (d *demo) findPlugins(ctx context.Context) (map[string]string, error) {
	dir, err := filepath.Abs(d.plugins)
	if d.plugins == "" {
		dir, err = d.ownPlugins(ctx)
	}
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, name := range world.Plugins() {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("plugin %s: %w", name, err)
		}
		paths[name] = path
	}
	return paths, nil
}

// ownPlugins builds the plugins and puts them into the demo's own folder, where a later build elsewhere
// does not change the programs that this demo has to start again.
func (d *demo) ownPlugins(ctx context.Context) (string, error) {
	built, err := d.buildPlugins(ctx)
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs(filepath.Join(d.dir, "plugins"))
	if err != nil {
		return "", err
	}
	const onlyOurs = 0o700
	if err := os.MkdirAll(dir, onlyOurs); err != nil {
		return "", err
	}
	for _, name := range world.Plugins() {
		if err := linkOrCopy(filepath.Join(built, name), filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("plugin %s: %w", name, err)
		}
	}
	return dir, nil
}

// linkOrCopy gives a program a second name, and copies it where folders are on different file systems. A
// link is as good as a copy, since go build replaces programs and never writes into them.
func linkOrCopy(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	program, err := os.ReadFile(filepath.Clean(from))
	if err != nil {
		return err
	}
	const executable = 0o700
	return os.WriteFile(to, program, executable) // #nosec G306 G703 -- a program in the demo's own folder
}

// buildPlugins builds into the user's cache, where the next run finds them up to date.
func (d *demo) buildPlugins(ctx context.Context) (string, error) {
	root, err := checkout(ctx)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "countersign", "demo-plugins")
	const onlyOurs = 0o700
	if err := os.MkdirAll(dir, onlyOurs); err != nil {
		return "", err
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, name := range world.Plugins() {
		args = append(args, module+"/plugins/"+name)
	}
	fmt.Fprintln(d.out, "building the plugins …")
	build := exec.CommandContext(ctx, "go", args...) // #nosec G204 -- the module's own packages
	build.Dir, build.Stderr = root, d.out
	// Built on the same file system, programs are replaced by renaming, and none is ever half written.
	build.Env = append(os.Environ(), "GOTMPDIR="+dir)
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build the plugins: %w", err)
	}
	return dir, nil
}

// checkout finds the folder of the sources by asking go for the module around the working directory.
func checkout(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	if err != nil {
		return "", errors.New("the plugins can be built with Go from a checkout only; start it there or give --plugins")
	}
	path, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if path != module {
		return "", fmt.Errorf("this is a checkout of %s and not of %s; start it there or give --plugins", path, module)
	}
	return dir, nil
}
