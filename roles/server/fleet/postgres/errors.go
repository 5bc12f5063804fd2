package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5/pgconn"
)

// The SQLSTATEs that the code distinguishes (PostgreSQL's documentation, appendix A).
const (
	uniqueViolation      = "23505"
	duplicateTable       = "42P07"
	duplicateObject      = "42710" // of a table: the type of its rows
	undefinedTable       = "42P01"
	undefinedColumn      = "42703"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	featureNotSupported  = "0A000"
	syntaxError          = "42601"
	readOnlyTransaction  = "25006"
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	cannotConnectNow     = "57P03"
	invalidCatalogName   = "3D000"
	queryCanceled        = "57014"
	diskFull             = "53100"
	noStatement          = "26000"
	duplicateStatement   = "42P05"
)

// attempts is how often a transaction is tried that the database asks to repeat.
const attempts = 10

// explain adds to an error of the database or the network what to do. An error that may pass by itself becomes a
// fleet.ErrOutage. ctx is the caller's: its end is no fault of the database.
func explain(ctx context.Context, err error) error {
	switch {
	case err == nil, rows.Refusal(err), ctx.Err() != nil, errors.Is(err, fleet.ErrOutage):
		return err
	case errors.Is(err, context.Canceled): // by within
		return fmt.Errorf("%w: the server of the database was lost meanwhile", fleet.ErrOutage)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: the database did not answer in time; look at its load, and the way to it", fleet.ErrOutage)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return explainRefusal(err, refused.Code)
	}
	if isConnection(err) {
		return fmt.Errorf("%w: %w; this server goes on by itself when the database is back", fleet.ErrOutage, err)
	}
	return err
}

func explainRefusal(err error, code string) error {
	switch {
	case code == readOnlyTransaction:
		return fmt.Errorf("%w: this server of the database is read-only (%w); --database has to name the one that takes writes "+
			"(target_session_attrs=read-write chooses among several hosts)", fleet.ErrOutage, err)
	case code == diskFull:
		return fmt.Errorf("%w: the database's disk is full (%w); make room there, nothing that was acknowledged is lost",
			fleet.ErrOutage, err)
	case code == invalidCatalogName: // the server may be ready before its administrator creates the database
		return fmt.Errorf("%w: %w; create it, or correct --database", fleet.ErrOutage, err)
	case code == adminShutdown, code == crashShutdown, code == cannotConnectNow, code == queryCanceled,
		code == serializationFailure, code == deadlockDetected,
		strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "58"):
		return fmt.Errorf("%w: %w", fleet.ErrOutage, err)
	case code == noStatement, code == duplicateStatement:
		return fmt.Errorf("%w: %w: a pooler before the database mixes sessions; add default_query_exec_mode=cache_describe to the "+
			"address of the database", fleet.ErrOutage, err)
	case code == undefinedTable, code == undefinedColumn:
		return fmt.Errorf("%w; was the database replaced, or has a newer version of this program changed its tables? "+
			"restart this server, with that version", err)
	}
	return err
}

// isConnection reports whether an error comes from the connection, and not from the database.
func isConnection(err error) bool {
	var failed *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &failed) || errors.As(err, &network) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) ||
		errors.Is(err, pgconn.ErrConnClosed)
}

// isRetry reports whether the database asks to repeat the whole transaction.
func isRetry(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == serializationFailure || refused.Code == deadlockDetected)
}
