package fleetcmd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/layers"
	"aspects-poc/roles/serverapi/operator"
	"aspects-poc/roles/serverapi/signed"

	"github.com/urfave/cli/v2"
)

func sign(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "sign", Usage: "sign the targets of all devices with an SSH key",
		Description: "Shows what has changed in layers, labels and devices since the last signature, asks, and signs the targets of all " +
			"devices with ssh-keygen, so that an agent or a hardware token can have the key. From then on the server offers a device " +
			"only a target that is signed for it, and devices with --operator-keys apply nothing else. This machine computes the targets " +
			"from layers and labels, and remembers what it has signed: a server that shows something older is found out. --init begins; " +
			"--operator-keys later replaces the keys that may sign.",
		UsageText: "aspects-poc fleet sign --init --operator-keys operators --key ~/.ssh/id_ed25519\n" +
			"aspects-poc fleet sign --key ~/.ssh/id_ed25519",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "init", Usage: "sign for the first time: makes the name of the fleet"},
			&cli.StringFlag{Name: "operator-keys", Usage: "`FILE` of allowed signers: the keys that may sign from now on"},
			&cli.BoolFlag{Name: "skip-missing", Usage: "sign although the server does not have the last statement that this machine signed"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be signed, and sign nothing"},
			&cli.BoolFlag{Name: "end", Usage: "remove all signatures from the server, which then offers everything; devices with operators' keys " +
				"go on refusing what is not signed"},
		}, signingFlags()...),
	}, 0, 0, func(s *session, _ []string) error {
		if s.c.Bool("end") {
			return s.client.DeleteSignature(s)
		}
		return signAll(s, nil)
	})
}

// signingFlags are those of all commands that sign.
func signingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "key", Usage: "`FILE` with your SSH key, to sign; the public half if an agent has the key"},
		&cli.StringSliceFlag{Name: "secret", Usage: "`NAME=FILE` with the value of a named secret, which a signature needs once; may be repeated"},
		&cli.StringSliceFlag{Name: "secret-json", Usage: "like --secret, for a value that is JSON: `NAME=FILE`"},
		&cli.BoolFlag{Name: "allow-undo", Usage: "let each device also go back to the target that was signed for it before"},
		&cli.DurationFlag{Name: "sign-again", Usage: "`DURATION` after which devices warn if they have heard of no new signature"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask before signing"},
	}
}

// errNobody is the error for a question that nobody can answer.
func errNobody() error { return roles.Usagef("nobody can be asked here: give --yes to go on without") }

// errNoKey is the error for a signature without a key.
func errNoKey() error {
	return roles.Usagef("to sign takes --key FILE: your SSH key, or its public half if an agent has the key")
}

// signApplied signs after a batch was applied, if --sign is given: only if the server has its layers.
func signApplied(s *session, batch operator.Batch) error {
	if !s.c.Bool("sign") {
		return nil
	}
	return signAll(s, batch.Changes)
}

// verifyApplied returns an error unless the layers are as a batch has left them.
func verifyApplied(list []signed.Layer, changes []serverapi.BatchChange) error {
	present := map[string]signed.Layer{}
	for _, layer := range list {
		present[layer.Layer] = layer
	}
	for _, change := range changes {
		layer, there := present[change.Layer]
		if change.Remove {
			if there {
				return fmt.Errorf("nothing is signed: the server still has the layer %s, which was removed", change.Layer)
			}
			continue
		}
		selector, err := layers.ParseSelector(change.Selector)
		if err != nil {
			return err
		}
		wanted := map[string]any{}
		for view, value := range change.Config {
			wanted[view[strings.LastIndex(view, "/")+1:]] = withoutDigests(value) // the server shortens names of views
		}
		if !there || layer.Selector != selector.String() || layer.Priority != change.Priority || !jsonvalue.Equal(layer.Config, wanted) {
			return fmt.Errorf("nothing is signed: the server shows another layer %s than was applied", change.Layer)
		}
	}
	return nil
}

