package oracle

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// states has all states.
var states = []string{stateNew, serverapi.StateInSync, serverapi.StateBehind, serverapi.StateRefused, serverapi.StateFailed,
	serverapi.StateDrifted, serverapi.StatePending, serverapi.StateRevoked}

// look asks the servers in all ways, and compares the answers with the truth. A difference counts if it repeats as
// often as the world wants.
func (h *harness) look() error {
	for i := h.world.Looks(); ; i-- {
		h.world.Settle()
		h.mu.Lock()
		failure := h.failure
		h.figures.Looks++
		h.mu.Unlock()
		if failure != nil {
			return failure
		}
		who, err := h.lookOnce()
		switch {
		case err == nil:
			return nil
		case i <= 1:
			h.mu.Lock()
			defer h.mu.Unlock()
			return &Failure{Act: h.act, Who: who, What: err.Error()}
		}
		h.world.Sleep(min(1100*time.Millisecond, h.options.Interval/2))
	}
}

func (h *harness) lookOnce() (who string, err error) {
	for server := range h.world.Servers() {
		if _, err := h.recordRevision(server, false, ""); err != nil {
			return "history", err
		}
		truth, err := h.askEach(server)
		if err == nil {
			err = h.stages(truth)
		}
		if err != nil {
			return "one device", err
		}
		for _, observer := range []struct {
			who string
			ask func(int, *picture) error
		}{{"list", h.askList}, {"filter", h.askFilters}, {"counts", h.askSummary}, {"metrics", h.askMetrics}, {"page", h.askPage},
			{"page of a device", h.askPages}} {
			if err := observer.ask(server, truth); err != nil && !h.excused(err.Error()) {
				return observer.who, fmt.Errorf("server %d: %w", server, err)
			}
		}
		for _, watcher := range h.watchers {
			if err := truth.watched(watcher.States()); err != nil && !h.excused(err.Error()) {
				return watcher.Name(), err
			}
		}
	}
	return "", nil
}

// A picture is what a server shows of each single device, after the comparison with the truth.
type picture struct {
	devices map[string]serverapi.Device
	target  int64
	exact   bool // the revision of the last target is known exactly
}

func (p *picture) count(state string) (n int) {
	for _, device := range p.devices {
		if device.State == state || state == "silent" && device.Silent {
			n++
		}
	}
	return n
}

// askEach asks for each device, and compares the answer with the device.
func (h *harness) askEach(server int) (*picture, error) {
	h.mu.Lock()
	ids := h.model.ids()
	p := &picture{devices: map[string]serverapi.Device{}, target: h.model.target, exact: !h.model.restored}
	h.mu.Unlock()
	for _, id := range ids {
		var device serverapi.Device
		if err := h.ask(server, http.MethodGet, "/devices/"+id+"/", nil, &device); err != nil {
			return nil, err
		}
		p.devices[id] = device
		if err := h.compare(device); err != nil && !h.excused(err.Error()) {
			return nil, fmt.Errorf("server %d: device %s: %w", server, id, err)
		}
	}
	return p, nil
}

func (h *harness) compare(device serverapi.Device) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.figures.Compared++
	e := h.model.entries[device.UUID]
	if e == nil {
		return nil // deleted meanwhile
	}
	admitted := device.Release != nil && device.Release.Stage > 0
	config, revision := h.model.desired(e, admitted)
	hash, err := config.Hash()
	if err != nil {
		return err
	}
	allowed := h.model.states(e, admitted)
	must, mustNot := e.silence(time.Now(), h.options.Interval)
	told := fmt.Sprintf("target %d %s; it told %s", revision, text(config), e.last)
	switch {
	case !slices.Contains(allowed, device.State):
		return fmt.Errorf("is shown as %s, and is %s: %s", device.State, strings.Join(allowed, " or "), told)
	case device.Silent && mustNot || !device.Silent && must:
		return fmt.Errorf("silent is shown as %v, %s after it was answered (%s after it asked)", device.Silent,
			time.Since(e.answered), time.Since(e.asked))
	case device.Desired.Revision != revision || device.Desired.Hash != hash:
		return fmt.Errorf("the desired revision is shown as %v, and is %d with the hash %s: %s", device.Desired, revision, hash, told)
	case device.Name != e.name:
		return fmt.Errorf("the name is shown as %q, and is %q", device.Name, e.name)
	case !maps.Equal(device.Labels, e.labels):
		return fmt.Errorf("the labels are shown as %v, and are %v", device.Labels, e.labels)
	case (device.State == serverapi.StateDrifted) != (len(device.Differs) > 0) && (device.State == serverapi.StateDrifted || device.State == serverapi.StateInSync):
		return fmt.Errorf("is %s, and differs in %v: %s", device.State, device.Differs, told)
	}
	if err := h.released(e, device); err != nil {
		return err
	}
	if err := h.checkInSync(e, device.State, revision); err != nil {
		return fmt.Errorf("%w: %s", err, told)
	}
	if len(e.maybe) > 0 || !e.polled {
		return nil
	}
	delete(device.Config, "observe-interfaces")
	shown := *report(e.last)
	if device.Running != nil && shown.Running != nil && shown.Running.Hash != hash && strings.HasPrefix(device.Running.Hash, "digest=") {
		// The hash of an earlier target. Operators get a digest of it (docs/fleet.md, Secrets).
		shown.Running = &serverapi.Running{Revision: shown.Running.Revision, Hash: device.Running.Hash}
	}
	if text(device.Config) != text(e.last.config) || text(device.Running) != text(shown.Running) ||
		text(device.Attempted) != text(shown.Attempted) || device.Sequence != e.last.sequence {
		return fmt.Errorf("is shown with %s %s %s, sequence %d; %s", text(device.Config), text(device.Running), text(device.Attempted),
			device.Sequence, told)
	}
	return nil
}

