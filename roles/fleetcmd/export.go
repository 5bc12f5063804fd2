package fleetcmd

import (
	"errors"
	"fmt"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"

	"github.com/urfave/cli/v2"
)

func export(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "export", Usage: "write a device's signed target for a device without a server", ArgsUsage: "ID",
		Description: "Writes the target that a device should have now, with its signed statement, as JSON. " +
			"aspects-poc control apply FILE on the device applies it. The server does not show the values of secrets: give those that the " +
			"target refers to. The file then has them.",
		UsageText: "aspects-poc fleet export 3f2a > lobby.json",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "secret", Usage: "`NAME=FILE` with the value of a named secret; may be repeated"},
			&cli.StringSliceFlag{Name: "secret-json", Usage: "like --secret, for a value that is JSON: `NAME=FILE`"},
		},
	}, 1, 1, func(s *session, args []string) error {
		id, err := s.device(args[0])
		if err != nil {
			return err
		}
		device, err := s.client.Device(s, id)
		if err != nil {
			return err
		}
		work := &signing{session: s}
		values, err := work.readSecrets()
		if err != nil {
			return err
		}
		answer, err := s.client.Signature(s, true)
		if err != nil {
			return err
		}
		// The device verifies the signer. Here only completeness matters.
		book, err := signed.Reopen(append(answer.Former, answer.Signed), answer.Manifest, answer.Salts)
		if err != nil {
			return fmt.Errorf("cannot use the server's statement: %w", err)
		}
		// This is not the merge of the statement's layers: a release may withhold some of them, or somebody may have
		// changed them back.
		target, err := s.client.Target(s, id)
		if err != nil {
			return err
		}
		config, _ := withoutDigests(map[string]any(target.Config)).(map[string]any)
		offer, err := offerOf(book, device, config, values)
		if err != nil {
			return err
		}
		offer.Revision = target.Revision
		text, err := jsonvalue.Encode(offer)
		if err != nil {
			return err
		}
		_, err = s.out.w.Write(append(text, '\n'))
		return errors.Join(err, s.out.w.Flush())
	})
}

// offerOf returns the signed offer of a device's target. The target has references in the places of secrets, as the
// statement has.
func offerOf(book *signed.Book, device serverapi.Device, config, values map[string]any) (*serverapi.Offer, error) {
	places, err := book.Places(config)
	if missing := (*signed.MissingSecret)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("the target has the secret %s: to export it takes an admin's token, and a statement that knows the secret", missing.Name)
	}
	if err != nil {
		return nil, err
	}
	resolved, err := resolve(config, values)
	if err != nil {
		return nil, err
	}
	config, _ = resolved.(map[string]any)
	target, err := signed.TargetHash(config, places)
	if err != nil {
		return nil, err
	}
	offer := &serverapi.Offer{Config: config}
	switch offer.Signed, err = book.Evidence(device.KeyID, target, places); {
	case errors.Is(err, signed.ErrNoLeaf):
		return nil, fmt.Errorf("the last statement does not know this device: %s fleet sign signs its target", roles.Program)
	case errors.Is(err, signed.ErrUnsigned) && device.Desired.Unsigned:
		return nil, fmt.Errorf("nobody has signed the target that this device should have now: %s fleet why %s shows it, and %[1]s fleet sign signs it",
			roles.Program, device.UUID)
	case errors.Is(err, signed.ErrUnsigned):
		return nil, fmt.Errorf("%w: is the value of a secret another one than was signed?", err)
	case err != nil:
		return nil, err
	}
	offer.Hash, err = offer.Config.Hash()
	return offer, err
}

// resolve returns a value with the values of secrets in the places of their references. It returns an error for a
// secret without a value.
func resolve(value any, values map[string]any) (any, error) {
	object, is := value.(map[string]any)
	if !is {
		return value, nil
	}
	if name, is := object["$secret"].(string); is {
		given, there := values[name]
		if !there {
			return nil, fmt.Errorf("the target has the secret %s: give its value with --secret %s=FILE", name, name)
		}
		return given, nil
	}
	copied := map[string]any{}
	for name, below := range object {
		var err error
		if copied[name], err = resolve(below, values); err != nil {
			return nil, err
		}
	}
	return copied, nil
}
