package fleetcmd

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi/operator"

	"github.com/urfave/cli/v2"
)

// completionPatience is how long a completion waits for the server.
const completionPatience = time.Second

// mostCandidates is the largest number of devices, revisions and other candidates for a word.
const mostCandidates = 200

// words returns the candidates for arguments and flags, from the user's contexts and from the server.
func words(env *roles.Env, c *cli.Context, kind, typed string) []roles.Candidate {
	list := candidates(env, c, kind, typed)
	for i, one := range list {
		list[i] = roles.Candidate{Word: plain.Line(one.Word), About: plain.Line(one.About)}
	}
	return list
}

func candidates(env *roles.Env, c *cli.Context, kind, typed string) (list []roles.Candidate) {
	switch kind {
	case "STATE":
		for _, state := range states {
			list = append(list, roles.Candidate{Word: state})
		}
		return list
	case "CONTEXT":
		if b, err := readBook(env.Getenv); err == nil {
			for _, name := range b.names() {
				list = append(list, roles.Candidate{Word: name, About: b.Contexts[name].Server})
			}
		}
		return list
	case "TOKEN", "ID", "LAYER", "REVISION", "AGAINST", "SELECTOR", "KEY", "SECRET", "RELEASE", "WHO", "THING":
	default:
		return nil
	}
	place, err := choosePlace(env, c)
	if err != nil {
		return nil
	}
	client, err := place.open(completionPatience)
	if err != nil {
		return nil
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.Context, completionPatience)
	defer cancel()
	if kind == "ID" && c.Command.Name == "label" && c.IsSet(flagSelector) { // in the place of the ID
		kind = "KEY"
	}
	switch kind {
	case "ID":
		return deviceWords(ctx, client, "", typed)
	case "LAYER":
		return layerWords(ctx, client, typed)
	case "TOKEN":
		if tokens, err := client.Tokens(ctx); err == nil {
			for _, token := range tokens {
				if token.State == "valid" {
					list = append(list, roles.Candidate{Word: token.Name, About: purposeOf(token)})
				}
			}
		}
		return list
	case "SECRET":
		if secrets, err := client.Secrets(ctx); err == nil {
			for _, secret := range secrets {
				list = append(list, roles.Candidate{Word: secret.Name, About: strings.Join(secret.Layers, ", ")})
			}
		}
		return list
	case "RELEASE":
		for of, err := range first(client.Releases(ctx, mostCandidates), mostCandidates) {
			if err != nil {
				return list
			}
			list = append(list, roles.Candidate{Word: revision(of.ID), About: of.Phase + " " + layersOf(of)})
		}
		return list
	case "WHO", "THING":
		seen := map[string]bool{}
		for record, err := range first(client.Audit(ctx, operator.AuditFilter{Page: mostCandidates}), mostCandidates) {
			if err != nil {
				return list
			}
			word, about := record.Thing, record.Verb
			if kind == "WHO" {
				word, about = cmp.Or(record.Who.Person, record.Who.Name, record.Who.Kind), actorOf(record.Who)
			}
			if !seen[word] {
				seen[word] = true
				list = append(list, roles.Candidate{Word: word, About: about})
			}
		}
		return list
	case "SELECTOR", "KEY":
		return labelWords(ctx, client, typed)
	}
	for entry, err := range first(client.History(ctx, "", mostCandidates), mostCandidates) {
		if err != nil {
			return list
		}
		list = append(list, roles.Candidate{Word: revision(entry.Revision), About: shortLayer(entry.Layer) + " " + changeOf(entry).text})
	}
	return list
}

// deviceWords returns the names and IDs that begin with typed. Each candidate has the prefix in front.
func deviceWords(ctx context.Context, client *operator.Client, prefix, typed string) (list []roles.Candidate) {
	for device, err := range client.Devices(ctx, operator.Filter{Text: typed, Page: mostCandidates}) {
		if err != nil {
			return list
		}
		about := stateOf(device).text + " " + labelsOf(device.Labels)
		switch {
		case device.Name != "" && strings.HasPrefix(device.Name, typed):
			list = append(list, roles.Candidate{Word: prefix + device.Name, About: about})
		case strings.HasPrefix(device.UUID.String(), typed):
			list = append(list, roles.Candidate{Word: prefix + device.UUID.String(), About: strings.TrimPrefix(device.Name+" "+about, " ")})
		}
		if len(list) == mostCandidates {
			break
		}
	}
	return list
}

func layerWords(ctx context.Context, client *operator.Client, typed string) (list []roles.Candidate) {
	if id, is := strings.CutPrefix(typed, "devices/"); is {
		return deviceWords(ctx, client, "devices/", id)
	}
	list = []roles.Candidate{{Word: "everyone"}, {Word: "devices/", About: "the layer of one device"}}
	for layer, err := range client.Layers(ctx) {
		if err != nil || strings.HasPrefix(layer.Layer, "devices/") {
			break
		}
		if layer.Layer != "everyone" {
			list = append(list, roles.Candidate{Word: layer.Layer, About: layer.Selector})
		}
	}
	return list
}

// labelWords returns labels of some devices as candidates for the last term of a selector.
func labelWords(ctx context.Context, client *operator.Client, typed string) (list []roles.Candidate) {
	before := ""
	if at := strings.LastIndexByte(typed, ','); at >= 0 {
		before = typed[:at+1]
	}
	seen := map[string]bool{}
	for device, err := range first(client.Devices(ctx, operator.Filter{Page: 500}), 500) {
		if err != nil {
			break
		}
		for name, value := range device.Labels {
			if label := name + "=" + value; !seen[label] && len(seen) < mostCandidates {
				seen[label] = true
				list = append(list, roles.Candidate{Word: before + label})
			}
		}
	}
	slices.SortFunc(list, func(a, b roles.Candidate) int { return strings.Compare(a.Word, b.Word) })
	return list
}
