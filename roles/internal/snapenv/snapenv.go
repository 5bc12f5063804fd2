// Package snapenv is the SNAP_* environment of a process that runs inside a snap, read once.
package snapenv

// A Snap is where and as what a process runs. Its zero value is a process outside any snap.
type Snap struct {
	Name     string // SNAP_NAME: without the key of a parallel instance
	Instance string // SNAP_INSTANCE_NAME: name, or name_key
	Revision string // SNAP_REVISION: a number, x1 for a snap installed from a file
	Version  string // SNAP_VERSION
	Dir      string // SNAP: the snap's files, read-only
	Data     string // SNAP_DATA: writable by root, per revision: refreshes copy it, reverts bring the old one back
	Common   string // SNAP_COMMON: writable by root, shared by all revisions
	Cookie   string // SNAP_COOKIE: what snapctl shows to snapd
}

// Read reads the environment through getenv (os.Getenv has its shape).
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

// Inside tells whether this is a snap's process.
func (s Snap) Inside() bool { return s.Name != "" }
