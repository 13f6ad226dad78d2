package process

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
)

// maxFields bounds the fields of one line that are kept.
const maxFields = 32

// record writes a line of a process into the log. A JSON object keeps its level, message and fields, by
// the names that slog, hclog and most other loggers use; anything else is a text. What the process says
// stays in a group, so that it cannot pass for what the gateway says.
func record(log *slog.Logger, line string, cut bool) {
	var fields map[string]any
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &fields) != nil {
		log.LogAttrs(context.Background(), plainLevel(line), "connector log", slog.GroupAttrs("log", slog.String("text", line), slog.Bool("cut", cut)))
		return
	}
	level := take(fields, "level", "@level", "severity")
	text := take(fields, "msg", "@message", "message")
	take(fields, "time", "@timestamp", "timestamp", "ts")
	attrs := []slog.Attr{slog.String("text", text), slog.Bool("cut", cut)}
	names := sorted(fields)
	for _, name := range names[:min(len(names), maxFields)] {
		attrs = append(attrs, slog.Any(shorten(name, 64), fields[name]))
	}
	log.LogAttrs(context.Background(), parseLevel(level), "connector log", slog.GroupAttrs("log", attrs...))
}

// take removes the fields of these names and returns the first that is a string.
func take(fields map[string]any, names ...string) string {
	found := ""
	for _, name := range names {
		value, ok := fields[name].(string)
		if !ok {
			continue
		}
		if found == "" {
			found = value
		}
		delete(fields, name)
	}
	return found
}

func parseLevel(level string) slog.Level {
	switch strings.ToLower(level) {
	case "trace", "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "fatal", "panic", "critical":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// plainLevel raises the first lines of a dying Go program.
func plainLevel(line string) slog.Level {
	if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
		return slog.LevelError
	}
	return slog.LevelInfo
}

func sorted(fields map[string]any) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
