package world

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/internal/snapctlcmd"
	"aspects-poc/internal/snapdhttp"
)

// A SnapctlCall is one run of snapctl.
type SnapctlCall struct {
	Cookie string // of the hook or snap that calls
	UID    int    // of the caller
	Args   []string
}

// A SnapctlOutput is what snapctl prints.
type SnapctlOutput struct{ Stdout, Stderr string }

// dialect is how snapctl of the imitated version speaks.
var dialect = func() snapctlcmd.Dialect {
	version, _ := snapdhttp.ParseVersion(Version)
	return snapctlcmd.DialectOf(Version, version)
}()

// Snapctl does what a snap asks for by snapctl: fail, get, is-connected, restart, services, set, start, stop, unset and
// version, with --view and without. Errors are *Error as the REST API answers them; one of KindUnsuccessful has a Value
// with stdout, stderr and exit-code.
func (w *World) Snapctl(ctx context.Context, call SnapctlCall) (SnapctlOutput, error) {
	if len(call.Args) == 0 {
		return SnapctlOutput{}, badRequest("snapctl cannot run without args")
	}
	c, err := snapctlcmd.Parse(dialect, call.UID, call.Args)
	var stdout string
	switch {
	case err != nil:
	case c.Help:
		stdout = dialect.Usage(c.Name)
	case c.Name == "version":
		stdout = fmt.Sprintf("snapd   %s\nseries  16\n", Version)
	default:
		stdout, err = w.snapctl(ctx, call, c)
		w.flush()
	}
	var denied *snapctlcmd.DeniedError
	var no *exitError
	switch {
	case err == nil:
		return SnapctlOutput{Stdout: stdout}, nil
	case errors.As(err, &denied):
		return SnapctlOutput{}, &Error{Status: http.StatusForbidden, Kind: KindLoginRequired, Message: denied.Error()}
	case errors.As(err, &no):
		// Yes: an error with status 200.
		return SnapctlOutput{}, &Error{Status: http.StatusOK, Kind: KindUnsuccessful, Message: no.Error(),
			Value: map[string]any{"exit-code": no.code, "stdout": "", "stderr": ""}}
	default:
		return SnapctlOutput{}, badRequest(dialect.Prefix + err.Error())
	}
}

// An exitError is a command that says "no" by its exit code.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("unsuccessful with exit code: %d", e.code) }

// A caller is who calls snapctl.
type caller struct {
	snap *Snap
	hook *hookContext // nil for apps and services
	uid  int
}

func (w *World) snapctl(ctx context.Context, call SnapctlCall, c *snapctlcmd.Command) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	from := w.caller(call)
	if from == nil {
		return "", fmt.Errorf("cannot invoke snapctl operation commands (here %q) from outside of a snap", c.Name)
	}
	if from.hook != nil {
		from.hook.calls.Add(1)
		defer from.hook.calls.Done()
		ctx = from.hook.life // as on snapd it goes on when the program that called has gone
	}
	switch {
	case c.Name == "get" && c.Viewed():
		return w.getView(ctx, from, c)
	case c.Name == "set" && c.Viewed():
		values, err := c.Pairs(c.Positional[1:])
		if err != nil {
			return "", fmt.Errorf("cannot set %s plug: %w", c.Positional[0], err)
		}
		return "", w.setView(ctx, from, c, values)
	case c.Name == "unset" && c.Has("view"):
		return "", w.unsetView(ctx, from, c)
	case c.Name == "get":
		return w.getConfig(from, c)
	case c.Name == "set", c.Name == "unset":
		return "", w.setConfig(from, c)
	case c.Name == "fail":
		return "", fail(from, c)
	case c.Name == "is-connected":
		return w.isConnected(from, c)
	case c.Name == "services":
		return w.services(from, c)
	default: // start, stop, restart
		return "", w.control(ctx, from, c)
	}
}

// caller finds who a cookie belongs to; nil for nobody.
func (w *World) caller(call SnapctlCall) *caller {
	if h := w.contexts[call.Cookie]; h != nil {
		if snap := w.state.Snaps[h.snap]; snap != nil {
			return &caller{snap: snap, hook: h, uid: call.UID}
		}
		return nil
	}
	for instance, cookie := range w.state.Cookies {
		if cookie == call.Cookie && cookie != "" {
			return &caller{snap: w.state.Snaps[instance], uid: call.UID}
		}
	}
	return nil
}

func fail(from *caller, c *snapctlcmd.Command) error {
	if from.hook == nil || !from.hook.is("change") {
		return errors.New(`cannot use "snapctl fail" outside of a "change-view" hook`)
	}
	if len(c.Positional) == 0 {
		return errors.New("the required argument `:<rejection-reason>` was not provided")
	}
	from.hook.rejected = c.Positional[0]
	return nil
}

func (w *World) isConnected(from *caller, c *snapctlcmd.Command) (string, error) {
	if c.Has("list") {
		var text strings.Builder
		for _, plug := range sortedKeys(from.snap.Plugs) {
			if w.state.Connections[connection(from.snap.Instance(), plug)] {
				fmt.Fprintln(&text, plug)
			}
		}
		return text.String(), nil
	}
	if len(c.Positional) != 1 {
		return "", errors.New("must specify either a plug/slot name or --list")
	}
	if _, found := from.snap.Plugs[c.Positional[0]]; !found {
		return "", fmt.Errorf("snap %q has no plug or slot named %q", from.snap.Instance(), c.Positional[0])
	}
	if !w.state.Connections[connection(from.snap.Instance(), c.Positional[0])] {
		return "", &exitError{code: 1}
	}
	return "", nil
}