// A signing is the making of a statement.
type signing struct {
	*session
	records *signRecords
	record  signRecord       // the zero value if this machine has never signed here
	present *signed.Manifest // of the server's last statement; nil for none
	base    int64            // the number of that statement
	last    signed.Statement // of which Number is 0 if there is none
	keys    signed.Keys      // that may sign this statement
	next    signed.Keys      // that may sign the next one
	secrets map[string]any   // values that were given
}

// signAll signs what the server has. It returns an error if that is not what changes, which were applied, have left.
func signAll(s *session, changes []serverapi.BatchChange) error {
	work := &signing{session: s}
	manifest, err := work.prepare()
	if err != nil {
		return err
	}
	if err := verifyApplied(manifest.Layers, changes); err != nil {
		return err
	}
	work.show(manifest)
	if err := s.out.w.Flush(); err != nil || s.c.Bool("dry-run") {
		return err
	}
	if s.c.String("key") == "" {
		return errNoKey()
	}
	if err := work.agree("Sign this?"); err != nil {
		return err
	}
	return work.finish(manifest)
}

// prepare reads what there is, and returns what is to be signed.
func (w *signing) prepare() (*signed.Manifest, error) {
	var err error
	if w.records, err = readSignRecords(w.env.Getenv); err != nil {
		return nil, err
	}
	w.record = w.records.of[w.client.URL()]
	if w.secrets, err = w.readSecrets(); err != nil {
		return nil, err
	}
	if file := w.c.String("operator-keys"); file != "" {
		text, err := os.ReadFile(file)
		if err == nil {
			w.next, err = signed.ParseKeys(text)
		}
		if err != nil {
			return nil, roles.Usagef("invalid value %q for --operator-keys: %v", file, err)
		}
	}
	if err := w.readPresent(); err != nil {
		return nil, err
	}
	manifest, err := w.collect()
	if err != nil {
		return nil, err
	}
	if err := w.digestSecrets(manifest); err != nil {
		return nil, err
	}
	if w.c.Bool("allow-undo") && w.present != nil {
		allowUndo(manifest, w.present)
	}
	return manifest, manifest.Plan()
}

// readPresent reads the last statement of the server, and compares it with what this machine knows.
func (w *signing) readPresent() error {
	known := w.record
	answer, err := w.client.Signature(w, true)
	switch {
	case isMissing(err) && known.Number == 0 && !w.c.Bool("init"):
		return errors.New("nothing is signed in this fleet yet; begin with: aspects-poc fleet sign --init --operator-keys FILE --key FILE")
	case isMissing(err) && known.Number == 0:
		if len(w.next) == 0 {
			return roles.Usagef("--init wants --operator-keys FILE: the keys that may sign, as allowed signers of ssh-keygen")
		}
		w.keys = w.next
		return nil
	case isMissing(err):
		answer = serverapi.Signature{}
	case err != nil:
		return err
	case w.c.Bool("init") && known.Number == 0:
		return errors.New("this fleet has signatures already; leave out --init")
	}
	if answer.Number < known.Number {
		if !w.c.Bool("skip-missing") {
			return fmt.Errorf("the server's last statement is number %d, but number %d was signed from here: the server has not got it, was "+
				"restored from a backup, or withholds it; to sign number %d all the same, give --skip-missing", answer.Number, known.Number, known.Number+1)
		}
		w.keys = known.Keys
	}
	if answer.Number > 0 {
		if known, err = w.believe(answer, known); err != nil {
			return err
		}
	}
	w.record = known
	w.last = signed.Statement{Fleet: known.Fleet, Number: known.Number}
	if len(w.next) == 0 {
		w.next = w.keys
	}
	return nil
}

