package generate_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/kit/hookrun/snapctl"
	"aspects-poc/internal/machine"
	"aspects-poc/internal/need"
)

// lamps is a machine with the confdb-schema of testdata/lamp.yaml, and the folder of its Python module.
type lamps struct {
	*machine.Machine
	t   *testing.T
	dir string
	bin string // has snapctl
}

func newLamps(t *testing.T) *lamps {
	t.Helper()
	need.Program(t, "python3")
	s := read(t, "testdata/lamp.yaml")
	l := &lamps{Machine: machine.Start(t, machine.Options{Documents: []json.RawMessage{s.Document}}), t: t, dir: t.TempDir(), bin: snapctlFolder(t)}
	write(t, filepath.Join(l.dir, "lamp.py"), []byte(s.Python()))
	return l
}

// python runs a program that imports the module, with its connection: snapctl with a cookie, or the socket.
func (l *lamps) python(cookie, program string) error {
	write(l.t, filepath.Join(l.dir, "program.py"), []byte("import sys\nfrom lamp import *\nSOCKET = "+`"`+l.Socket()+`"`+"\n"+program))
	command := exec.Command(need.Program(l.t, "python3"), "-B", "program.py")
	command.Dir = l.dir
	command.Env = append(os.Environ(), "PATH="+l.bin+":"+os.Getenv("PATH"), "SNAP_COOKIE="+cookie, snapctl.SocketVariable+"="+l.SnapSocket())
	if out, err := command.CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	return nil
}

func (l *lamps) both(program string) {
	l.t.Helper()
	for name, cookie := range map[string]string{"snapctl": l.Cookie(), "socket": ""} {
		connection := "Snapctl()"
		if cookie == "" {
			connection = "Snapd(SOCKET)"
		}
		if err := l.python(cookie, "c = "+connection+"\nadmin = LampAdmin(c)\nstate = LampState(c)\n"+raises+program); err != nil {
			l.t.Errorf("over %s:\n%s\n%v", name, program, err)
		}
	}
}

const raises = `
def fails(kind, call, reason=""):
    try:
        call()
    except kind as err:
        assert type(err) is kind, repr(err)
        assert reason in err.reason, (reason, err.reason)
        return err
    raise AssertionError("no %s" % kind.__name__)
`

// TestPythonHolds writes and reads every type over both connections.
func TestPythonHolds(t *testing.T) {
	l := newLamps(t)
	l.both(`
admin.unset("brightness", "mode", "factor", "serial", "on", "note", "class", "scenes", "rooms", "timers", "either")
fails(NoData, admin.get)
fails(NoData, admin.brightness().get)
data = LampAdminData(brightness=40, mode="a \"b\" \\ 'c'", factor=1.5, serial=2**62, on=False, note={"deep": [1, "x", True]}, class_="é \U0001f600",
                     psk="hidden", scenes=["b", "a"], rooms={"bath": LampAdminRooms(colour="red", lux=3.0), "hall": LampAdminRooms(lux=0.5)},
                     timers=[LampAdminTimers(at="07:30", days=[1, 2])], either=[3])
admin.set(data)
got = admin.get()
assert got.psk is None  # write-only
data.psk = None
assert got == data, (got, data)
assert isinstance(got.serial, int) and isinstance(got.rooms["bath"].lux, float)
assert admin.rooms_lux("hall").get() == 0.5
assert state.get().times == ["07:30"]
# Values by the longest paths: the other rooms stay.
admin.set(LampAdminData(rooms={"hall": LampAdminRooms(colour="green")}))
assert admin.get().rooms == {"bath": LampAdminRooms(colour="red", lux=3.0), "hall": LampAdminRooms(colour="green", lux=0.5)}
admin.rooms_colour("hall").unset()
assert admin.get().rooms["hall"] == LampAdminRooms(lux=0.5)
admin.set(LampAdminData(scenes=[]))
assert admin.get().scenes is None
def change(data):
    data.brightness += 2
    data.timers = None
    data.either = LampAdminEither3(a="x")
admin.update(change)
got = admin.get()
assert (got.brightness, got.timers, got.either) == (42, None, LampAdminEither3(a="x")), got
admin.update(lambda data: None)
fails(BadRequest, lambda: admin.set(LampAdminData(serial=2**53 + 1)), "lose digits")
admin.set(LampAdminData(note={"list": [2**60, True, 1.5]}))
assert admin.get().note == {"list": [2**60, True, 1.5]}
admin.update(lambda data: setattr(data, "brightness", 43))
admin.set(LampAdminData(brightness=42))
admin.unset("note")
fails(BadRequest, lambda: admin.set(LampAdminData(factor=float("nan"))))
fails(BadRequest, lambda: admin.set(LampAdminData(class_="\udc80")), "UTF-8")
fails(BadRequest, lambda: admin.rooms_lux("a.b"))
assert fails(Invalid, lambda: admin.set(LampAdminData(brightness=101)), "101 is greater than the allowed maximum 100").path == "v1.brightness"
fails(Invalid, lambda: admin.set(LampAdminData(rooms={"zoo": LampAdminRooms(lux=1.0)})))
fails(NoMatch, lambda: admin.unset("nothing"))
`)
	// The keys of a map with required are written together.
	l.both(`
admin.set(LampAdminData(address=LampAdminAddress(street="High Street", town="Ayr")))
assert admin.get().address == LampAdminAddress(street="High Street", town="Ayr")
`)
	// Large numbers stand in the notation that snapd has for 64-bit floats.
	l.both(`
admin.set(LampAdminData(serial=-2**60, factor=1e300))
assert admin.get().serial == -2**60 and admin.get().factor == 1e300
`)
}

