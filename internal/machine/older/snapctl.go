package older

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/snapctlcmd"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

// Snaps serves requests on the socket for snaps.
func (l *Layer) Snaps(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	var body struct {
		Context string   `json:"context-id"`
		Args    []string `json:"args"`
	}
	if r.URL.Path != "/v2/snapctl" || json.Unmarshal(text, &body) != nil || len(body.Args) == 0 {
		ask(l.snaps, r, r.URL.Query(), text).send(w)
		return
	}
	call := call{l, l.current().snapctl(), r, body.Context, body.Args}
	call.answer().send(w)
}

// A call is one run of snapctl.
type call struct {
	*Layer
	of     snapctlcmd.Generation
	r      *http.Request
	cookie string
	args   []string
}

func (c call) printed(text string) answer {
	return sync200(map[string]any{"stdout": text, "stderr": ""})
}

func (c call) refuse(message string) answer {
	return refusal(http.StatusBadRequest, "", c.of.Prefix+message)
}

func (c call) answer() answer {
	command, err := snapctlcmd.Parse(c.of, 0, c.args)
	switch {
	case err != nil:
		return c.refuse(err.Error())
	case command.Help:
		return c.printed(c.of.Usage(command.Name))
	case command.Name == "version":
		return c.printed(fmt.Sprintf("snapd   %s\nseries  16\n", c.of.Version))
	}
	id, found := c.view(command)
	keys := command.Positional
	args := slices.Clone(c.args)
	for i, argument := range args {
		if c.of.Previous != "" && argument == "--"+c.of.Previous {
			args[i] = "--previous"
		}
	}
	if command.Has("view") && c.of.Refuses {
		args = slices.Insert(args, 1, "--wait-for=0s")
	}
	if found && command.Name == "get" {
		if keys = keys[1:]; c.of.Lenient && len(keys) > 1 {
			ruled := c.ruled(id, keys)
			if len(ruled) == 0 {
				return c.refuse(fmt.Sprintf("cannot get \"%s\" through %s: %s", strings.Join(keys, `", "`), id, c.of.NoData))
			}
			args = slices.DeleteFunc(args, func(argument string) bool {
				return slices.Contains(keys, argument) && !slices.Contains(ruled, argument)
			})
			keys = ruled
		}
	}
	text, err := json.Marshal(map[string]any{"context-id": c.cookie, "args": args})
	if err != nil {
		panic(err) // it was JSON before
	}
	got := ask(c.snaps, c.r, nil, text)
	message, refused := strings.CutPrefix(got.refused(), "snapctl: ")
	unconnected := strings.HasPrefix(message, "cannot access confdb through unconnected plug ") && !c.of.Connected
	noCustodian := strings.HasSuffix(message, ": no custodian snap connected") && !c.of.Readers
	switch {
	case !refused:
		return got
	case found && command.Name == "get" && (unconnected || noCustodian):
		return c.readStored(command, id, keys)
	case found && command.Name != "get" && unconnected:
		return c.write(command, id)
	default:
		return c.refuse(c.worded(message))
	}
}

// view returns the view of the plug in a command.
func (c call) view(command *snapctlcmd.Command) (backend.ViewID, bool) {
	if !command.Has("view") || len(command.Positional) == 0 {
		return backend.ViewID{}, false
	}
	c.mu.Lock()
	caller := c.hooks[c.cookie]
	c.mu.Unlock()
	for _, snap := range c.world.Snaps() {
		cookie, err := c.world.Facts.Now().Cookie(snap.Instance())
		if snap.Instance() != caller && (err != nil || cookie != c.cookie) {
			continue
		}
		return snap.Plugs[strings.TrimPrefix(command.Positional[0], ":")].ID()
	}
	return backend.ViewID{}, false
}

// ruled returns the request paths that have a rule or another error.
func (c call) ruled(id backend.ViewID, keys []string) []string {
	schema := c.find(id)
	if schema == nil {
		return keys
	}
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		_, err := schema.ReadsEphemeral(id.View, []string{key}, confdb.ReadOptions{})
		return isKind(err, confdb.NoMatch)
	})
}

// readStored reads in cases that 2.77 refuses: through an unconnected plug, or without a custodian.
func (c call) readStored(command *snapctlcmd.Command, id backend.ViewID, keys []string) answer {
	schema := c.find(id)
	if schema == nil {
		return c.refuse(c.of.UnknownView(id.Account, id.Schema, id.View))
	}
	found, err := schema.Read(c.bag(id), id.View, keys, confdb.ReadOptions{})
	if err != nil {
		return c.refuse(c.worded(err.Error()))
	}
	document, _ := found.(map[string]any)
	text, err := command.Print(document, keys)
	if err != nil {
		return c.refuse(err.Error())
	}
	return c.printed(text)
}

// write writes in a case that 2.77 refuses: through an unconnected plug. It reports success whatever the result is,
// as snapctl does.
func (c call) write(command *snapctlcmd.Command, id backend.ViewID) answer {
	var values map[string]any
	var err error
	if command.Name == "unset" {
		values, err = command.Unset()
	} else {
		values, err = command.Pairs(command.Positional[1:])
	}
	var change string
	if err == nil {
		change, err = c.world.Changes.Set(c.r.Context(), id, values, changes.Access{})
	}
	if err == nil {
		_, err = c.world.Changes.Wait(c.r.Context(), change)
	}
	if err != nil {
		return c.refuse(c.worded(err.Error()))
	}
	return c.printed("")
}

var (
	noSchema = regexp.MustCompile(`^confdb-schema \(([^;]*); account-id:([^)]*)\) not found$`)
	noView   = regexp.MustCompile(`^cannot find view "([^"]*)" in confdb schema (.*)/(.*)$`)
	ofView   = regexp.MustCompile(`^cannot (read|write) (?:confdb view )?(\S+): (.*)$`)
)

// worded puts a message of 2.77 into the words of the release.
func (c call) worded(message string) string {
	if names := noSchema.FindStringSubmatch(message); names != nil {
		return c.of.UnknownSchema(names[2], names[1])
	}
	if names := noView.FindStringSubmatch(message); names != nil {
		return c.of.UnknownView(names[2], names[3], names[1])
	}
	if strings.HasPrefix(message, `"confdb" feature flag `) {
		return c.of.Disabled()
	}
	if parts := ofView.FindStringSubmatch(message); parts != nil {
		switch write := parts[1] == "write"; {
		case parts[3] == "no custodian snap connected":
			return c.of.NoCustodian(parts[2], write)
		case parts[3] == "timed out waiting for access" && c.of.Refuses:
			return tooEarly(parts[2], write)
		}
	}
	return c.of.Reworded(message)
}
