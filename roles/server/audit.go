package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet/sqlite"

	"github.com/urfave/cli/v2"
)

// Audit has the settings of the audit log.
type Audit struct {
	File string        // the file for a copy of the log; "" for none
	Keep time.Duration // the age at which records are removed; zero means audit.DefaultKeep
	Most int64         // the most records; zero means audit.DefaultMost
}

func auditFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "audit-file", Usage: "`FILE` to which the server also appends the audit log, as JSON lines; you may move it " +
			"away at any time, and the server begins another"},
		&cli.DurationFlag{Name: "audit-keep", Value: audit.DefaultKeep, Usage: "`DURATION` for which the database keeps the audit log"},
		&cli.Int64Flag{Name: "audit-most", Value: audit.DefaultMost, Usage: "`NUMBER` of records of the audit log in the database at " +
			"most; at most half of them are of acts that were not done"},
	}
}

func newAudit(c *cli.Context) Audit {
	return Audit{File: c.String("audit-file"), Keep: c.Duration("audit-keep"), Most: c.Int64("audit-most")}
}

func (a Audit) check() error {
	switch {
	case a.Keep < 0 || a.Keep > 0 && a.Keep < time.Hour:
		return roles.Usagef("invalid value %q for --audit-keep: want an hour or more", a.Keep)
	case a.Most < 0 || a.Most > 0 && a.Most < 1000:
		return roles.Usagef("invalid value \"%d\" for --audit-most: want 1000 or more", a.Most)
	}
	return nil
}

// copyLog copies the audit log to its file until stop is called.
func copyLog(ctx context.Context, store audit.Store, config Config) (stop func(), err error) {
	file, err := audit.OpenFile(ctx, config.Audit.File, store, config.Log)
	if err != nil {
		return nil, err
	}
	following, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		file.Follow(following)
	}()
	return func() {
		end()
		<-ended
		if err := file.Close(); err != nil {
			config.Log.Error("cannot write the end of the audit log to its file", "error", err)
		}
	}, nil
}

// closeLog writes what the log has in memory.
func closeLog(log *audit.Log) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := log.Close(ctx); err != nil {
		return fmt.Errorf("cannot write the end of the audit log: %w", err)
	}
	return nil
}

// byServer returns a context for a token that the server makes itself.
func byServer(ctx context.Context, now time.Time) context.Context {
	return audit.With(ctx, audit.Begin(audit.Record{At: now, Kind: audit.Server, Name: "first start", Verb: "create",
		Thing: "tokens/" + firstTokenName, Details: "role admin"}))
}

// byCommand returns a context for a change by a command.
func byCommand(ctx context.Context, env *roles.Env, verb, thing, details string) context.Context {
	return audit.With(ctx, audit.Begin(commandRecord(env, verb, thing, details)))
}

// commandRecord returns the record of a command's act.
func commandRecord(env *roles.Env, verb, thing, details string) audit.Record {
	return audit.Record{At: time.Now(), Kind: audit.Command, Name: userName(env), Verb: verb, Thing: thing, Details: details}
}

// recordCommand adds the record of a command that has several transactions. failed is the command's error, or nil.
func recordCommand(ctx context.Context, env *roles.Env, store audit.Store, verb, thing, details string, failed error) error {
	pending := audit.Begin(commandRecord(env, verb, thing, details))
	record, _ := pending.Enter()
	if failed != nil {
		record.Result, record.Reason = audit.Failed, "the command has said why"
	}
	return store.AddRecord(ctx, record)
}

// recordRestore adds the record of a restore to the restored database.
func recordRestore(ctx context.Context, env *roles.Env, state, file string) (err error) {
	store, err := sqlite.Open(ctx, state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return recordCommand(ctx, env, store, "restore", "database", "from "+file, nil)
}

// userName returns the name of the user who runs the command. Behind sudo it also has the user who called sudo.
func userName(env *roles.Env) string {
	name := strconv.Itoa(os.Getuid())
	if found, err := user.Current(); err == nil {
		name = found.Username
	}
	if caller := env.Getenv("SUDO_USER"); caller != "" {
		name += " (sudo by " + caller + ")"
	}
	return name
}
