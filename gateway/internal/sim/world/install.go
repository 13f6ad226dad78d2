package world

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/countersign/countersign/configs/demo"
)

// Plugins are the names of the plugins that the demonstration's configuration starts.
func Plugins() []string { return []string{"bamboohr", "entra", "pagerduty", "roster", "servicenow"} }

// Install says where things are that only the caller knows.
type Install struct {
	// Listen and Admin are the addresses of the gateway's listeners, such as "127.0.0.1:8443".
	Listen, Admin string
	// Plugins are the absolute paths of the plugins' executables, by the names of Plugins.
	Plugins map[string]string
}

// Settings are the values that the templates of configs/demo name, apart from those of an Install.
func (w *World) Settings() map[string]string {
	return map[string]string{
		"tenant_id":       w.Tenant.ID(),
		"authority":       w.Tenant.Authority(),
		"client_id":       w.Tenant.ClientID(),
		"app_id_uri":      w.Tenant.AppIDURI(),
		"timeout":         w.options.Timeout.String(),
		"retries":         strconv.Itoa(w.options.Retries),
		"sign_in_url":     w.URL(SignIn),
		"graph_url":       w.URL(Graph),
		"graph_client_id": w.secrets.graphClientID,
		"itsm_url":        w.URL(ITSM),
		"itsm_user":       itsmUser,
		"rota_url":        w.URL(Rota),
		"rota_service":    paymentsService,
		"hr_url":          w.URL(HR),
		"hiro_id":         hiro().ID,
		"hiro_mail":       hiro().Mail,
		"hiro_number":     hiro().Employee,
		"duty_starts":     w.began.Add(-time.Hour).UTC().Format(time.RFC3339),
		"duty_ends":       w.began.Add(11 * time.Hour).UTC().Format(time.RFC3339),
		"hired":           w.date(-900),
	}
}

// Secrets are what the configuration refers to, by the names of their files.
func (w *World) Secrets() map[string]string {
	return map[string]string{"graph": w.secrets.graph, "itsm": w.secrets.itsm, "rota": w.secrets.rota, "hr": w.secrets.hr}
}

// writeSecrets writes each secret into a file of its own, as an operator would mount them.
func (w *World) writeSecrets(dir string) error {
	for name, secret := range w.Secrets() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret+"\n"), 0o600); err != nil {
			return fmt.Errorf("secret %s: %w", name, err)
		}
	}
	return nil
}

// WriteConfig writes the configuration for this world, its policies and its roster into a directory
// that exists, and returns the configuration's path. Its secrets and the gateway's state go into the same directory.
func (w *World) WriteConfig(dir string, in Install) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("configuration in %s: %w", dir, err)
	}
	settings := w.Settings()
	settings["listen"], settings["admin"] = in.Listen, in.Admin
	settings["state_dir"], settings["roster_file"] = filepath.Join(dir, "state"), filepath.Join(dir, "roster.yaml")
	settings["secrets_dir"] = filepath.Join(dir, "secrets")
	for _, name := range Plugins() {
		settings[name+"_path"] = in.Plugins[name]
		if settings[name+"_sha256"], err = checksum(in.Plugins[name]); err != nil {
			return "", fmt.Errorf("plugin %s: %w", name, err)
		}
	}
	for _, d := range []string{"policies", "secrets", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return "", fmt.Errorf("configuration: %w", err)
		}
	}
	if err := errors.Join(w.writeSecrets(settings["secrets_dir"]), writeFiles(dir, settings)); err != nil {
		return "", err
	}
	return filepath.Join(dir, "countersign.yaml"), nil
}

func checksum(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path is given")
	}
	file, err := os.Open(path) //nolint:gosec // the caller's own plugin
	if err != nil {
		return "", fmt.Errorf("checksum: %w", err)
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("checksum of %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// writeFiles writes every file of configs/demo; those that end in .tmpl are filled in first.
func writeFiles(dir string, settings map[string]string) error {
	return fs.WalkDir(demo.Files(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(demo.Files(), name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if plain, ok := strings.CutSuffix(name, ".tmpl"); ok {
			if text, err = fill(name, string(text), settings); err != nil {
				return err
			}
			name = plain
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), text, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		return nil
	})
}

func fill(name, text string, settings map[string]string) ([]byte, error) {
	parsed, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	// The templates put values between double quotes. Go escapes what occurs in them, the backslashes of
	// paths at worst, as YAML does.
	escaped := map[string]string{}
	for key, value := range settings {
		quoted := strconv.Quote(value)
		escaped[key] = quoted[1 : len(quoted)-1]
	}
	var b bytes.Buffer
	if err := parsed.Execute(&b, escaped); err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return b.Bytes(), nil
}
