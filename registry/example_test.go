package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"aspects-poc/registry"
)

// lamp is a confdb-schema in YAML. A program reads it from a file or embeds it.
const lamp = `
account-id: acme
name: lamp
views:
  control:
    rules:
      - {request: brightness, storage: lamp.brightness}
      - {request: color, storage: lamp.color}
      - {request: scenes, storage: lamp.scenes}
  state:
    rules:
      - {request: brightness, storage: lamp.brightness, access: read}
storage:
  schema:
    lamp:
      schema:
        brightness: {type: int, min: 0, max: 100}
        color: string
        scenes: {type: array, values: string}
`

// openLamp opens an empty registry in memory.
func openLamp() (*registry.Registry, context.Context) {
	ctx := context.Background()
	schemas, err := registry.ParseSchemas([]byte(lamp))
	if err != nil {
		log.Fatal(err)
	}
	reg, err := registry.Open(ctx, "mem:", registry.Options{Schemas: schemas})
	if err != nil {
		log.Fatal(err)
	}
	return reg, ctx
}

// This program stores its data in a file and brings its own confdb-schema. Views are looked up in that schema, since
// it is the only one.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "lamp")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	schemas, err := registry.ParseSchemas([]byte(lamp))
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "state", "lamp.json")
	reg, err := registry.Open(ctx, "file:"+path, registry.Options{Schemas: schemas})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = reg.Close() }()
	fmt.Println(reg.View("control").ID())

	// Open makes no file; the first Set does.
	_, err = os.Stat(path)
	fmt.Println("there:", err == nil)
	if err := reg.View("control").Set(ctx, map[string]any{"brightness": 40}); err != nil {
		log.Fatal(err)
	}
	_, err = os.Stat(path)
	fmt.Println("there:", err == nil)
	// Output:
	// acme/lamp/control
	// there: false
	// there: true
}

// snapd has the confdb-schema from an acknowledged assertion. Views are named in full, or Options.Account and
// Options.Schema complete their names. The same program works inside a snap.
func ExampleOpen_auto() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, "auto", registry.Options{Account: "acme", Schema: "lamp"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = reg.Close() }()
	for _, candidate := range reg.Choice().Candidates {
		fmt.Println(candidate.Scheme, candidate.Taken, candidate.Reason)
	}
}

// ParseSchemas also reads JSON, a signed assertion, and a stream of assertions as `snap known` prints it.
func ExampleParseSchemas() {
	schemas, err := registry.ParseSchemas([]byte(lamp))
	if err != nil {
		log.Fatal(err)
	}
	for _, rule := range schemas[0].Views["state"].Rules {
		fmt.Println(schemas[0].Account, schemas[0].Name, rule.Request, "->", rule.Storage, rule.Access)
	}
	_, err = registry.ParseSchemas([]byte("name: lamp\nviews: {}\n\tstorage: {}\n"))
	fmt.Println(err)
	// Output:
	// acme lamp brightness -> lamp.brightness read
	// cannot read confdb-schema:3:1: it is not YAML: found character that cannot start any token; a tab does not indent: use spaces
}

// A program can build a confdb-schema in code.
func ExampleSchema() {
	ctx := context.Background()
	door := registry.Schema{
		Account: "acme", Name: "door",
		Views: map[string]registry.SchemaView{
			"control": {Rules: []registry.Rule{{Request: "locked", Storage: "door.locked"}}},
		},
		Storage: json.RawMessage(`{"schema": {"door": {"schema": {"locked": "bool"}}}}`),
	}
	reg, err := registry.Open(ctx, "mem:", registry.Options{Schemas: []registry.Schema{door}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = reg.Close() }()
	if err := reg.View("control").Set(ctx, map[string]any{"locked": true}); err != nil {
		log.Fatal(err)
	}
	values, err := reg.View("control").Get(ctx, "locked")
	fmt.Println(values, err)
	// Output: map[locked:true] <nil>
}

func ExampleView_Set() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	control := reg.View("control")
	// One transaction stores all values or none. nil unsets.
	if err := control.Set(ctx, map[string]any{"brightness": 40, "color": "red", "scenes": nil}); err != nil {
		log.Fatal(err)
	}
	text, err := control.Raw(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output: {"brightness":40,"color":"red"}
}

func ExampleView_Unset() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	control := reg.View("control")
	if err := control.Set(ctx, map[string]any{"brightness": 40}); err != nil {
		log.Fatal(err)
	}
	if err := control.Unset(ctx, "brightness", "color"); err != nil { // missing data is no error
		log.Fatal(err)
	}
	_, err := control.Get(ctx)
	fmt.Println(err)
	// Output: cannot get acme/lamp/control: no data
}