// TestPythonErrors checks the classes of errors.
func TestPythonErrors(t *testing.T) {
	l := newLamps(t)
	l.Handle("change-view-lamp-admin", l.Rejecting("too bright: no"))
	if err := l.python("", raises+`
fails(Refused, lambda: LampAdmin(Snapd(SOCKET)).set(LampAdminData(brightness=1)), "too bright: no")
`); err != nil {
		t.Error(err)
	}
	if err := l.python(l.Cookie(), raises+`
fails(Refused, lambda: LampAdmin().set(LampAdminData(brightness=1)), "a custodian refused it")
LampAdmin().set(LampAdminData(psk="cannot be read back"))
`); err != nil {
		t.Error(err)
	}
	l.Handle("change-view-lamp-admin", func(machine.HookCall) error { return errors.New("x.yaml, line 1: no end: correct the file") })
	if err := l.python("", raises+`
fails(Refused, lambda: LampAdmin(Snapd(SOCKET)).set(LampAdminData(brightness=1)), "x.yaml, line 1: no end: correct the file")
`); err != nil {
		t.Error(err)
	}
	l.Handle("change-view-lamp-admin", nil)
	release := l.Occupy("lamp-admin", map[string]any{"brightness": 1})
	l.both(`
c.timeout = 0.5
fails(Busy, lambda: admin.set(LampAdminData(brightness=3)))
fails(Busy, state.get)
`)
	release()
	l.Disconnect("lamp-admin")
	l.both(`fails(NoCustodian if isinstance(c, Snapd) else NotConnected, admin.get)`)
	l.Connect("lamp-admin")
	l.SetCustodian("lamp-state", false)
	l.both(`fails(NoCustodian, state.get)`)
	l.SetCustodian("lamp-state", true)
	l.both(`fails(Unreachable, lambda: LampAdmin(Snapd("/nowhere")).get())
fails(NoView, lambda: LampAdmin(Snapctl(), plug="other").get()) if isinstance(c, Snapctl) else None
fails(Unreachable, lambda: LampAdmin(Snapctl(program="/nowhere")).get())`)
	l.SetEnabled(false)
	l.both(`fails(Disabled, admin.get)`)
	l.SetEnabled(true)
	l.SetAcknowledged(false)
	l.both(`fails(NoSchema, admin.get)`)
	l.SetAcknowledged(true)
	l.SetVersion("2.71")
	if err := l.python("", raises+`fails(Unsupported, LampAdmin(Snapd(SOCKET)).get, "2.73 or later")`); err != nil {
		t.Error(err)
	}
	for _, version := range []string{"2.73", "2.75.1"} { // others are refused at once there
		l.SetVersion(version)
		release := l.Occupy("lamp-admin", map[string]any{"brightness": 1})
		l.both(`
c.timeout = 0.3
fails(Busy, lambda: admin.set(LampAdminData(brightness=3)))`)
		release()
		l.both(`
admin.set(LampAdminData(brightness=4))
assert admin.get().brightness == 4`)
	}
}

