// Command generate writes the OpenAPI 3 description of the server's API. swag reads the annotations of the handlers and
// writes Swagger 2, which this command converts. OpenAPI 3 is needed because errors have another content type than answers.
//
// go generate runs it in the folder of the API's package.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"aspects-poc/internal/jsonvalue"

	"github.com/swaggo/swag"
)

const output = "../swagger/openapi.json"

func main() {
	content, err := Describe(".")
	if err == nil {
		err = os.WriteFile(output, content, 0o644)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot write %s: %v\n", output, err)
		os.Exit(1)
	}
}

// Describe returns the description of the API whose handlers are in a folder.
func Describe(folder string) ([]byte, error) {
	parser := swag.New(swag.SetDebugger(log.New(io.Discard, "", 0)), swag.SetStrict(true))
	parser.PropNamingStrategy = swag.CamelCase
	if err := parser.ParseAPIMultiSearchDir([]string{folder, folder + "/../../serverapi"}, "api.go", 1); err != nil {
		return nil, err
	}
	swagger, err := json.Marshal(parser.GetSwagger())
	if err != nil {
		return nil, err
	}
	optional, err := optionalMembers(folder, folder+"/../../serverapi")
	if err != nil {
		return nil, err
	}
	var old object
	if err := jsonvalue.Decode(swagger, &old); err != nil {
		return nil, err
	}
	converted, err := convert(old, optional)
	if err != nil {
		return nil, err
	}
	return jsonvalue.EncodeLines(converted, "  ")
}