func ExampleView_Get() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	if err := reg.View("control").Set(ctx, map[string]any{"brightness": 40}); err != nil {
		log.Fatal(err)
	}
	// The result leaves out requests without data.
	values, err := reg.View("control").Get(ctx, "brightness", "color")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values)
	// Output: map[brightness:40]
}

func ExampleView_Read() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	if err := reg.View("control").Set(ctx, map[string]any{"brightness": 40}); err != nil {
		log.Fatal(err)
	}
	var settings struct {
		Brightness int    `json:"brightness"`
		Color      string `json:"color"`
	}
	if err := reg.View("control").Read(ctx, &settings); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", settings)
	// Output: {Brightness:40 Color:}
}

func ExampleView_Update() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	add := func(scene string) error {
		return reg.View("control").Update(ctx, []string{"scenes"}, func(current map[string]any) (map[string]any, error) {
			scenes, _ := current["scenes"].([]any) // nil if there are no scenes
			return map[string]any{"scenes": append(scenes, scene)}, nil
		})
	}
	if err := errors.Join(add("dinner"), add("night")); err != nil {
		log.Fatal(err)
	}
	values, err := reg.View("control").Get(ctx, "scenes")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values["scenes"])
	// Output: [dinner night]
}

func ExampleView_Watch() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()

	watching, stop := context.WithCancel(ctx)
	defer stop()
	events, err := reg.View("state").Watch(watching)
	if err != nil {
		log.Fatal(err)
	}
	// Any writer and any view cause the event.
	if err := reg.View("control").Set(ctx, map[string]any{"brightness": 40}); err != nil {
		log.Fatal(err)
	}
	for event := range events {
		if event.Err != nil {
			fmt.Println("interrupted, it goes on by itself:", event.Err)
			continue
		}
		values, err := reg.View("state").Get(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.View.View, "shows", values)
		stop() // ends the watch and the loop
	}
	// Output: state shows map[brightness:40]
}

// errors.Is tests for a kind, and errors.As gets the details.
func ExampleError() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	_, err := reg.View("control").Get(ctx, "color")
	fmt.Println(errors.Is(err, registry.ErrNoData))

	err = reg.View("control").Set(ctx, map[string]any{"brightness": 200})
	var refused *registry.Error
	if errors.Is(err, registry.ErrInvalid) && errors.As(err, &refused) {
		fmt.Printf("%s: %s\n", refused.Path, refused.Reason)
	}
	// Output:
	// true
	// lamp.brightness: 200 is greater than the allowed maximum 100
}

// A daemon waits for problems that time or an administrator can solve, and gives up on others.
func ExampleIsNotReady() {
	ctx := context.Background()
	_, err := registry.Open(ctx, "snapd:/nowhere/snapd.socket")
	fmt.Println(registry.IsNotReady(err))

	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	_, err = reg.View("nonsense").Get(ctx)
	fmt.Println(registry.IsNotReady(err))
	// Output:
	// true
	// false
}

// Apply writes through several views of one confdb-schema, in one transaction if the backend can.
func ExampleRegistry_Apply() {
	reg, ctx := openLamp()
	defer func() { _ = reg.Close() }()
	err := reg.Apply(ctx, registry.Changes{
		"control": {"brightness": 40},
		"state":   {"brightness": 50}, // a read-only view
	})
	fmt.Println(errors.Is(err, registry.ErrNoMatch))
	_, err = reg.View("control").Get(ctx)
	fmt.Println(errors.Is(err, registry.ErrNoData))
	// Output:
	// true
	// true
}
