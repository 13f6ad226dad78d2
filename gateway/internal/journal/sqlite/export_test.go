package sqlite

import (
	"context"
	"database/sql"
)

// Pragma reads a pragma of the connection that writes.
func (s *Store) Pragma(ctx context.Context, name string) (string, error) {
	var value string
	err := s.writer.db.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}

// CheckDurability is checkDurability.
func CheckDurability(ctx context.Context, db *sql.DB) error { return checkDurability(ctx, db) }
