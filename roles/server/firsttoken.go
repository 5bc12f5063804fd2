package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/internal/durable"
	"aspects-poc/roles"
	"aspects-poc/roles/server/access"

	"github.com/urfave/cli/v2"
)

// The ways in which the server knows operators.
const (
	operatorsToken    = "token"
	operatorsLoopback = "loopback"
)

// firstTokenName is the name of the token that the server makes itself.
const firstTokenName = "first"

// makeFirstToken makes an operator's token if there has never been one, and writes it to a file that only this user can read.
// Without a token every program on this machine would be an operator.
//
// The token is on disk, in a file with a longer name, before the store has it. If the server is killed in between, its next start
// makes another token.
func makeFirstToken(ctx context.Context, tokens access.Store, file string) error {
	name := firstTokenName
	for {
		if guarded, err := tokens.Guarded(ctx); err != nil || guarded {
			return err
		}
		text, digest := access.NewToken(access.Operate)
		candidate := file + "." + rand.Text()[:6]
		err := os.MkdirAll(filepath.Dir(file), 0o700)
		if err == nil {
			err = durable.Write(candidate, []byte(text+"\n"), 0o600)
		}
		if err != nil {
			return fmt.Errorf("cannot write the first operator's token: %w; make one with \"%s\", or start the server with --operators %s",
				err, access.CreateHint, operatorsLoopback)
		}
		err = tokens.AddToken(ctx, access.Token{Name: name, Purpose: access.Operate, Digest: digest,
			Created: time.Now().UTC().Truncate(time.Second)})
		if err == nil {
			return os.Rename(candidate, file)
		}
		if removed := os.Remove(candidate); !errors.Is(err, access.ErrTokenExists) {
			return errors.Join(err, removed)
		}
		// Another server on the same database was faster, or an enrolment token has this name.
		name = firstTokenName + "-" + strings.ToLower(rand.Text()[:6])
	}
}

// hasValidToken reports whether a file has an operator's token that is valid now.
func hasValidToken(ctx context.Context, tokens access.Store, file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	token, err := tokens.Token(ctx, access.TokenDigest(strings.TrimSpace(string(text))))
	return err == nil && token.Purpose == access.Operate && token.Valid(time.Now())
}

// firstTokenFile returns the file for the first operator's token: beside the embedded database, else in the state directory.
// It returns "" if operators need none.
func firstTokenFile(c *cli.Context, s *roles.Settings) string {
	switch {
	case c.String("operators") != operatorsToken:
		return ""
	case c.String("database") != "":
		return filepath.Join(s.StateDir, StateFile+tokenSuffix)
	}
	return statePath(c.String("state"), s.StateDir) + tokenSuffix
}

const tokenSuffix = ".token"
