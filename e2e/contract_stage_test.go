//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"aspects-poc/e2e"
	"aspects-poc/internal/kit/assertion"
	"aspects-poc/registry/registrytest"
	"aspects-poc/roles/network"
)

// custodian is the snap with the contract suite, custodian of all views.
const custodian = "contract"

// contract runs the contract suite of the registry's backends against snapd's socket, and in a strictly confined app
// against snapctl. The snap stays installed for the stages that need a custodian without rules.
func (r *run) contract(context.Context) {
	ready := r.check("install a snap with the contract suite, custodian of all views", func(ctx context.Context) error {
		document, err := r.era.document()
		if err != nil {
			return err
		}
		text, err := assertion.UnsignedText(e2e.WithView(document, "reset", "device", "interfaces", "tunnel", "metrics"))
		if err != nil {
			return err
		}
		if err := r.schema(ctx, network.Name, text); err != nil {
			return err
		}
		suite, err := r.build(ctx, "e2e/contract", true)
		if err != nil {
			return err
		}
		plugs := map[string]string{registrytest.UnknownSchema: registrytest.UnknownSchema + "/" + registrytest.UnknownView}
		for _, view := range []string{
			network.ControlDeviceView, network.ObserveDeviceView, network.ControlInterfacesView, network.ObserveInterfacesView,
			network.ControlTunnelView, network.ObserveTunnelView, network.ControlTelemetryView, registrytest.UnknownView, "reset",
		} {
			plugs[view] = network.Name + "/" + view
		}
		snap, err := snapTree{
			name: custodian,
			yaml: "apps:\n  contract:\n    command: bin/contract\nplugs:\n" + custodianPlugs(plugs),
			files: map[string]string{
				"bin/contract": suite,
			},
		}.pack(ctx, r.scratch, r.arch())
		if err != nil {
			return err
		}
		if err := r.push(ctx, folder+"/contract.snap", snap); err != nil {
			return err
		}
		if err := r.push(ctx, folder+"/contract", suite); err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap install --dangerous "+folder+"/contract.snap"); err != nil {
			return err
		}
		return r.connect(ctx, custodian)
	})
	if !ready {
		return
	}
	r.tidy(r.Context(), "save")
	how := "E2E_FULL=" + os.Getenv("E2E_FULL")
	if r.era == of268 {
		how += " E2E_OLD=1"
	}
	how = how + " %s -test.v -test.timeout 1h -test.run %s"
	r.suite("contract of snapd:", fmt.Sprintf(how, folder+"/contract", "TestREST"))
	r.suite("contract of snapctl:", fmt.Sprintf(how, "snap run contract", "TestSnapctl"))
}

// tidy saves or restores the state of an emulated snapd. snapd remembers up to 500 changes and writes all of them a
// dozen times for each new one, so that on an emulated processor each case would take longer than the one before.
func (r *run) tidy(ctx context.Context, what string) {
	if _, emulated := r.machine.(vm); !emulated {
		return
	}
	const saved, state = folder + "/state.json", "/var/lib/snapd/state.json"
	copying := "cp -p " + state + " " + saved
	if what == "restore" {
		copying = "cp -p " + saved + " " + state
	}
	if _, err := r.sh(ctx, "systemctl stop snapd.socket snapd.service && "+copying+" && systemctl start snapd.socket snapd.service"); err != nil {
		r.Error(err)
	}
}

func custodianPlugs(views map[string]string) string {
	text := ""
	for plug, view := range views {
		text += fmt.Sprintf("  %s: {interface: confdb, account: %s, view: %s, role: custodian}\n", plug, network.AccountID, view)
	}
	return text
}

var caseResult = regexp.MustCompile(`^    --- (PASS|FAIL|SKIP): [A-Za-z]+/(.*) \(([0-9.]+)s\)$`)

// suite runs a test binary in the machine, some groups of cases at a time. Each case is a check.
func (r *run) suite(name, command string) {
	log, err := os.Create(filepath.Join(r.logs, notForFiles.ReplaceAllString(name, "-")+".txt"))
	if err != nil {
		r.Fatal(err)
	}
	var output string
	var ends []error
	for _, groups := range portions(registrytest.Cases(), 20) {
		text, err := r.stream(r.Context(), log, command+"'/^("+strings.Join(groups, "|")+")$' 2>&1")
		output += text
		ends = append(ends, err)
		r.tidy(r.Context(), "restore")
	}
	if err := log.Close(); err != nil {
		r.Error(err)
	}
	found, skipped := 0, 0
	lines := strings.Split(output, "\n")
	for _, line := range lines {
		match := caseResult.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		found++
		seconds, _ := strconv.ParseFloat(match[3], 64)
		if match[1] == "SKIP" {
			skipped++
			continue
		}
		var verdict error
		if match[1] != "PASS" {
			verdict = errors.New(caseOutput(lines, match[2]))
		}
		r.report(name+" "+match[2], time.Duration(seconds*float64(time.Second)), verdict)
	}
	if skipped > 0 {
		r.figure("%s %d of %d cases are beyond this snapd: see excuses in e2e/contract", name, skipped, found)
	}
	if want := len(registrytest.Cases()); found != want {
		r.report(name+" runs to its end", 0, fmt.Errorf("%d of %d cases ran: %w\n%s", found, want, errors.Join(ends...), output))
	}
}

// portions joins groups of cases, in their order, until each portion has a number of cases or some more.
func portions(cases []string, number int) [][]string {
	var all [][]string
	var last []string
	count := 0
	for i, name := range cases {
		count++
		group, _, _ := strings.Cut(name, "/")
		if i+1 < len(cases) && strings.HasPrefix(cases[i+1], group+"/") {
			continue
		}
		if last = append(last, group); count >= number {
			all, last, count = append(all, last), nil, 0
		}
	}
	if last != nil {
		all = append(all, last)
	}
	return all
}

// caseOutput returns the output of a case. With -test.v the output follows the case's RUN line, and its result comes later.
func caseOutput(lines []string, name string) string {
	for i, line := range lines {
		if !strings.HasPrefix(line, "=== RUN ") || !strings.HasSuffix(line, "/"+name) {
			continue
		}
		said := lines[i+1:]
		for j, line := range said {
			if !strings.HasPrefix(line, "    ") || caseResult.MatchString(line) {
				said = said[:j]
				break
			}
		}
		return strings.TrimSpace(strings.Join(said, "\n"))
	}
	return "it says nothing"
}
