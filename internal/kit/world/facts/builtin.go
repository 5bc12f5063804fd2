package facts

import (
	_ "embed"
	"fmt"
	"sync"
)

//go:embed builtin.json
var builtinDocument []byte

// builtin returns a copy, in our words, of the confdb-schema in snapd 2.77.1, system/validation-sets. No snap can be its custodian,
// because the account is system, so every access is refused. From snapd 2.78 on it can be read and written.
var builtin = sync.OnceValue(func() Schema {
	schema, err := ParseSchema(builtinDocument)
	if err != nil {
		panic(fmt.Sprintf("internal error: the built-in confdb-schema: %v", err))
	}
	return schema
})

// Builtin returns snapd's own confdb-schemas. Facts.Schemas returns the others.
func Builtin() []Schema { return []Schema{builtin()} }