// believe verifies the server's last statement, and returns what this machine knows then. Only a manifest of a statement that is
// verified is compared with, and only its digests of secrets are signed again.
func (w *signing) believe(answer serverapi.Signature, known signRecord) (signRecord, error) {
	statement, err := signed.Parse(answer.Signed)
	if err != nil {
		return known, err
	}
	keys := known.Keys
	if known.Number == 0 {
		if keys = w.next; len(keys) == 0 {
			return known, roles.Usagef("nothing was signed from this machine before: give --operator-keys FILE with the keys that may sign here")
		}
	}
	digest, older := signed.Digest(answer.Statement), statement.Number < known.Number
	if digest != known.Digest {
		_, err := keys.Verify(answer.Statement, answer.Signature)
		switch {
		case err != nil && older:
			return known, nil // of other keys, before a loss: nothing of it is used
		case err != nil:
			return known, fmt.Errorf("the server's statement %d cannot be believed: %w; if the operators have other keys now, move %s away "+
				"and give them with --operator-keys", statement.Number, err, w.records.path)
		case known.Number > 0 && statement.Fleet != known.Fleet:
			return known, fmt.Errorf("the server shows the statement of another fleet, %s instead of %s", statement.Fleet, known.Fleet)
		case statement.Number == known.Number:
			return known, fmt.Errorf("the server has another statement %d than this machine: somebody has signed at the same time; look at it, "+
				"move %s away and give --operator-keys", known.Number, w.records.path)
		}
	}
	if signed.Digest(answer.Manifest) != statement.Manifest {
		return known, errors.New("the server's manifest is not that of the statement")
	}
	w.base = statement.Number
	if w.present, err = signed.ParseManifest(answer.Manifest); err != nil || older {
		return known, err
	}
	w.keys = statement.Keys
	return signRecord{Fleet: statement.Fleet, Number: statement.Number, Digest: digest, Keys: statement.Keys}, nil
}

// collect reads layers and devices.
func (w *signing) collect() (*signed.Manifest, error) {
	manifest := &signed.Manifest{Secrets: map[string]signed.Secret{}, Layers: []signed.Layer{}, Devices: []signed.Device{}}
	for layer, err := range w.client.Layers(w) {
		if err != nil {
			return nil, err
		}
		if layer.Revision == 0 {
			continue
		}
		config, _ := withoutDigests(map[string]any(layer.Config)).(map[string]any)
		manifest.Layers = append(manifest.Layers, signed.Layer{Layer: layer.Layer, Selector: layer.Selector, Priority: layer.Priority, Config: config})
	}
	for device, err := range w.client.Devices(w, operator.Filter{}) {
		if err != nil {
			return nil, err
		}
		if device.KeyID != "" && device.Status != serverapi.Revoked {
			manifest.Devices = append(manifest.Devices, signed.Device{Key: device.KeyID, UUID: device.UUID, Labels: device.Labels})
		}
	}
	return manifest, nil
}

// withoutDigests returns a configuration whose references to secrets have nothing but the name.
func withoutDigests(value any) any {
	object, is := value.(map[string]any)
	if !is {
		return value
	}
	name, is := object["$secret"].(string)
	if is && name != "set" && name != "unset" {
		return map[string]any{"$secret": name}
	}
	copied := map[string]any{}
	for name, below := range object {
		copied[name] = withoutDigests(below)
	}
	return copied
}

// digestSecrets puts a digest of each secret into the manifest that a layer refers to: from the value that was given, or as it was
// signed before.
func (w *signing) digestSecrets(manifest *signed.Manifest) error {
	names, err := manifest.Names()
	if err != nil {
		return err
	}
	list, err := w.client.Secrets(w)
	if err != nil {
		return err
	}
	revisions := map[string]int64{}
	for _, secret := range list {
		revisions[secret.Name] = secret.Revision
	}
	for name := range w.secrets {
		if !slices.Contains(names, name) {
			return roles.Usagef("no layer refers to the secret %s", name)
		}
	}
	for _, name := range names {
		if value, given := w.secrets[name]; given {
			secret := signed.Secret{Salt: rand.Text(), Revision: revisions[name]}
			if secret.Digest, err = signed.SecretDigest(secret.Salt, value); err != nil {
				return err
			}
			manifest.Secrets[name] = secret
			continue
		}
		var before signed.Secret
		known := false
		if w.present != nil {
			before, known = w.present.Secrets[name]
		}
		switch {
		case !known:
			return fmt.Errorf("the secret %s was never signed: give its value with --secret %s=FILE", name, name)
		case before.Revision != revisions[name]:
			return fmt.Errorf("the secret %s has changed since it was signed: give its value with --secret %s=FILE", name, name)
		}
		manifest.Secrets[name] = before
	}
	return nil
}