func (w *World) services(from *caller, c *snapctlcmd.Command) (string, error) {
	snap := w.asIs(from.snap)
	names := snap.ServiceNames()
	wanted, err := wantedServices(from, c.Positional)
	if err != nil {
		return "", err
	}
	var list []snapctlcmd.Service
	for _, name := range names {
		if len(wanted) > 0 && !slices.Contains(wanted, name) {
			continue
		}
		_, app, _ := strings.Cut(name, ".")
		s := snap.Services[app]
		list = append(list, snapctlcmd.Service{Name: name, Disabled: s.Disabled, Active: s.Running, Timer: s.Timer})
	}
	return snapctlcmd.Services(list), nil
}

// wantedServices resolves names of services; that of the snap stands for all of its services.
func wantedServices(from *caller, names []string) ([]string, error) {
	known := from.snap.ServiceNames()
	var wanted []string
	for _, name := range names {
		switch {
		case name == from.snap.Instance():
			wanted = append(wanted, known...)
		case slices.Contains(known, name):
			wanted = append(wanted, name)
		default:
			return nil, fmt.Errorf("unknown service: %q", name)
		}
	}
	return wanted, nil
}

// control starts, stops or restarts services: after the hook if one asks, else now.
func (w *World) control(ctx context.Context, from *caller, c *snapctlcmd.Command) error {
	if len(c.Positional) == 0 {
		return errors.New("the required argument `<service> (at least 1 argument)` was not provided")
	}
	wanted, err := wantedServices(from, c.Positional)
	if err != nil {
		return err
	}
	instance := from.snap.Instance()
	options := ServiceOptions{Enable: c.Has("enable"), Disable: c.Has("disable"), Reload: c.Has("reload")}
	for _, service := range wanted {
		asked := serviceAction(c.Name, service, options)
		if from.hook != nil {
			from.hook.actions = append(from.hook.actions, asked)
			continue
		}
		w.mu.Unlock()
		w.act(ctx, instance, asked)
		w.mu.Lock()
	}
	return nil
}

func (w *World) getConfig(from *caller, c *snapctlcmd.Command) (string, error) {
	if c.Has("d") && c.Has("t") {
		return "", errors.New("cannot use -d and -t together")
	}
	if len(c.Positional) == 0 {
		return "", errors.New("get which option?")
	}
	if strings.HasPrefix(c.Positional[0], ":") {
		return from.attributes(c)
	}
	config := w.state.Config[from.snap.Instance()]
	if from.hook != nil {
		var err error
		if config, err = patched(config, from.hook.config); err != nil {
			return "", err
		}
	}
	found := map[string]any{}
	for _, key := range c.Positional {
		if value, ok := Option(config, key); ok {
			found[key] = value
		}
	}
	return c.Print(found, c.Positional)
}

// attributes reads attributes of a plug, which only hooks about its connection may.
func (from *caller) attributes(c *snapctlcmd.Command) (string, error) {
	plug := strings.TrimPrefix(c.Positional[0], ":")
	h := from.hook
	if h == nil || !slices.Contains([]string{"prepare-plug-" + plug, "connect-plug-" + plug, "disconnect-plug-" + plug,
		"unprepare-plug-" + plug}, h.hook) {
		return "", errors.New("interface attributes can only be read during the execution of interface hooks")
	}
	known := map[string]any{"account": from.snap.Plugs[plug].Account, "view": from.snap.Plugs[plug].View}
	if role := from.snap.Plugs[plug].Role; role != "" {
		known["role"] = role
	}
	found := map[string]any{}
	for _, name := range c.Positional[1:] {
		value, there := known[name]
		if !there {
			return "", fmt.Errorf("unknown attribute %q", name)
		}
		found[name] = value
	}
	return c.Print(found, c.Positional[1:])
}

func (w *World) setConfig(from *caller, c *snapctlcmd.Command) error {
	values := map[string]any{}
	switch {
	case c.Name == "set" && len(c.Positional) == 0:
		return errors.New("set which option?")
	case c.Name == "set" && strings.HasPrefix(c.Positional[0], ":"):
		return errors.New("interface attributes can only be set during the execution of prepare hooks")
	}
	if c.Name == "unset" {
		for _, key := range c.Positional {
			values[key] = nil
		}
	} else {
		var err error
		if values, err = c.Pairs(c.Positional); err != nil {
			return err
		}
	}
	instance := from.snap.Instance()
	if from.hook == nil {
		return w.changed(func() error { return w.configure(instance, values) })
	}
	// Checked now, stored when the hook has ended.
	if _, err := patched(w.state.Config[instance], values); err != nil {
		return err
	}
	if from.hook.config == nil {
		from.hook.config = map[string]any{}
	}
	for key, value := range values {
		from.hook.config[key] = value
	}
	return nil
}
