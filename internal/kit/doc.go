// Package kit is the map of the development kit for confdb: it checks, tries and tests confdb-schemas and snaps without
// a store account, a key, root or a virtual machine.
//
//	edit       changes of files as data, which mend what lint finds
//	lint       rules over documents and snaps, and their findings
//	editor     what an editor asks: diagnostics, completion, hover, references, rename
//	lsp        the Language Server Protocol around editor
//	calls      what the text of a hook asks snapctl for
//	scaffold   a new project: an example, around a configuration file, or for a snap that there is
//	keep       changes values in a configuration file and keeps all the rest
//	generate   code in Go and Python, and documentation, from a confdb-schema
//	world      the imitated machine: facts (what it has), changes (what happens on it), snapctl (what snaps ask for)
//	hookrun    runs hooks as snapd does, with a snapctl on PATH
//	snapfile   reads a snap: its file, its hooks, what its parts copy; knows which plugs and hooks for confdb snapd takes
//	source     other people's snaps as source: snapcraft.yaml or meta/snap.yaml, and their hooks
//	script     test scripts against a world, their reports, and which rules and hooks they use
//	assertion  assertions: parsed, and verified against keys that are named
//	rest       snapd's REST API over a world, on a socket
//
// Package internal/document, at the root, reads and writes confdb-schemas in their three forms, for the kit and for the
// registry alike.
//
// The command line is in roles/kitcmd. Nothing of the kit is used by the registry, its backends or its engine.
package kit
