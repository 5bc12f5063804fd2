// Package nofolder keeps the program from making ~/.cache/goimports whenever it starts. The folder is made by the
// initialisation of golang.org/x/tools/internal/modindex, which echo-swagger brings along and nothing here uses: it gives
// up where there can be no such folder.
//
// Go initialises packages in the order of their import paths, as far as their imports allow. So this one, which must
// import nothing but os, comes before that one.
package nofolder

import "os"

const variable = "XDG_CACHE_HOME"

var before, was = os.LookupEnv(variable)

func init() { _ = os.Setenv(variable, os.DevNull) } // fails for malformed names only

// Over gives the environment back. main calls it first.
func Over() {
	if !was {
		_ = os.Unsetenv(variable)
		return
	}
	_ = os.Setenv(variable, before)
}
