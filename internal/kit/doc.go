// Package kit is the map of the development kit for confdb. The kit checks, runs and tests confdb-schemas and snaps without
// a store account, a key, root or a virtual machine.
//
//	edit       changes of files as data: the fixes for lint's findings
//	lint       rules over documents and snaps, and their findings
//	editor     answers to an editor: diagnostics, completion, hover, references, rename
//	lsp        the Language Server Protocol around editor
//	calls      the calls of snapctl in the text of a hook
//	scaffold   a new project: an example, around a configuration file, or for an existing snap
//	keep       changes values in a configuration file and nothing else
//	generate   code in Go and Python, and documentation, from a confdb-schema
//	world      the imitated machine: facts (its state), changes (the acts on it), snapctl (the answers to snapctl)
//	hookrun    runs hooks as snapd does, with a snapctl on PATH
//	snapfile   reads a snap: its file, its hooks, the files that its parts copy; snapd's rules for confdb plugs and hooks
//	source     prepares a user's snap to run from its source: snapcraft.yaml or meta/snap.yaml, and hooks
//	script     test scripts against a world, their reports, and which rules and hooks they use
//	assertion  assertions: parsed, and verified with given keys
//	rest       snapd's REST API over a world, on a socket
//
// Package internal/document, at the root, reads and writes confdb-schemas in their three forms, for the kit and for the
// registry alike.
//
// The command line is in roles/kitcmd. Nothing of the kit is used by the registry, its backends or its engine.
package kit
