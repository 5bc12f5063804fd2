// Package snapenv reads the SNAP_* environment of a process in a snap. Its main type is Snap.
package snapenv

// A Snap is the environment of a process in a snap. The zero value is a process outside of snaps.
type Snap struct {
	Name     string // SNAP_NAME, without the key of a parallel instance
	Instance string // SNAP_INSTANCE_NAME: NAME or NAME_KEY
	Revision string // SNAP_REVISION: a number, or x1 for a snap from a file
	Version  string // SNAP_VERSION
	Dir      string // SNAP: files of the snap, read-only
	Data     string // SNAP_DATA: writable by root, for each revision; a refresh copies it, a revert restores it
	Common   string // SNAP_COMMON: writable by root, for all revisions
	Cookie   string // SNAP_COOKIE: the secret by which snapd recognises the snap
}

// Read reads the environment through getenv, such as os.Getenv.
func Read(getenv func(string) string) Snap {
	snap := Snap{
		Name: getenv("SNAP_NAME"), Instance: getenv("SNAP_INSTANCE_NAME"), Revision: getenv("SNAP_REVISION"),
		Version: getenv("SNAP_VERSION"), Dir: getenv("SNAP"), Data: getenv("SNAP_DATA"), Common: getenv("SNAP_COMMON"),
		Cookie: getenv("SNAP_COOKIE"),
	}
	if snap.Instance == "" {
		snap.Instance = snap.Name
	}
	return snap
}

// Inside reports whether the process is in a snap.
func (s Snap) Inside() bool { return s.Name != "" }
