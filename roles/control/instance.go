package control

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"syscall"
)

// bootID is a file of the kernel with a random number that it draws when it starts.
const bootID = "/proc/sys/kernel/random/boot_id"

// instance names this machine with this state directory, for as long as it is switched on: a copy of the state, wherever
// it is, has another name. It is "" where the machine cannot be told from others.
func (s *State) instance() string {
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return ""
	}
	info, err := os.Stat(s.dir)
	if err != nil {
		return ""
	}
	file, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(boot, "%d %d", file.Dev, file.Ino))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