// TestPythonHooks runs a program as a hook.
func TestPythonHooks(t *testing.T) {
	l := newLamps(t)
	l.Handle("change-view-lamp-admin", func(call machine.HookCall) error {
		return l.python(call.Cookie, `
admin = LampAdmin(Snapctl(hook="change-view-lamp-admin"))
try:
    before = admin.get(previous=True).brightness
except NoData:
    before = None
now = admin.get()
if now.brightness is not None and now.brightness > 90:
    refuse("too bright: %d after %s" % (now.brightness, before))
elif now.brightness is not None:
    admin.set(LampAdminData(class_="seen", on=True))
`)
	})
	if err := l.Write("lamp-admin", map[string]any{"brightness": 5}); err != nil {
		t.Fatal(err)
	}
	if got := l.Stored(); got != `{"v1":{"brightness":5,"class":"seen","on":true}}` {
		t.Errorf("stored is %s", got)
	}
	err := l.Write("lamp-admin", map[string]any{"brightness": 95})
	if err == nil || !strings.Contains(err.Error(), "too bright: 95 after 5") {
		t.Errorf("the hook refused with %v", err)
	}
	l.Handle("change-view-lamp-admin", nil)
	l.Handle("load-view-lamp-live", func(call machine.HookCall) error {
		return l.python(call.Cookie, `LampLive(Snapctl(hook="load-view-lamp-live")).set(LampLiveData(now=7))`)
	})
	l.Handle("save-view-lamp-live", func(machine.HookCall) error { return nil })
	l.both(`assert LampLive(c).get() == LampLiveData(now=7)`)
}

// TestPythonWatch sees changes that others make, and filtered reads.
func TestPythonWatch(t *testing.T) {
	l := newLamps(t)
	l.both(`
import threading
admin.set(LampAdminData(brightness=1))
seen = []
def look():
    every = 0.05 if isinstance(c, Snapctl) else 60
    for data in LampState(type(c)(SOCKET) if isinstance(c, Snapd) else Snapctl()).watch(every=every, timeout=20):
        seen.append(data.brightness)
        begun.set()
        if data.brightness == 3:
            return
begun = threading.Event()
watcher = threading.Thread(target=look)
watcher.start()
begun.wait(20)
admin.brightness().set(3)
watcher.join(20)
assert seen[0] == 1 and seen[-1] == 3, seen
admin.set(LampAdminData(rooms={"bath": LampAdminRooms(colour="red"), "hall": LampAdminRooms(colour="green")}))
filtered = LampFiltered(c)
assert list(filtered.get(colour="red").rooms) == ["bath"]
`)
}

// TestPythonTypes runs type checkers on the module, as an author's CI does.
func TestPythonTypes(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"testdata/lamp.yaml", "../../../examples/proxy/proxy.yaml"} {
		s := read(t, file)
		write(t, filepath.Join(dir, s.Parsed.Name+".py"), []byte(s.Python()))
	}
	write(t, filepath.Join(dir, "use.py"), []byte(`import lamp
import proxy

admin = lamp.LampAdmin()
data: lamp.LampAdminData = admin.get()
brightness: int = admin.brightness().get()
rooms = data.rooms or {}
colour = rooms["bath"].colour
if colour is not None:
    admin.rooms_colour("hall").set(colour)
admin.set(lamp.LampAdminData(mode="home"))
proxies = proxy.ProxyAdmin().get()
`))
	run(t, dir, "mypy", "--strict", "--python-version", "3.8", "use.py")
	wrong := filepath.Join(dir, "wrong.py")
	write(t, wrong, []byte(`import lamp
lamp.LampAdmin().set(lamp.LampAdminData(mode="nowhere"))
lamp.LampState().set(None)
lamp.LampAdmin().brightness().set("x")
lamp.LampFiltered().get()
`))
	out, err := exec.Command(need.Program(t, "mypy"), "--strict", "--python-version", "3.8", wrong).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Found 4 errors") {
		t.Errorf("mypy says of what is wrong: %s", out)
	}
}
