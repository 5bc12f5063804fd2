package fleetcmd

import (
	"encoding/json"
	"fmt"

	"aspects-poc/roles"
	"aspects-poc/roles/fleetcmd/folder"

	"github.com/urfave/cli/v2"
)

func schema(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "schema", Usage: "print a JSON Schema of the files of a folder", ArgsUsage: " ",
		Description: "Prints the JSON Schema of the files that fleet plan reads, made from the server's confdb-schema, so that an editor " +
			"completes and checks views and values. The server may still refuse a value that fits.",
		UsageText: "aspects-poc fleet schema > fleet/" + folder.SchemaFile,
	}, 0, 0, func(s *session, _ []string) error {
		described, err := s.client.Schema(s)
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(folder.Schema(described), "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(s.env.Stdout, "%s\n", text)
		}
		return err
	})
}
