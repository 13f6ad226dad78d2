package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/countersign/countersign/gateway/internal/journal"
)

const (
	// applicationID marks the file in its header, "CSJL".
	applicationID = 0x43534a4c
	// fileVersion is the version of the tables.
	fileVersion = 1
	// busyTimeout is how long SQLite waits for another's lock, in milliseconds.
	busyTimeout = "busy_timeout(5000)"
	// synchronousFull is what PRAGMA synchronous says of FULL: every commit is synced to the disk. With
	// NORMAL a power cut loses acknowledged commits.
	synchronousFull = 2
)

//go:embed schema.sql
var schema string

// dsn is the address of a connection. Statements that a stored schema contains may not call anything.
func dsn(path, mode string, pragmas ...string) string {
	query := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	query["_pragma"] = append([]string{busyTimeout, "trusted_schema(0)", "cell_size_check(1)"}, pragmas...)
	address := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: query.Encode()}
	return address.String()
}

// openWriter opens the one connection that writes, and makes sure that it writes as it must.
func openWriter(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "rw", "synchronous(FULL)", "fullfsync(1)", "checkpoint_fullfsync(1)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	if err := prepareFile(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// prepareFile changes nothing before it knows that the file is a journal or empty.
func prepareFile(ctx context.Context, db *sql.DB) error {
	empty, err := identify(ctx, db)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return fmt.Errorf("switch to WAL: %w", err)
	}
	if err := checkDurability(ctx, db); err != nil {
		return err
	}
	if !empty {
		return nil
	}
	return createTables(ctx, db)
}

// identify reports whether the file is empty, and fails if it is neither that nor a journal.
func identify(ctx context.Context, db *sql.DB) (bool, error) {
	var application, version int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return false, fmt.Errorf("%w: %w", journal.ErrForeign, err)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return false, fmt.Errorf("%w: %w", journal.ErrForeign, err)
	}
	statements, err := storedSchema(ctx, db)
	switch {
	case err != nil:
		return false, fmt.Errorf("%w: %w", journal.ErrForeign, err)
	case len(statements) == 0 && application == 0 && version == 0:
		return true, nil
	case application != applicationID:
		return false, fmt.Errorf("%w: it is the database of another application", journal.ErrForeign)
	case version != fileVersion:
		return false, fmt.Errorf("%w: it has version %d and this is for version %d", journal.ErrForeign, version, fileVersion)
	case !slices.Equal(statements, schemaStatements()):
		return false, fmt.Errorf("%w: its tables, indices or triggers were changed", journal.ErrTampered)
	}
	return false, nil
}

// storedSchema is the text of everything that the file defines, in order.
func storedSchema(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var statements []string
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			return nil, err
		}
		statements = append(statements, statement)
	}
	slices.Sort(statements)
	return statements, rows.Err()
}

// schemaStatements is the text of everything that a journal defines, in order.
func schemaStatements() []string {
	var statements []string
	for statement := range strings.SplitSeq(schema, ";\n") {
		if statement != "" {
			statements = append(statements, statement)
		}
	}
	slices.Sort(statements)
	return statements
}

func createTables(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		schema, applicationID, fileVersion))
	if err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	return nil
}

// checkDurability reads back what was set: SQLite ignores a pragma that it cannot follow.
func checkDurability(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return fmt.Errorf("read journal_mode: %w", err)
	}
	var synchronous int
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return fmt.Errorf("read synchronous: %w", err)
	}
	if mode != "wal" || synchronous < synchronousFull {
		return fmt.Errorf("a power cut could lose records: journal_mode is %s and synchronous is %d; they must be wal and %d",
			mode, synchronous, synchronousFull)
	}
	return nil
}

// openReaders opens connections that cannot write.
func openReaders(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "rw", "query_only(1)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return db, nil
}

// ensureFile creates the file, which SQLite would create with the umask's mode, and makes its name durable.
func ensureFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return journal.SyncDir(filepath.Dir(path))
}

// identity is which files the path stood for when they were opened. Writing to files that somebody
// has since moved away or replaced would lose every record.
type identity struct{ opened []os.FileInfo }

// inode remembers the file behind the path and its write-ahead log.
func inode(path string) (identity, error) {
	var id identity
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			return identity{}, err
		}
		id.opened = append(id.opened, info)
	}
	return id, nil
}

// still fails if the path stands for other files now.
func (id identity) still(path string) error {
	now, err := inode(path)
	if err != nil {
		return err
	}
	for i, opened := range id.opened {
		if !os.SameFile(opened, now.opened[i]) {
			return fmt.Errorf("%s was replaced while it was open", opened.Name())
		}
	}
	return nil
}

// lock keeps a second process away from a journal. SQLite's own locks would let two writers take
// turns, and each would number and link its entries after a head that is no longer the last.
type lock struct{ file *os.File }

func acquire(journalPath string) (*lock, error) {
	path := journalPath + ".lock"
	f, err := openLocked(path)
	switch {
	case err != nil && isHeld(err):
		return nil, fmt.Errorf("%w by %s", journal.ErrLocked, holder(path))
	case err != nil:
		return nil, fmt.Errorf("lock: %w", err)
	}
	l := &lock{file: f}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), l.release())
	}
	return l, nil
}

// sign says who holds the lock.
func (l *lock) sign() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(l.file, "process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	return err
}

// release lets the next process in. The file stays: removing it could remove another's lock.
func (l *lock) release() error { return l.file.Close() }

func holder(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if name := strings.TrimSpace(string(text)); err == nil && name != "" {
		return name
	}
	return "another process"
}
