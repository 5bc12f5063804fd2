// Package nofolder prevents that the program creates ~/.cache/goimports at its start. The initialisation of
// golang.org/x/tools/internal/modindex, which echo-swagger imports, creates it in the folder of a variable. So this package sets the
// variable to an impossible folder, and Over restores it.
//
// Go initialises packages in the order of their import paths as far as imports allow. This package imports only os,
// so it comes first.
package nofolder

import "os"

const variable = "XDG_CACHE_HOME"

var before, was = os.LookupEnv(variable)

func init() { _ = os.Setenv(variable, os.DevNull) } // fails only for malformed names

// Over restores the variable. main calls it first.
func Over() {
	if !was {
		_ = os.Unsetenv(variable)
		return
	}
	_ = os.Setenv(variable, before)
}
