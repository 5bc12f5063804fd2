package docs

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/internal/program"

	_ "modernc.org/sqlite"
)

// mountsIn is the variable that tells the test program that it may mount, and where the program is.
const mountsIn = "ASPECTS_BAD_DAYS"

// requireMounts is the variable that makes it a failure that tests may not mount.
const requireMounts = "ASPECTS_REQUIRE_MOUNT"

// badDays has a fault for each row of bad-days.md. It returns what the program said.
var badDays = map[string]func(*day) string{
	"The disk gets full, server":               (*day).fullServer,
	"The disk gets full, device":               (*day).fullDevice,
	"The disk gets full, file":                 (*day).fullFile,
	"The disk is full at the start, server":    (*day).fullStart,
	"The file system is read-only, server":     (*day).readOnlyServer,
	"The file system is read-only, device":     (*day).readOnlyDevice,
	"The file system is read-only, file":       (*day).readOnlyFile,
	"The file belongs to another user, server": (*day).foreignServer,
	"The file belongs to another user, device": (*day).foreignDevice,
	"The file belongs to another user, file":   (*day).foreignFile,
	"The clock is years behind, server":        (*day).clockServer,
	"The clock is years behind, device":        (*day).clockDevice,
	"The clock is years behind, file":          (*day).clockFile,
	"`kill -9`, server":                        (*day).killServer,
	"`kill -9`, device":                        (*day).killDevice,
	"`kill -9`, file":                          (*day).killFile,
}

// mounts reports whether a row needs a file system of its own.
func mounts(row string) bool {
	return strings.HasPrefix(row, "The disk") || strings.HasPrefix(row, "The file system")
}

// TestBadDays makes each fault of bad-days.md for processes of the program, and compares what they say.
func TestBadDays(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts many processes")
	}
	said := map[string]string{}
	for _, line := range tableOf(t, "bad-days.md", "| fault | program |") {
		said[line[0]+", "+line[1]] = line[2]
	}
	for row := range badDays {
		if said[row] == "" {
			t.Errorf("bad-days.md has no row %q", row)
		}
	}
	folder := os.Getenv(mountsIn)
	inside := folder != ""
	if !inside {
		folder = program.Dir(t)
		t.Run("mounts", func(t *testing.T) {
			t.Parallel()
			withMounts(t, folder)
		})
	}
	for row, says := range said {
		fault := badDays[row]
		if fault == nil {
			t.Errorf("no test makes %q", row)
			continue
		}
		if mounts(row) != inside {
			continue
		}
		t.Run(strings.ReplaceAll(row, "`", ""), func(t *testing.T) {
			t.Parallel()
			got := strings.ReplaceAll(fault(newDay(t, folder, inside)), `\"`, `"`)
			for _, words := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(says, -1) {
				if !contains(got, words[1]) {
					t.Errorf("it says\n%s\nand not\n%s", got, words[1])
				}
			}
			if says == "nothing" && regexp.MustCompile(`level=(WARN|ERROR)|error:`).MatchString(got) {
				t.Errorf("it says %s", got)
			}
		})
	}
}

