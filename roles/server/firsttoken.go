package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"
	"aspects-poc/roles"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet/postgres"

	"github.com/gofrs/flock"
	"github.com/urfave/cli/v2"
)

// The values of --operators.
const (
	operatorsToken    = "token"
	operatorsLoopback = "loopback"
)

// firstTokenName is the name of the token that the server makes itself.
const firstTokenName = "first"

// makeFirstToken makes an operator's token if the store has never had one, and writes it to a file that only this user
// can read. Without a token every program on this machine would be an operator.
//
// The token is in the file before it is in the store. If the server is killed in between, the next start replaces the
// file, because the store has never had a token. A lock serialises servers with the same file.
func makeFirstToken(ctx context.Context, tokens access.Store, file string) error {
	if guarded, err := tokens.Guarded(ctx); err != nil || guarded {
		return err
	}
	fail := func(err error) error {
		return fmt.Errorf("cannot write the first operator's token: %w; make one with \"%s\", or start the server with --operators %s",
			err, access.CreateHint, operatorsLoopback)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fail(err)
	}
	release, err := lockBeside(ctx, file)
	if err != nil {
		return fail(err)
	}
	defer release()
	if guarded, err := tokens.Guarded(ctx); err != nil || guarded {
		return err
	}
	left, err := durable.Leftovers(file) // files of a server that was killed
	for _, path := range left {
		err = errors.Join(err, durable.Remove(path))
	}
	if err != nil {
		return fail(err)
	}
	text, digest := access.NewToken(access.Operate)
	err = regular.Check(file)
	if err == nil {
		err = durable.Write(file, []byte(text+"\n"), 0o600)
	}
	if err != nil {
		return fail(err)
	}
	name := firstTokenName
	for {
		err := tokens.AddToken(ctx, access.Token{Name: name, Purpose: access.Operate, Role: access.RoleAdmin, Digest: digest,
			Created: time.Now().UTC().Truncate(time.Second)})
		if !errors.Is(err, access.ErrTokenExists) {
			return err // the store may have the token all the same, so the file stays
		}
		guarded, err := tokens.Guarded(ctx)
		if err != nil {
			return err
		}
		if guarded { // a server on another machine was first
			return durable.Remove(file)
		}
		name = firstTokenName + "-" + strings.ToLower(rand.Text()[:6]) // an enrolment token has the other name
	}
}

// lockPatience is how long lockBeside waits. Another server needs some milliseconds for its token.
const lockPatience = 10 * time.Second

// lockBeside locks the file FILE.lock. It waits while another process has locked it. It locks a file and no folder,
// because AppArmor permits only that in a strict snap.
func lockBeside(ctx context.Context, file string) (release func(), err error) {
	lock := flock.New(file+".lock", flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("another process has it locked")
		}
		return nil, fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	}
	return func() {
		_ = os.Remove(lock.Path()) // a process that waited for the lock finds the token
		_ = lock.Unlock()          // closing the file would unlock it, too
	}, nil
}

// validTokenFile returns the file with the first operator's token if that token is valid now; else "". A database that
// was copied from the embedded one has the token of the file beside the embedded one.
func validTokenFile(ctx context.Context, tokens access.Store, config Config) string {
	if config.FirstToken == "" {
		return ""
	}
	for _, file := range []string{config.FirstToken, config.State + tokenSuffix} {
		text, err := regular.Read(file)
		if err != nil {
			continue
		}
		token, err := tokens.Token(ctx, access.TokenDigest(strings.TrimSpace(string(text))))
		if err == nil && token.Purpose == access.Operate && token.Valid(time.Now()) {
			return file
		}
	}
	return ""
}

// firstTokenFile returns the path for the first operator's token: beside the embedded database, or where that would be.
// It is "" if operators need no token. For a PostgreSQL the name has a digest of its address, because a user may have
// several.
func firstTokenFile(c *cli.Context, s *roles.Settings) string {
	if c.String("operators") != operatorsToken {
		return ""
	}
	state := statePath(c.String("state"), s.StateDir)
	if address := c.String("database"); address != "" {
		sum := sha256.Sum256([]byte(postgres.Name(address)))
		state += "." + hex.EncodeToString(sum[:4])
	}
	return state + tokenSuffix
}

const tokenSuffix = ".token"
