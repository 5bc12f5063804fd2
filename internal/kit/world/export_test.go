package world

import "os"

// On returns options of a world that is stored by another function than durable.Write.
func (o Options) On(write func(path string, content []byte, mode os.FileMode) error) Options {
	o.write = write
	return o
}