// withMounts runs the rest of the test in a mount namespace.
func withMounts(t *testing.T, folder string) {
	try := func(flags uintptr) ([]byte, error) {
		inner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBadDays$", "-test.v")
		inner.Env = append(os.Environ(), mountsIn+"="+folder)
		inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		if flags&syscall.CLONE_NEWUSER != 0 {
			inner.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
			inner.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
		}
		return inner.CombinedOutput()
	}
	out, err := try(syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER)
	if forbidden(out, err) {
		out, err = try(syscall.CLONE_NEWNS)
	}
	switch {
	case forbidden(out, err):
		need.Missing(t, "the right to mount (full disks and read-only file systems are left out)", "run it as root, or where users may "+
			"make namespaces", requireMounts)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

const cannotMount = "cannot mount here"

// forbidden reports whether the test program could not be started in a namespace, or could not mount there.
func forbidden(out []byte, err error) bool {
	var failed *exec.ExitError
	return err != nil && (!errors.As(err, &failed) || bytes.Contains(out, []byte(cannotMount)))
}

// contains reports whether text has the words, with anything in the place of each "…".
func contains(text, words string) bool {
	for piece := range strings.SplitSeq(words, "…") {
		i := strings.Index(text, piece)
		if i < 0 {
			return false
		}
		text = text[i+len(piece):]
	}
	return true
}

// tableOf returns the cells of the table of a page whose head begins so.
func tableOf(t *testing.T, file, head string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("%s has no table %s", file, head)
	}
	for i, line := range strings.Split(table, "\n") {
		if i < 2 {
			continue
		}
		if !strings.HasPrefix(line, "| ") {
			break
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 4 {
			t.Fatalf("%s: %d cells in %s", file, len(cells), line)
		}
		rows = append(rows, cells)
	}
	return rows
}

// A day is a server, a device and a registry file in a folder.
type day struct {
	t      *testing.T
	binary string
	dir    string
	url    string // of the server that runs
	server *exec.Cmd
	log    *heard // of the server
	user   *syscall.SysProcAttr
}

// heard is what a process has written so far.
type heard struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *heard) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *heard) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newDay(t *testing.T, folder string, mounted bool) *day {
	d := &day{t: t, binary: filepath.Join(folder, "aspects-poc"), dir: t.TempDir()}
	if mounted {
		if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, "size=1500k"); err != nil {
			t.Fatalf("%s: %v", cannotMount, err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	}
	d.mkdir("server", "device")
	t.Cleanup(d.stop)
	return d
}

func (d *day) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *day) mkdir(names ...string) {
	for _, name := range names {
		d.must(os.MkdirAll(d.at(name), 0o700))
	}
}

func (d *day) at(name string) string { return filepath.Join(d.dir, name) }

func (d *day) command(words ...string) *exec.Cmd {
	command := exec.Command(d.binary, words...)
	command.Dir = d.dir
	command.Env = append(os.Environ(), "ASPECTS_CONFIG=-", "HOME="+d.dir, "XDG_STATE_HOME="+d.dir)
	command.SysProcAttr = d.user
	return command
}

// run runs a command to its end, and wants this exit code.
func (d *day) run(code int, words ...string) string {
	d.t.Helper()
	command := d.command(words...)
	out, err := command.CombinedOutput()
	if got := command.ProcessState.ExitCode(); got != code {
		d.t.Errorf("%v: exit code %d, %v, want %d\n%s", words, got, err, code, out)
	}
	return string(out)
}

