package fleetcmd

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"

	"github.com/urfave/cli/v2"
)

func sign(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "sign", Usage: "sign the targets of all devices with an SSH key",
		Description: "Shows what has changed in layers, labels and devices since the last signature, asks, and signs the targets of all " +
			"devices with ssh-keygen, so that an agent or a hardware token can have the key. From then on the server offers a device " +
			"only a target that is signed for it, and devices with --operator-keys apply nothing else. This machine computes the targets " +
			"from layers and labels, and remembers what it has signed, so it detects a server that shows something older. --init begins; " +
			"--operator-keys later replaces the keys that may sign.",
		UsageText: "aspects-poc fleet sign --init --operator-keys operators --key ~/.ssh/id_ed25519\n" +
			"aspects-poc fleet sign --key ~/.ssh/id_ed25519",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "init", Usage: "sign for the first time: makes the name of the fleet"},
			&cli.StringFlag{Name: "operator-keys", Usage: "`FILE` of allowed signers: the keys that may sign from now on"},
			&cli.BoolFlag{Name: "skip-missing", Usage: "sign although the server does not have the last statement that this machine signed"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be signed, and sign nothing"},
			&cli.BoolFlag{Name: "end", Usage: "remove all signatures from the server, which then offers everything: asks first; devices with operators' " +
				"keys refuse what is not signed"},
		}, signingFlags()...),
	}, 0, 0, func(s *session, _ []string) error {
		if s.c.Bool("end") {
			return endSigning(s)
		}
		return signAll(s, nil)
	})
}

// signingFlags returns the flags of all commands that sign.
func signingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "key", Usage: "`FILE` with your SSH key, to sign; the public half if an agent has the key"},
		&cli.StringSliceFlag{Name: "secret", Usage: "`NAME=FILE` with the value of a named secret, which a signature needs once; may be repeated"},
		&cli.StringSliceFlag{Name: "secret-json", Usage: "like --secret, for a value that is JSON: `NAME=FILE`"},
		&cli.BoolFlag{Name: "allow-undo", Usage: "let each device also go back to the target that was signed for it before"},
		&cli.BoolFlag{Name: "full", Usage: "name all devices, also where many differ in the same way"},
		&cli.DurationFlag{Name: "sign-again", Usage: "`DURATION` after which devices warn if they have heard of no new signature"},
		yesFlag(),
	}
}

func yesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}
}

// errNobody returns the error for a question without a terminal.
func errNobody() error { return roles.Usagef("nobody can be asked here: give --yes to go on without") }

// errNoKey returns the error for a signature without a key.
func errNoKey() error {
	return roles.Usagef("to sign takes --key FILE: your SSH key, or its public half if an agent has the key")
}

// signedLayer returns a layer in the form of a manifest.
func signedLayer(layer serverapi.Layer) signed.Layer {
	config, _ := withoutDigests(map[string]any(layer.Config)).(map[string]any)
	return signed.Layer{Layer: layer.Layer, Selector: layer.Selector, Priority: layer.Priority, Config: config}
}