// readSecrets reads the files of --secret and --secret-json.
func (w *signing) readSecrets() (map[string]any, error) {
	values := map[string]any{}
	for _, flag := range []string{"secret", "secret-json"} {
		for _, given := range w.c.StringSlice(flag) {
			name, file, found := strings.Cut(given, "=")
			if !found || name == "" || file == "" {
				return nil, roles.Usagef("invalid value %q for --%s: want NAME=FILE", given, flag)
			}
			open, err := os.Open(file)
			if err != nil {
				return nil, fmt.Errorf("cannot read the value of the secret %s: %w", name, err)
			}
			text, err := serverapi.ReadSecret(open, flag == "secret-json", maxSecret)
			if err = errors.Join(err, open.Close()); err != nil {
				return nil, fmt.Errorf("cannot read the value of the secret %s: %w", name, err)
			}
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.UseNumber()
			var value any
			if err := decoder.Decode(&value); err != nil {
				return nil, fmt.Errorf("cannot read the value of the secret %s", name) // the error may quote it
			}
			values[name] = value
		}
	}
	return values, nil
}

// allowUndo adds to each device the target that was signed for it before.
func allowUndo(manifest, before *signed.Manifest) {
	targets := map[string]string{}
	for _, device := range before.Devices {
		targets[device.Key] = device.Targets[0]
	}
	for i := range manifest.Devices {
		if target, there := targets[manifest.Devices[i].Key]; there {
			manifest.Devices[i].Targets = []string{target}
		}
	}
}

// mostShown is how many devices of a kind are shown.
const mostShown = 20

