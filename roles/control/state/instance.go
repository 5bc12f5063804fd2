package state

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"syscall"
)

// bootID is the kernel's file with a random number of the current boot.
const bootID = "/proc/sys/kernel/random/boot_id"

// Instance returns an ID for this machine with this state directory, until it is switched off. A copy of the state
// has another ID. It is "" if the machine cannot be identified.
func (d *Dir) Instance() string {
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return ""
	}
	info, err := os.Stat(d.Path)
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