// oneLine returns the error in one line. Its text may have names that the server has chosen, and they must not begin
// lines.
func oneLine(err error) error {
	if text := plain.Line(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// A signing is the making of one statement.
//
// It has many fields and methods because it has those of the session, which talks to the server.
type signing struct {
	*session
	records *signRecords
	record  signRecord        // zero if this machine has never signed for this fleet
	present *signed.Manifest  // the server's last manifest; nil for none
	base    int64             // the number of the present statement
	last    signed.Statement  // its Number is 0 if there is none
	keys    signed.Keys       // may sign this statement
	next    signed.Keys       // may sign the next statement
	secrets map[string]any    // values of --secret and --secret-json
	salts   map[string]string // salts of their digests
	missed  map[string]bool   // keys of the devices to which, as the server says, it does not offer their target
}

// number returns the number of the new statement.
func (w *signing) number() int64 {
	last, _ := w.record.last()
	return last + 1
}

// permitted returns an error if the server would not accept a statement from this caller. The check avoids a signature
// in vain; the server decides.
func (w *signing) permitted() error {
	self, err := w.client.Whoami(w)
	if isMissing(err) {
		return nil // a server of an earlier version
	}
	if err != nil {
		return err
	}
	needs := "operator or admin"
	if w.last.Number == 0 || !w.next.Equal(w.keys) {
		needs = "admin, as the statement says who may sign from then on"
	}
	if self.Role == "admin" || self.Role == "operator" && len(self.Scope) == 0 && needs == "operator or admin" {
		return nil
	}
	text := "this needs the role " + needs
	if len(self.Scope) > 0 {
		text += ", and a token without a scope"
	}
	return errors.New(text + ". " + selfText(self))
}

// signAll signs the server's layers and devices. plan, if not nil, is an applied plan: signAll returns an error if the
// server's layers are not those of the plan.
func signAll(s *session, plan *savedPlan) error {
	work := &signing{session: s, salts: map[string]string{}}
	done := s.busy("reading the devices and layers of the server")
	manifest, err := work.prepare()
	if done(); err != nil {
		return oneLine(err)
	}
	if plan != nil {
		if err := plan.verify(manifest.Layers); err != nil {
			return oneLine(err)
		}
	}
	if !s.c.Bool("dry-run") {
		if err := work.permitted(); err != nil {
			return oneLine(fmt.Errorf("nothing is signed: %w", err))
		}
	}
	if err := work.show(manifest); err != nil {
		return oneLine(err)
	}
	if err := s.out.w.Flush(); err != nil || s.c.Bool("dry-run") {
		return err
	}
	if s.c.String("key") == "" {
		return errNoKey()
	}
	if err := work.confirm("Sign this?", "nothing is signed"); err != nil {
		return err
	}
	return work.finish(manifest)
}

// prepare reads the server's layers and devices, and returns the manifest to sign.
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
	undo := w.c.Bool("allow-undo") && w.present != nil
	if undo {
		allowUndo(manifest, w.present)
	}
	err = manifest.Plan()
	for i, device := range manifest.Devices {
		if undo && err == nil {
			manifest.Devices[i].Targets = device.Targets[:min(2, len(device.Targets))]
		}
	}
	return manifest, err
}

// readPresent reads the last statement of the server, and compares it with this machine's record.
func (w *signing) readPresent() error {
	known := w.record
	answer, err := w.client.Signature(w, true)
	ended := isMissing(err) && known.Ended
	switch {
	case ended && !w.c.Bool("init"):
		return errors.New("nothing is signed in this fleet since fleet sign --end was given here; begin again with: aspects-poc fleet sign " +
			"--init --key FILE")
	case ended:
		if len(w.next) == 0 {
			w.next = known.Keys
		}
		w.keys = w.next
		return nil
	case isMissing(err) && known.Number == 0 && !w.c.Bool("init"):
		return errors.New("nothing is signed in this fleet yet; begin with: aspects-poc fleet sign --init --operator-keys FILE --key FILE")
	case isMissing(err) && known.Number == 0:
		if len(w.next) == 0 {
			return roles.Usagef("--init wants --operator-keys FILE: the keys that may sign, as allowed signers of ssh-keygen")
		}
		w.keys = w.next
		return nil
	case isMissing(err):
		answer = serverapi.Signature{} // without a statement
	case err != nil:
		return err
	case w.c.Bool("init") && known.Number == 0:
		return errors.New("this fleet has signatures already; leave out --init")
	}
	var statement signed.Statement // its number is 0 for none; the answer's other number is not signed
	if answer.Statement != "" {
		if statement, err = signed.Parse(answer.Signed); err != nil {
			return err
		}
	} else if !isMissing(err) {
		return errors.New("the server's answer has no statement")
	}
	if statement.Number < known.Number {
		if !w.c.Bool("skip-missing") {
			return fmt.Errorf("the server's last statement is number %d, but number %d was signed from here: the server has not got it, was "+
				"restored from a backup, or withholds it, or another machine has ended the signatures; to sign number %d all the same, give --skip-missing", statement.Number, known.Number, w.number())
		}
		w.keys = known.Keys
	}
	if statement.Number > 0 {
		if known, err = w.verifyPresent(answer, statement, known); err != nil {
			return err
		}
	}
	known.Refused, known.Ended = w.record.Refused, w.record.Ended
	w.record = known
	w.last = signed.Statement{Fleet: known.Fleet, Number: known.Number}
	if len(w.next) == 0 {
		w.next = w.keys
	}
	return nil
}

// verifyPresent verifies the server's last statement, and returns the updated record of this machine. An unverified
// manifest is not used: neither for comparison nor for its digests of secrets.
func (w *signing) verifyPresent(answer serverapi.Signature, statement signed.Statement, known signRecord) (signRecord, error) {
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
			return known, nil // signed with other keys before a loss: it is not used
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
	var err error
	if w.present, err = signed.ParseManifest(answer.Manifest); err != nil || older {
		return known, err
	}
	w.keys = statement.Keys
	return signRecord{Fleet: statement.Fleet, Number: statement.Number, Digest: digest, Keys: statement.Keys}, nil
}

// confirm asks the user, unless --yes is given. declined is the text of the error after another answer than yes.
func (s *session) confirm(question, declined string) error {
	if s.c.Bool("yes") {
		return nil
	}
	if !roles.IsTerminal(s.env.Stdin) {
		return errNobody()
	}
	s.say("%s [y/N]", question)
	answer, err := bufio.NewReader(s.env.Stdin).ReadString('\n')
	if err != nil || !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
		return errors.New(declined)
	}
	return nil
}