// show prints what is different from what was signed before.
func (w *signing) show(manifest *signed.Manifest) {
	before := w.present
	if before == nil {
		before = &signed.Manifest{}
	}
	changed := w.showLayers(before, manifest)
	old := map[string]signed.Device{}
	for _, device := range before.Devices {
		old[device.Key] = device
	}
	shown, targets := map[string]int{}, 0
	line := func(kind string, look tone, format string, args ...any) {
		changed = true
		if shown[kind]++; shown[kind] <= mostShown {
			w.out.line("%s", w.out.painted(plain.Line(fmt.Sprintf(format, args...)), look))
		}
	}
	for _, device := range manifest.Devices {
		was, there := old[device.Key]
		delete(old, device.Key)
		switch {
		case !there:
			line("new", good, "+ device %s, key %s, labels %s", short(device.UUID), device.Key, cmp.Or(labelsOf(device.Labels), "-"))
		case was.UUID != device.UUID:
			line("moved", note, "~ key %s: device %s is now %s", device.Key, short(was.UUID), short(device.UUID))
		}
		if there && !maps.Equal(was.Labels, device.Labels) {
			line("labels", note, "~ device %s: labels %s -> %s", short(device.UUID), cmp.Or(labelsOf(was.Labels), "-"), cmp.Or(labelsOf(device.Labels), "-"))
		}
		if !there || was.Targets[0] != device.Targets[0] {
			targets++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		line("gone", bad, "- device %s, key %s", short(old[key].UUID), key)
	}
	for kind, count := range shown {
		if count > mostShown {
			w.out.line("… and %d more of the kind: %s", count-mostShown, kind)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
		changed = true
		w.out.line("~ secret %s: the value that you give", name)
	}
	if w.last.Number == 0 || !w.next.Equal(w.keys) {
		changed = true
		w.out.line("~ keys that may sign from now on:")
		for _, key := range w.next {
			w.out.line("    %s %s", key.Name, key.Fingerprint())
		}
	}
	if !changed {
		w.out.line("nothing has changed since statement %d", w.base)
	}
	w.out.line("statement %d has the targets of %s; %d of them are new", w.last.Number+1, devicesOf(len(manifest.Devices)), targets)
}

// showLayers prints the differences of layers, and reports whether there are any.
func (w *signing) showLayers(before, after *signed.Manifest) (changed bool) {
	old := map[string]signed.Layer{}
	for _, layer := range before.Layers {
		old[layer.Layer] = layer
	}
	for _, layer := range after.Layers {
		was, there := old[layer.Layer]
		delete(old, layer.Layer)
		list := differences(was.Config, layer.Config)
		if there && was.Selector == layer.Selector && was.Priority == layer.Priority && len(list) == 0 {
			continue
		}
		changed = true
		head := shortLayer(layer.Layer) + ":"
		if layer.Selector != "" {
			head = fmt.Sprintf("%s for %s, priority %d:", shortLayer(layer.Layer), layer.Selector, layer.Priority)
		}
		w.out.line("%s", plain.Line(head))
		w.out.printChanges(list)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		changed = true
		w.out.line("%s is removed:", shortLayer(name))
		w.out.printChanges(differences(old[name].Config, nil))
	}
	return changed
}

// differences lists the values that differ, by path.
func differences(before, after map[string]any) []serverapi.Change {
	old, now := leaves(before), leaves(after)
	var list []serverapi.Change
	for path, value := range now {
		was, there := old[path]
		switch {
		case !there:
			list = append(list, serverapi.Change{Path: path, Kind: "added", After: value})
		case literal(was) != literal(value):
			list = append(list, serverapi.Change{Path: path, Kind: "changed", Before: was, After: value})
		}
	}
	for path, value := range old {
		if _, there := now[path]; !there {
			list = append(list, serverapi.Change{Path: path, Kind: "removed", Before: value})
		}
	}
	slices.SortFunc(list, func(a, b serverapi.Change) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// agree asks the user, unless --yes is given.
func (s *signing) agree(question string) error {
	if s.c.Bool("yes") {
		return nil
	}
	if !roles.IsTerminal(s.env.Stdin) {
		return errNobody()
	}
	s.say("%s [y/N]", question)
	answer, err := bufio.NewReader(s.env.Stdin).ReadString('\n')
	if err != nil || !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
		return errors.New("nothing is signed")
	}
	return nil
}

// finish signs a manifest and gives it to the server.
func (w *signing) finish(manifest *signed.Manifest) error {
	statement := signed.Statement{Fleet: cmp.Or(w.record.Fleet, rand.Text()), Number: w.record.Number + 1, Previous: w.record.Digest,
		At: now().Unix(), Keys: w.next}
	if again := w.c.Duration("sign-again"); again > 0 {
		statement.SignAgain = now().Add(again).Unix()
	}
	summary, err := w.client.Summary(w)
	if err != nil {
		return err
	}
	statement.Revision = summary.Revision
	text, err := manifest.Complete(statement)
	if err != nil {
		return err
	}
	whole, err := manifest.Text()
	if err != nil {
		return err
	}
	signature, err := w.keygen(text)
	if err != nil {
		return err
	}
	if _, err := w.keys.Verify(text, signature); err != nil {
		return fmt.Errorf("cannot use the signature: %w", err)
	}
	// First the record: should the answer be lost, the number is used up all the same.
	record := signRecord{Fleet: statement.Fleet, Number: statement.Number, Digest: signed.Digest(text), Keys: statement.Keys}
	if err := w.records.write(w.client.URL(), record); err != nil {
		return err
	}
	stored, err := w.client.SetSignature(w, serverapi.SignatureRequest{Signed: signed.Signed{Statement: text, Signature: signature}, Manifest: whole})
	if err != nil {
		return err
	}
	return w.out.printOne(stored, fmt.Sprint(stored.Number), func() error {
		w.out.line("statement %d is signed by %s, and stored as revision %d", stored.Number, plain.Line(stored.By), stored.Revision)
		return nil
	})
}

// keygen signs a text with ssh-keygen.
func (w *signing) keygen(text string) (string, error) {
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		return "", errors.New("cannot sign: ssh-keygen is missing; install openssh-client")
	}
	ctx, cancel := context.WithTimeout(w, signTime)
	defer cancel()
	command := exec.CommandContext(ctx, program, "-Y", "sign", "-q", "-n", signed.Namespace, "-f", w.c.String("key"))
	command.Stdin, command.Stderr = strings.NewReader(text), w.env.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("cannot sign: ssh-keygen failed: %w", err)
	}
	return string(output), nil
}

// signTime is how long a person may take to give a passphrase, or to touch a token.
const signTime = 10 * time.Minute
