package fleetsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/roles/serverapi"
)

// A kind is how a device handles targets.
type kind int

const (
	obeying  kind = iota // applies them
	refusing             // refuses them
	failing              // cannot apply them
	drifting             // applies them, and then runs another value
	silent               // registers and never polls
)

// Odd has the shares, from 0 to 1, of the devices that do not simply apply their targets.
type Odd struct{ Refuse, Fail, Drift, Silent float64 }

// parseOdd parses the flags, which are percentages.
func parseOdd(flag func(name string) string) (odd Odd, err error) {
	for name, share := range map[string]*float64{"refuse": &odd.Refuse, "fail": &odd.Fail, "drift": &odd.Drift, "silent": &odd.Silent} {
		text := flag(name)
		if text == "" {
			continue
		}
		number, is := strings.CutSuffix(text, "%")
		percent, err := strconv.ParseFloat(number, 64)
		if !is || err != nil || !(percent >= 0 && percent <= 100) {
			return Odd{}, fmt.Errorf("invalid value %q for --%s: want a percentage such as 2%%", text, name)
		}
		*share = percent / 100
	}
	return odd, nil
}

// counts returns the numbers of refusing, failing, drifting and silent devices. A share above zero is at least one
// device.
func (o Odd) counts(devices int) [4]int {
	var counts [4]int
	for i, share := range []float64{o.Refuse, o.Fail, o.Drift, o.Silent} {
		if share > 0 {
			counts[i] = max(1, int(math.Round(share*float64(devices))))
		}
	}
	return counts
}

func (o Odd) check(devices int) error {
	counts := o.counts(devices)
	switch {
	case counts[0]+counts[1]+counts[2]+counts[3] > devices:
		return errors.New("--refuse, --fail, --drift and --silent ask for more devices than there are")
	case devices > 0 && counts[3] == devices:
		return errors.New("--silent leaves no device that polls")
	}
	return nil
}

// kinds returns the kind of each device. Equal seeds return equal kinds.
func (o Odd) kinds(devices int, seed uint64) []kind {
	kinds := make([]kind, devices)
	order := rand.New(rand.NewPCG(seed, 0)).Perm(devices)
	for i, count := range o.counts(devices) {
		for _, device := range order[:count] {
			kinds[device] = refusing + kind(i)
		}
		order = order[count:]
	}
	return kinds
}

// parseLabels parses KEY=VALUE words. A KEY may have several values.
func parseLabels(words []string) (map[string][]string, error) {
	labels := map[string][]string{}
	for _, word := range words {
		name, value, is := strings.Cut(word, "=")
		if !is || name == "" {
			return nil, fmt.Errorf("invalid value %q for --label: want KEY=VALUE", word)
		}
		labels[name] = append(labels[name], value)
	}
	return labels, nil
}

// otherValue returns a change of one value of a configuration. It returns nothing for a configuration without numbers,
// texts and booleans.
func otherValue(config serverapi.Config) serverapi.Config {
	changed, _ := other(map[string]any(config)).(map[string]any)
	return changed
}

func other(value any) any {
	switch value := value.(type) {
	case json.Number:
		if n, err := value.Int64(); err == nil {
			return json.Number(strconv.FormatInt(n+1, 10))
		}
	case bool:
		return !value
	case string:
		return value + "-drifted"
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if changed := other(value[name]); changed != nil {
				return map[string]any{name: changed}
			}
		}
	}
	return nil
}