// checkInSync returns an error for a device that has obeyed and polled for two intervals and is not in sync. The caller
// holds the lock.
func (h *harness) checkInSync(e *entry, state string, revision int64) error {
	i := slices.IndexFunc(h.devices, func(d *device) bool { return d.id == e.id })
	if i < 0 || h.devices[i].away || h.devices[i].mood != obeys || e.status != serverapi.Active || state == serverapi.StateInSync ||
		state == serverapi.StateRefused && e.last.attempted.Revision == revision {
		return nil
	}
	return fmt.Errorf("device %d obeys, and is left %s", h.devices[i].number, state)
}

// checkHeard returns an error if a device with a held poll has not heard of a change that concerns it.
func (h *harness) checkHeard() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.devices {
		e := h.model.entries[d.id]
		if e == nil || h.model.concerned(e) || !d.kind.Waits || d.interrupt == nil || e.status != serverapi.Active {
			continue
		}
		config, revision := h.model.desired(e, true)
		known := slices.ContainsFunc(slices.Concat(e.maybe, []*pollContent{&e.last}), func(t *pollContent) bool { return t.state(config, revision) != serverapi.StateBehind })
		if !known && e.polled && d.heard != revision {
			return &Failure{Act: h.act, Who: "waiting", What: fmt.Sprintf("device %d waits, and was not told of revision %d", d.number, revision)}
		}
	}
	return nil
}

func (t pollContent) String() string {
	return fmt.Sprintf("%s %s, sequence %d", text(t.config), text(report(t)), t.sequence)
}