// finish signs a manifest and sends it to the server.
func (w *signing) finish(manifest *signed.Manifest) error {
	_, previous := w.record.last()
	statement := signed.Statement{Fleet: cmp.Or(w.record.Fleet, rand.Text()), Number: w.number(), Previous: previous,
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
	signature, err := w.signText(text)
	if err != nil {
		return err
	}
	if _, err := w.keys.Verify(text, signature); err != nil {
		return fmt.Errorf("cannot use the signature: %w", err)
	}
	// The record comes first: if the answer is lost, the number must not be used again. After a refusal, which may be a
	// lie, the number is used up as well. The record then has the refused statement, so that this machine does not
	// expect it from the server.
	before := w.record
	record := signRecord{Fleet: statement.Fleet, Number: statement.Number, Digest: signed.Digest(text), Keys: statement.Keys}
	if err := w.records.write(w.client.URL(), record); err != nil {
		return err
	}
	done := w.busy("the server checks what is signed")
	stored, err := w.client.SetSignature(w, serverapi.SignatureRequest{Signed: signed.Signed{Statement: text, Signature: signature}, Manifest: whole,
		Salts: w.salts})
	if done(); err != nil {
		var refused *serverapi.Error
		if errors.As(err, &refused) && refused.Status < 500 {
			before.Refused = &refusedStatement{record.Number, record.Digest}
			err = errors.Join(err, w.records.write(w.client.URL(), before))
		}
		return err
	}
	if err := w.printStored(stored); err != nil {
		return err
	}
	return w.printWithheld(manifest)
}

// printStored prints what the server has stored.
func (w *signing) printStored(stored serverapi.Signature) error {
	return w.out.printOne(stored, fmt.Sprint(stored.Number), func() error {
		w.out.line("statement %d is signed by %s, and stored as revision %d", stored.Number, plain.Line(stored.By), stored.Revision)
		return w.printUndo()
	})
}

// printUndo prints what an undo of the active release needs, if the statement has no way back.
func (w *signing) printUndo() error {
	for release, err := range w.client.Releases(w, 1) {
		if err == nil && release.Active && !w.c.Bool("allow-undo") {
			w.out.line("release %d is active, and this statement has no way back: after an undo devices go back when somebody has signed again; "+
				"--allow-undo lets them go back at once", release.ID)
		}
		return err
	}
	return nil
}

// signText signs a text with ssh-keygen.
func (w *signing) signText(text string) (string, error) {
	return w.keygen(text, "-Y", "sign", "-q", "-n", signed.Namespace, "-f", w.c.String("key"))
}

// keygen runs ssh-keygen and returns its output.
func (w *signing) keygen(input string, args ...string) (string, error) {
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		return "", errors.New("cannot sign: ssh-keygen is missing; install openssh-client")
	}
	ctx, cancel := context.WithTimeout(w, signTime)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin, command.Stderr = strings.NewReader(input), w.env.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("cannot sign: ssh-keygen failed: %w", err)
	}
	return string(output), nil
}

// signTime is how long a person may take to type a passphrase or to touch a token.
const signTime = 10 * time.Minute
