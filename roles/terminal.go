package roles

import (
	"os"

	"golang.org/x/term"
)

// IsTerminal tells whether what is written to (or read from) a stream of Env meets a person's eyes.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