// list asks for a list of devices, page by page.
func (h *harness) list(server int, query url.Values) ([]serverapi.Device, error) {
	var all []serverapi.Device
	query = maps.Clone(query)
	for {
		var page serverapi.DevicePage
		if err := h.ask(server, http.MethodGet, "/devices/?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Devices...)
		if page.Next == "" {
			return all, nil
		}
		query.Set("after", page.Next)
	}
}

func (h *harness) askList(server int, truth *picture) error {
	listed, err := h.list(server, url.Values{"limit": {"7"}})
	if err != nil {
		return err
	}
	if len(listed) != len(truth.devices) {
		return fmt.Errorf("%d devices are listed, and there are %d", len(listed), len(truth.devices))
	}
	for _, device := range listed {
		one, there := truth.devices[device.UUID.String()]
		one.Config, one.Differs = nil, nil
		one.LastSeen, device.LastSeen, one.Sequence, device.Sequence = 0, 0, 0, 0 // they may grow meanwhile
		if one.Release != nil {
			one.Release = new(*one.Release)
			one.Release.WaitsFor = 0 // not in lists
		}
		if !there || text(one) != text(device) {
			return fmt.Errorf("it has %s, and the device alone is %s", text(device), text(one))
		}
	}
	return nil
}

func (h *harness) askFilters(server int, truth *picture) error {
	ask := func(query url.Values, is func(serverapi.Device) bool) error {
		listed, err := h.list(server, query)
		if err != nil {
			return err
		}
		var got, want []string
		for _, device := range listed {
			got = append(got, device.UUID.String())
		}
		for id, device := range truth.devices {
			if is(device) {
				want = append(want, id)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("of %v are listed %v, and are %v", query, got, want)
		}
		return nil
	}
	for _, state := range states {
		if truth.count(state) == 0 && state == stateNew {
			continue // not every server has the label
		}
		if err := ask(url.Values{"state": {state}}, func(d serverapi.Device) bool { return d.State == state }); err != nil {
			return err
		}
	}
	if err := ask(url.Values{"silent": {"true"}}, func(d serverapi.Device) bool { return d.Silent }); err != nil {
		return err
	}
	return ask(url.Values{"selector": {"device.site!=a"}}, func(d serverapi.Device) bool { return d.Labels["device.site"] != "a" })
}

func (h *harness) askSummary(server int, truth *picture) error {
	var summary serverapi.Summary
	if err := h.ask(server, http.MethodGet, "/summary/", nil, &summary); err != nil {
		return err
	}
	for _, state := range states {
		if summary.States[state] != truth.count(state) {
			return fmt.Errorf("%d are counted as %s, and %d are: %s", summary.States[state], state, truth.count(state), text(summary))
		}
	}
	if summary.Devices != len(truth.devices) || summary.Silent != truth.count("silent") {
		return fmt.Errorf("%d devices, %d silent: %s", len(truth.devices), truth.count("silent"), text(summary))
	}
	if truth.exact && summary.Revision != truth.target {
		return fmt.Errorf("revision %d is told as the target's last, which is %d", summary.Revision, truth.target)
	}
	return nil
}

func (h *harness) askMetrics(server int, truth *picture) error {
	var scrape string
	if err := h.ask(server, http.MethodGet, "/metrics", nil, &scrape); err != nil {
		return err
	}
	for _, state := range states {
		if got := series(scrape, `aspects_poc_devices{state="`+state+`"}`); got != truth.count(state) {
			return fmt.Errorf("%d are %s, and %d are", got, state, truth.count(state))
		}
	}
	if got := series(scrape, "aspects_poc_devices_silent"); got != truth.count("silent") {
		return fmt.Errorf("%d are silent, and %d are", got, truth.count("silent"))
	}
	if got := series(scrape, "aspects_poc_target_revision"); truth.exact && got != int(truth.target) {
		return fmt.Errorf("revision %d is told as the target's last, which is %d", got, truth.target)
	}
	return nil
}

// series returns the value of a series; 0 if the scrape does not have it.
func series(scrape, name string) int {
	_, after, _ := strings.Cut("\n"+scrape, "\n"+name+" ")
	line, _, _ := strings.Cut(after, "\n")
	value, err := strconv.ParseFloat(line, 64)
	if err != nil {
		return 0
	}
	return int(value)
}

// The parts of the page's HTML that are compared.
var (
	rowPattern   = regexp.MustCompile(`(?s)<tr id="device-([0-9a-f-]{36})".*?</tr>`)
	whyPattern   = regexp.MustCompile(`(?s)<p[^>]* id="why".*?</p>`)
	statePattern = regexp.MustCompile(`class="state ([a-z-]+)`)
	countPattern = regexp.MustCompile(`(?s)id="count-([a-z-]*)".*?<b[^>]*>([0-9]+)</b>`)
	nextPattern  = regexp.MustCompile(`rel="next" href="([^"]+)"`)
)

func (h *harness) askPage(server int, truth *picture) error {
	shown := map[string]string{}
	for path := "/page/devices/"; path != ""; {
		var html string
		if err := h.ask(server, http.MethodGet, path, nil, &html); err != nil {
			return err
		}
		for _, row := range rowPattern.FindAllStringSubmatch(html, -1) {
			shown[row[1]] = marks(row[0])
		}
		for _, count := range countPattern.FindAllStringSubmatch(html, -1) {
			want := truth.count(count[1])
			if count[1] == "" {
				want = len(truth.devices)
			}
			if count[2] != strconv.Itoa(want) {
				return fmt.Errorf("it counts %s as %q, and %d are", count[2], count[1], want)
			}
		}
		next := nextPattern.FindStringSubmatch(html)
		path = ""
		if next != nil {
			path = "/page/devices/" + strings.TrimPrefix(strings.ReplaceAll(next[1], "&amp;", "&"), "./")
		}
	}
	want := map[string]string{}
	for id, device := range truth.devices {
		want[id] = signs(device)
	}
	if !maps.Equal(shown, want) {
		return fmt.Errorf("it shows %v, and the devices are %v", shown, want)
	}
	return nil
}

// marks returns the states in a piece of HTML.
func marks(html string) string {
	var list []string
	for _, match := range statePattern.FindAllStringSubmatch(html, -1) {
		list = append(list, match[1])
	}
	return strings.Join(list, " ")
}

// signs returns the states that the page must show for a device.
func signs(device serverapi.Device) string {
	if device.Silent {
		return device.State + " silent"
	}
	return device.State
}

func (h *harness) askPages(server int, truth *picture) error {
	for id, device := range truth.devices {
		var html string
		if err := h.ask(server, http.MethodGet, "/page/devices/"+id+"/", nil, &html); err != nil {
			return err
		}
		if got := marks(whyPattern.FindString(html)); got != signs(device) {
			return fmt.Errorf("it shows %s as %s, and it is %s", id, got, signs(device))
		}
	}
	return nil
}

// watched compares the picture with that of a watcher.
func (p *picture) watched(seen map[uuid.UUID]string) error {
	if len(seen) != len(p.devices) {
		return fmt.Errorf("it knows of %d devices, and there are %d", len(seen), len(p.devices))
	}
	for id, device := range p.devices {
		if got := seen[device.UUID]; got != device.State {
			return fmt.Errorf("it has %s as %q, and it is %s", id, got, device.State)
		}
	}
	return nil
}
