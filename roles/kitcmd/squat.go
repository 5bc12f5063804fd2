package kitcmd

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkOwned returns an error if another user may replace files in a folder: the folder is below one that everybody
// may write to, such as /tmp, and a folder or link on the way belongs to another user or is open to others. Root is
// trusted.
func checkOwned(folder string) error {
	if err := checkOwnedPath(folder); err != nil {
		return err
	}
	resolved, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	return checkOwnedPath(resolved)
}

func checkOwnedPath(folder string) error {
	var doubt error // a finding that counts only if a folder above is shared
	for {
		info, err := os.Lstat(folder)
		if err != nil {
			return err
		}
		everybody := info.IsDir() && info.Mode().Perm()&0o002 != 0
		if everybody && info.Mode()&fs.ModeSticky != 0 {
			return doubt
		}
		owner, known := info.Sys().(*syscall.Stat_t)
		switch {
		case known && owner.Uid != 0 && int(owner.Uid) != os.Getuid():
			doubt = fmt.Errorf("%s belongs to another user, who could replace the sockets in it; remove it, or choose another place with --%s",
				folder, flagSocket)
		case info.IsDir() && info.Mode().Perm()&0o022 != 0:
			doubt = fmt.Errorf("other users may write to %s and could replace the sockets in it; close it with chmod go-w, or choose another place with --%s",
				folder, flagSocket)
		}
		parent := filepath.Dir(folder)
		if everybody || parent == folder {
			return doubt
		}
		folder = parent
	}
}