// until waits for a condition.
func (d *day) until(what string, holds func() bool) {
	d.t.Helper()
	for range 3000 {
		if holds() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	d.t.Fatalf("%s did not come\n%s", what, d.log)
}

func (d *day) serve() {
	d.t.Helper()
	d.log = &heard{}
	d.server = d.command("server", "run", "--state", "server/server.db", "--listen", "127.0.0.1:0", "--poll-interval", "1s",
		"--operators", "loopback")
	d.server.Stdout, d.server.Stderr = d.log, d.log
	d.must(d.server.Start())
	listening := regexp.MustCompile(`Listening on (\S+),`)
	d.until("the server", func() bool { return listening.MatchString(d.log.String()) })
	d.url = listening.FindStringSubmatch(d.log.String())[1]
}

// end ends the server with a signal.
func (d *day) end(signal syscall.Signal) {
	d.must(d.server.Process.Signal(signal))
	_ = d.server.Wait() // it was killed
	d.server = nil
}

func (d *day) stop() {
	if d.server != nil {
		d.end(syscall.SIGTERM)
	}
}

// ask returns the status of the server's answer.
func (d *day) ask(method, path, body string) int {
	d.t.Helper()
	request, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	d.must(err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	d.must(err)
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

func (d *day) want(rate int) int {
	d.t.Helper()
	return d.ask("PUT", "/target-config/", fmt.Sprintf(`{"config":{"control-telemetry":{"sample-rate":%d}}}`, rate))
}

func (d *day) control(more ...string) []string {
	return append([]string{"control", "run", "--state", "device", "--registry", "file:device/confdb.json", "--server-url", d.url,
		"--seed", "3"}, more...)
}

// poll runs the device for one cycle.
func (d *day) poll(code int) string {
	d.t.Helper()
	return d.run(code, d.control("--once")...)
}

func (d *day) set(code, rate int) string {
	d.t.Helper()
	return d.run(code, "registry", "set", "control-telemetry", fmt.Sprintf("sample-rate=%d", rate), "--registry", "file:device/confdb.json")
}

func (d *day) rate() string {
	d.t.Helper()
	return strings.TrimSpace(d.run(0, "registry", "get", "control-telemetry", "sample-rate", "--registry", "file:device/confdb.json"))
}

func (d *day) rateIs(want ...string) {
	d.t.Helper()
	if got := d.rate(); !slices.Contains(want, got) {
		d.t.Errorf("sample-rate is %s, want %v", got, want)
	}
}

func (d *day) statusIs(want, got int) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("the server answers %d, want %d\n%s", got, want, d.log)
	}
}

// devices returns the number of devices that the server knows.
func (d *day) devices() string {
	d.t.Helper()
	response, err := http.Get(d.url + "/summary/")
	d.must(err)
	text, err := io.ReadAll(response.Body)
	d.must(errors.Join(err, response.Body.Close()))
	return regexp.MustCompile(`"devices":\d+`).FindString(string(text))
}

func (d *day) oneDevice() {
	d.t.Helper()
	if got := d.devices(); got != `"devices":1` {
		d.t.Errorf("the server knows %s, want one", got)
	}
}

// fill fills the file system.
func (d *day) fill() {
	d.t.Helper()
	if err := os.WriteFile(d.at("fill"), make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("the disk is not full: %v", err)
	}
}

func (d *day) makeRoom() { d.must(os.Remove(d.at("fill"))) }

func (d *day) fullServer() string {
	d.serve()
	d.poll(0)
	d.statusIs(200, d.want(2))
	d.fill()
	d.statusIs(503, d.want(3))
	d.statusIs(503, d.ask("GET", "/readyz", ""))
	d.statusIs(200, d.ask("GET", "/targets/", ""))
	said := d.log.String()
	d.makeRoom()
	d.poll(0)
	d.rateIs("2")
	d.statusIs(200, d.want(4))
	d.statusIs(200, d.ask("GET", "/readyz", ""))
	d.oneDevice()
	return said
}

func (d *day) fullDevice() string {
	d.serve()
	d.poll(0)
	d.statusIs(200, d.want(2))
	d.fill()
	device, said := d.command(d.control()...), &heard{}
	device.Stdout, device.Stderr = said, said
	d.must(device.Start())
	defer func() { _, _ = device.Process.Kill(), device.Wait() }()
	d.until("a word about the disk", func() bool { return strings.Contains(said.String(), "no space left") })
	told := said.String()
	d.makeRoom()
	d.until("the target", func() bool { return d.rate() == "2" })
	d.oneDevice()
	return told
}

func (d *day) fullFile() string {
	d.set(0, 2)
	d.fill()
	said := d.set(1, 3)
	d.rateIs("2")
	d.makeRoom()
	d.set(0, 3)
	d.rateIs("3")
	return said
}

func (d *day) fullStart() string {
	d.serve()
	d.poll(0)
	d.stop()
	d.fill()
	said := d.run(1, "server", "run", "--once", "--state", "server/server.db", "--listen", "127.0.0.1:0")
	d.makeRoom()
	d.serve()
	d.oneDevice()
	return said
}

// readOnly makes the file system read-only during a function.
func (d *day) readOnly(do func() string) string {
	remount := func(flags uintptr) { d.must(syscall.Mount("", d.dir, "", syscall.MS_REMOUNT|flags, "")) }
	remount(syscall.MS_RDONLY)
	defer remount(0)
	return do()
}

func (d *day) readOnlyServer() string {
	d.serve()
	d.poll(0)
	d.stop()
	said := d.readOnly(func() string {
		return d.run(1, "server", "run", "--once", "--state", "server/server.db", "--listen", "127.0.0.1:0")
	})
	d.serve()
	d.oneDevice()
	return said
}

func (d *day) readOnlyDevice() string {
	d.serve()
	d.poll(0)
	d.stop()
	said := d.readOnly(func() string { return d.poll(1) })
	d.serve()
	d.statusIs(200, d.want(2))
	d.run(0, "registry", "set", "control-device", "server-url="+d.url, "--registry", "file:device/confdb.json")
	d.poll(0)
	d.rateIs("2")
	d.oneDevice()
	return said
}

func (d *day) readOnlyFile() string {
	d.set(0, 2)
	return d.readOnly(func() string {
		said := d.set(1, 3)
		d.rateIs("2")
		return said
	})
}

// foreign runs a function as a user who may not read the files in a folder.
func (d *day) foreign(name string, do func() string) string {
	if os.Getuid() != 0 {
		d.must(os.Chmod(d.at(name), 0))
		defer func() { d.must(os.Chmod(d.at(name), 0o700)) }()
		return do()
	}
	const nobody = 65534
	binary, err := os.ReadFile(d.binary)
	d.must(err)
	was := d.binary
	d.binary = d.at("program")
	d.must(os.WriteFile(d.binary, binary, 0o755))
	for _, open := range []string{filepath.Dir(d.dir), d.dir} {
		d.must(os.Chmod(open, 0o777))
	}
	d.user = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: false}}
	defer func() { d.binary, d.user = was, nil }()
	return do()
}

