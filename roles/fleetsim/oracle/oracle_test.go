package oracle_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/internal/program"
	"aspects-poc/roles/fleetsim/oracle"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
)

var (
	seed    = flag.Uint64("seed", 1, "of the random acts; 0: another one each time")
	runs    = flag.Int("runs", 0, "how many runs there are, of one seed after the other; 0: as many as take some seconds")
	many    = flag.Int("acts", 0, "how many acts a run has; 0: as many as take some seconds")
	replay  = flag.String("replay", "", "a `FILE` with acts, one a line, to do in the place of random ones")
	skip    = flag.String("excuse", "", "a `PATTERN` of failures to pass over")
	tell    = flag.Bool("tell", false, "print each act, and the servers' log")
	tries   = flag.Int("tries", 150, "how often at most to try for a shorter sequence; 0: not at all")
	only    = flag.String("mutant", "", "a `PATTERN` of mutants")
	minutes = flag.Duration("interval", time.Minute, "between polls")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64N(1 << 32)
	}
	debug.SetGCPercent(400) // there is little to keep
	os.Exit(inTemporary(m))
}

// temporary is a folder for all tests.
var temporary string

func inTemporary(m *testing.M) int {
	var err error
	if temporary, err = os.MkdirTemp("", "oracle"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	return postgrestest.Main(m)
}

// options are those of a run.
func options(seed uint64) oracle.Options {
	o := oracle.Options{Seed: seed, Devices: 6, Interval: *minutes}
	if *skip != "" {
		o.Excused = regexp.MustCompile(*skip)
	}
	return o
}

// plan is what to do: random acts, or those of the file.
func plan(t *testing.T, seed uint64, number int) []oracle.Act {
	t.Helper()
	if *replay == "" {
		if *many > 0 {
			number = *many
		}
		return oracle.Acts(seed, number)
	}
	content, err := os.ReadFile(*replay)
	if err != nil {
		t.Fatal(err)
	}
	acts, err := oracle.Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	return acts
}

// A place makes empty stores.
type place func(t *testing.T) stores

// runInBubble does the acts in a world of its own, whose time is compressed.
func runInBubble(t *testing.T, options oracle.Options, place place, acts []oracle.Act) (figures oracle.Figures, err error) {
	t.Helper()
	t.Run("world", func(t *testing.T) { // its end tidies up
		stores := place(t)
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
			world := newBubble(t.Context(), options.Interval, stores)
			if world.enrolment = access.Open; options.Seed%4 == 3 {
				world.enrolment = access.ByApproval
			}
			if *tell {
				world.log = t.Output()
				options.Tell = func(act oracle.Act) { t.Log(time.Now().Format("15:04:05.000"), lines([]oracle.Act{act})) }
			}
			figures, err = oracle.Run(t.Context(), world, options, acts)
			world.Close(t)
		})
	})
	return figures, err
}

// try does several runs of so many acts each, side by side. The race detector makes them take six times as long: with it,
// there is one of a few acts, and the others are left to a program without it.
func try(t *testing.T, place place, number, acts int) {
	t.Helper()
	switch {
	case *runs > 0:
		number = *runs
	case *replay != "":
		number = 1
	case program.Raced:
		t.Run("without the race detector", tryUnraced)
		number, acts = 1, acts/4
	}
	for i := range number {
		seed := *seed + uint64(i)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			tryOne(t, options(seed), place, plan(t, seed, acts))
		})
	}
}

// tryUnraced does a test's runs in a program without the race detector.
func tryUnraced(t *testing.T) {
	built, err := unraced()
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	command := exec.CommandContext(t.Context(), built, "-test.run", "^"+name+"$", "-test.v", "-seed", fmt.Sprint(*seed))
	output, err := command.CombinedOutput()
	for line := range strings.Lines(string(output)) {
		if !strings.HasPrefix(line, "=== ") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// unraced builds these tests without the race detector, once, into the folder of all of them.
var unraced = sync.OnceValues(func() (string, error) {
	file := filepath.Join(temporary, "unraced")
	output, err := exec.Command("go", "test", "-c", "-race=false", "-o", file, ".").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("cannot build the tests without the race detector: %w: %s", err, output)
	}
	return file, err
})

// tryOne does the acts, and on a failure looks for the shortest sequence that fails like that.
func tryOne(t *testing.T, options oracle.Options, place place, acts []oracle.Act) {
	begin := time.Now()
	figures, err := runInBubble(t, options, place, acts)
	t.Logf("seed %d: %+v in %s", options.Seed, figures, time.Since(begin).Round(time.Millisecond))
	if err != nil {
		t.Errorf("seed %d: %v", options.Seed, err)
	}
	var failure *oracle.Failure
	if !errors.As(err, &failure) || *tries == 0 {
		return
	}
	short := oracle.Shrink(acts[:failure.Act+1], *tries, func(acts []oracle.Act) bool {
		_, err := runInBubble(t, options, place, acts)
		var again *oracle.Failure
		return errors.As(err, &again) && again.Who == failure.Who
	})
	_, err = runInBubble(t, options, place, short)
	t.Errorf("the shortest sequence (-seed %d -replay FILE does it again), which ends with\n%v\n%s", options.Seed, err, lines(short))
}

func lines(acts []oracle.Act) string {
	var all strings.Builder
	for _, act := range acts {
		line, err := json.Marshal(act)
		if err != nil {
			line = []byte(err.Error())
		}
		fmt.Fprintf(&all, "%s\n", line)
	}
	return all.String()
}

// TestTruth compares what a server shows with what devices hold, while all happens to them that does in years.
func TestTruth(t *testing.T) {
	try(t, inFile(1), 4, 160)
}

// TestTruthOfTwo does it with two servers on one store, of which either hears of what the other does up to a second later.
func TestTruthOfTwo(t *testing.T) {
	try(t, inFile(2), 3, 160)
}

// TestTruthOnPostgres does it with two servers on one PostgreSQL, without LISTEN.
func TestTruthOnPostgres(t *testing.T) {
	postgrestest.URL(t) // or the test is skipped, before there is a bubble
	try(t, func(t *testing.T) stores {
		database := postgrestest.URL(t)
		return stores{servers: 2, dir: t.TempDir(), address: database, cords: []*cord{newCord(t, database), newCord(t, database)}}
	}, 1, 24) // a later restart finds that the database's clock is behind this world's, and doubts it
}

// inFile makes files of the embedded store, in memory where that can be: the disk's own time is not what is looked at.
func inFile(servers int) place {
	return func(t *testing.T) stores {
		dir, err := os.MkdirTemp("/dev/shm", "oracle")
		if err != nil {
			return stores{servers: servers, dir: t.TempDir()}
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return stores{servers: servers, dir: dir}
	}
}