func (d *day) foreignServer() string {
	d.serve()
	d.poll(0)
	d.stop()
	said := d.foreign("server", func() string {
		return d.run(1, "server", "run", "--once", "--state", "server/server.db", "--listen", "127.0.0.1:0")
	})
	d.serve()
	d.oneDevice()
	return said
}

func (d *day) foreignDevice() string {
	d.serve()
	d.poll(0)
	said := d.foreign("device", func() string {
		return d.run(1, "control", "run", "--once", "--state", "device", "--registry", "file:other.json", "--server-url", d.url)
	})
	d.oneDevice()
	d.poll(0)
	return said
}

func (d *day) foreignFile() string {
	d.set(0, 2)
	said := d.foreign("device", func() string { return d.set(1, 3) })
	d.rateIs("2")
	return said
}

// to2040 puts the times of 2040 into the server's database, which makes its clock wrong by years.
func (d *day) to2040() {
	d.serve()
	d.poll(0)
	d.stop()
	db, err := sql.Open("sqlite", d.at("server/server.db"))
	d.must(err)
	_, err = db.Exec("UPDATE standings SET last_seen = 2208988800")
	d.must(errors.Join(err, db.Close()))
	d.serve()
	d.run(0, "registry", "set", "control-device", "server-url="+d.url, "--registry", "file:device/confdb.json")
}

func (d *day) clockServer() string {
	d.to2040()
	said := d.log.String()
	d.statusIs(503, d.ask("GET", "/readyz", ""))
	d.statusIs(200, d.want(2))
	d.poll(0)
	d.rateIs("2")
	if out := d.run(1, "control", "run", "--once", "--state", "second", "--registry", "mem:", "--server-url", d.url); !strings.Contains(out,
		"No new device can register until the server's clock is right") {
		d.t.Errorf("a new device says %s", out)
	}
	return said
}

func (d *day) clockDevice() string {
	d.to2040()
	d.statusIs(200, d.want(2))
	said := d.poll(0)
	d.rateIs("2")
	d.oneDevice()
	return said
}

func (d *day) clockFile() string {
	d.set(0, 2)
	d.must(os.Chtimes(d.at("device/confdb.json"), time.Unix(0, 0), time.Unix(0, 0)))
	said := d.set(0, 3)
	d.rateIs("3")
	return said
}

func (d *day) killServer() string {
	d.serve()
	d.poll(0)
	d.statusIs(200, d.want(2))
	d.end(syscall.SIGKILL)
	d.serve()
	d.oneDevice()
	d.run(0, "registry", "set", "control-device", "server-url="+d.url, "--registry", "file:device/confdb.json")
	d.poll(0)
	d.rateIs("2")
	return d.log.String()
}

func (d *day) killDevice() string {
	d.serve()
	d.poll(0)
	d.statusIs(200, d.want(2))
	device := d.command(d.control()...)
	d.must(device.Start())
	d.until("the target", func() bool { return d.rate() == "2" })
	_, _ = device.Process.Kill(), device.Wait()
	d.statusIs(200, d.want(3))
	said := d.poll(0) + d.poll(0)
	d.rateIs("3")
	d.oneDevice()
	return said
}

func (d *day) killFile() string {
	d.set(0, 2)
	for rate := 3; rate < 6; rate++ {
		before := d.rate()
		set := d.command("registry", "set", "control-telemetry", fmt.Sprintf("sample-rate=%d", rate), "--registry", "file:device/confdb.json")
		d.must(set.Start())
		time.Sleep(time.Duration(rate-2) * 30 * time.Millisecond)
		_, _ = set.Process.Kill(), set.Wait()
		d.rateIs(before, fmt.Sprint(rate))
	}
	return d.set(0, 9)
}
