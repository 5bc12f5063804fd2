package lint

import "slices"

// A Rule is a kind of finding.
type Rule struct {
	Code    string
	Level   Level
	Summary string // the fault, in one sentence
	Help    string // what to do about it
	Off     bool   // reported only if Options.Enable has it
}

// Rules returns all rules, in the order of the documentation.
func Rules() []Rule { return slices.Clone(rules) }

func ruleOf(code string) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Code == code })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

var rules = []Rule{
	{"unreadable", Error, "a file cannot be read as YAML, JSON or an assertion", "", false},

	// What snapd 2.77 refuses.
	{"header", Error, "snapd refuses a header of the assertion", "", false},
	{"body", Error, "snapd refuses the body: it is missing, is no JSON, or does not have the layout that a signed body needs", "", false},
	{"signature", Error, "an assertion is not signed", "", false},
	{"storage", Error, "snapd refuses the storage schema", "", false},
	{"view", Error, "snapd refuses a view", "", false},
	{"placeholder-unquoted", Warning, "a request or storage path is a placeholder without quotes, which YAML reads as a map", `put it in quotes: "{name}"`, false},
	{"alias-alternatives", Error, "an alias that stands for alternative types is at the end of a storage path: snapd calls it an internal error",
		"write the list of alternatives where the alias is used", false},
	{"map-keys-crash", Error, "a path goes below a map that has keys but no values: snapd crashes", `give the map "values", such as "any"`, false},

	// What is regretted: the document.
	{"body-layout", Warning, "snap sign before 2.70 refuses a body that is not indented by two spaces with sorted keys",
		"registry build writes the layout that every snapd takes", true},
	{"placeholder", Note, "a header, or the account of a plug, is a placeholder",
		"give the flag to registry build; lint, test and dev take --account-id too", false},
	{"duplicate-key", Warning, "a map has a key twice, and only the last one counts", "remove one of them", false},
	{"unknown-key", Warning, "snapd ignores a key that it does not know, such as a misspelt one", "correct the spelling, or remove the key", false},
	{"number-inexact", Warning, "snapd stores numbers as 64-bit floats, which cannot hold this one exactly", "", false},
	{"other-account", Error, "the document or a plug names another account than the one that signs", "", false},
	{"view-name", Note, "a view's name does not say whether it can write",
		"by convention …-admin and control-… can write, …-state and observe-… only read", false},
	{"version-prefix", Warning, "storage paths have no version, so a new layout cannot live beside the old one",
		"put all entries below one such as v1; views hide it from snaps", false},
	{"rule-twice", Warning, "two rules of a view say the same", "remove one of them", false},
	{"rule-unusable", Warning, "no value can ever pass through a rule", "", false},
	{"alternatives-path", Warning, "a path goes into alternative types of which one cannot follow it: snapd refuses every access",
		"make the alternatives alike, or end the path before them", false},
	{"never-written", Warning, "a rule reads a storage path that no rule of any view can write", "add a rule that writes it, for the custodian", false},
	{"never-read", Note, "a rule writes a storage path that no rule of any view can read, not even for the custodian", "", false},
	{"storage-unreached", Warning, "no rule leads to an entry of the storage schema", "", false},
	{"alias-unused", Note, "nothing uses an alias", "", false},
	{"secret-readable", Warning, "a rule reads a secret: root sees it, and so does everyone who may see root's changes",
		"let rules for secrets only write, and have the custodian read them through a view of its own that no other snap has a plug for", false},
	{"secret-unmarked", Warning, "an entry is named like a secret, but every user can read it", `mark it with "visibility": "secret"`, false},
	{"secret-in-list", Warning, "when an ordinary user reads one element of a list with secrets, snapd may answer with another element",
		"use a map with keys instead of a list", false},
	{"required-first-write", Warning, "no single request sets all required keys, so the first write is always refused",
		"add a rule for the map as a whole, or rules whose requests share a prefix", false},
	{"required-empty", Warning, `"required" without keys demands nothing`, "", false},
	{"bound-null", Warning, "null as a bound means 0", "leave it out", false},
	{"pattern-unanchored", Warning, "a pattern may match anywhere in a text", "begin it with ^ and end it with $", false},
	{"content-renamed", Warning, "the request and the storage path of a content rule end in different names: a value written to its parent under the storage name is lost",
		"give request and storage the same name", false},
	{"content-parent", Warning, "a rule with content reads all that it stores, not only what its content lists",
		"give each entry that may be read a rule of its own, without content", false},
	{"content-random", Warning, "chance decides whether a value for a common prefix of this rule and others is accepted",
		"write to the rule itself, or replace it by rules without content", false},
	{"entries-unset", Warning, "a value in which one entry lacks a field unsets the field in all other entries too",
		"write entries one by one, or make the rule end at the entry", false},
	{"list-long", Warning, "a list of eleven or more new elements cannot be written at once", "add a rule for the list as a whole and write that", false},
	{"list-parts", Warning, "a write to some fields of an element may end up in the element behind it", "write elements as a whole, or use a map", false},
	{"any-null-crash", Note, `snapd crashes on a write below a list element under "any" that is null`, "give the list a type", false},
	{"unset-unnoticed", Note, "snapd runs no observe-view hook of a view when all its entries are unset at once", "", false},
	{"presence-unchecked", Note, "snapd asks for required parameters on reads only", "", false},
	{"placeholder-twice", Warning, "a storage path uses a placeholder twice: a read without a value for it mixes entries", "", false},

	// Against what is published.
	{"revision-not-raised", Error, "the content differs, and the revision is not higher: snapd ignores the new content", "raise the revision", false},
	{"other-schema", Error, "the published copy is another confdb-schema", "", false},
	{"timestamp-older", Warning, "the timestamp is older than that of the published copy", "", false},
	{"view-removed", Error, "a published view is gone: its plugs fail", "keep it beside the new one", false},
	{"request-removed", Error, "a request that a published view answered is gone", "keep a rule for it", false},
	{"access-narrowed", Error, "a request of a published view can no longer be read, or written", "", false},
	{"storage-moved", Warning, "a request has another storage path: data at the old path can no longer be read", "have the custodian move the data", false},
	{"type-removed", Error, "an entry of the storage schema is gone: where there is data in it, every later write is refused",
		"leave it, and take it out of the views", false},
	{"type-narrowed", Error, "a type accepts less than before: where stored data no longer fits, every later write is refused",
		"add an entry with the new type", false},
	{"ephemeral-changed", Error, "an entry was ephemeral and is stored now, or the other way round", "", false},
	{"visibility-changed", Warning, "a secret is no longer secret, or an entry that ordinary users could read is secret now", "", false},

	// Snaps.
	{"plug", Error, "snapd refuses a plug", "", false},
	{"plug-view", Error, "a plug names a view that the confdb-schema does not have", "", false},
	{"plug-schema", Warning, "a plug names view and confdb-schema in the wrong order", "write SCHEMA/VIEW", false},
	{"plug-name", Note, "a plug is named neither SCHEMA-VIEW nor like its view, and its hooks have the plug's name", "", false},
	{"plug-twice", Warning, "two plugs of a snap are for the same view: which one gets the hooks is not defined", "", false},
	{"plug-interface", Warning, "a plug has the attributes of a confdb plug and another interface: snapd 2.67 was the last with the interface registry", "use the interface confdb", false},
	{"schema-missing", Note, "the file of a plug's confdb-schema is not named: lint does not check the plug's view, or the requests of its hooks",
		"name its file, too: registry lint SCHEMA.yaml SNAP", false},
	{"snap-name", Error, "snapd refuses the name of a snap", "", false},
	{"no-custodian", Warning, "a view has no custodian among the snaps: without a connected one every access to it fails", "", false},
	{"custodians", Note, "a view has several custodians: their hooks run in the order of the snaps' names", "", false},
	{"ephemeral-hook", Warning, "a view has ephemeral data, but its custodians lack the hook that saves, or loads, it: it cannot be written, or read", "", false},
	{"view-unusable", Error, "snapd refuses every access to a view: it has ephemeral data only, and its custodians lack the hooks for that",
		"add a save-view hook, a load-view hook, or both", false},
	{"hook-plug", Warning, "a hook is named after a plug that the snap does not have, or that is not for confdb: it never runs", "", false},
	{"hook-alone", Error, "snapd refuses a snap with the hook default-configure that has no hook configure", "add the hook configure, which may do nothing", false},
	{"hook-never-runs", Warning, "snapd never runs a hook", "", false},
	{"hook-not-executable", Error, "a hook cannot be executed", "chmod +x", false},
	{"hook-interpreter", Error, "the first line of a script names no interpreter, or one that the system does not have",
		"begin it with a line such as #!/bin/sh", false},
	{"hook-syntax", Error, "the shell refuses a hook", "", false},
	{"hook-folder", Error, "a folder has the name of a hook", "make the hook a file, and give the folder another name", false},
	{"hook-deadlock", Error, "a hook reads or writes a view that needs another hook of the same snap: snapctl waits for two minutes, then fails",
		"do it in a service that the hook restarts", false},
	{"hook-view-value", Error, "snapctl refuses a value of --view, which is a flag without one", "write --view :PLUG", false},
	{"hook-connect", Warning, "a hook uses confdb where its plug may not be connected yet", "do it in a service that the hook restarts", false},
	{"hook-connecting", Note, "a connect-plug hook uses confdb: it fails where no custodian of the view is connected before, and Canonical's guide advises against it",
		"do it in a service that the hook restarts", false},
	{"hook-cannot-write", Error, "snapd refuses writes in a hook", "", false},
	{"hook-no-rule", Error, "a hook reads or writes a request that no rule of the view allows: snapd refuses it", "correct the spelling, or use a plug for another view of the confdb-schema", false},
	{"hook-no-row", Warning, "a request that can be written has no row in the hooks' table that registry new wrote: a write reaches confdb, but not the file",
		"add a row", false},
	{"hook-no-way", Warning, "a load-view hook has no plug whose view it can write, or a save-view hook has no plug whose view it can read",
		"give the snap a plug for such a view", false},
	{"hook-fail-words", Warning, "snapctl fail takes one word as the reason, and silently drops the others", "quote the reason", false},
	{"hook-fail-exit", Warning, "a hook ends with an error after snapctl fail: the caller gets the hook's output or exit status, not the reason",
		"exit with 0 after snapctl fail", false},
	{"hook-missing", Error, "a hook is declared and the snap has no file for it: the hook fails when snapd runs it", "add the file, or do not declare the hook", false},
	{"hook-stub", Warning, "a hook is declared and has no file: snapcraft makes an empty one", "add the file in snap/hooks, or do not declare the hook", false},
	{"program-missing", Error, "an app's command, or a command-chain, names a file that the snap does not have: snapcraft or snapd refuses the snap, or the app fails when it runs",
		"add the file to a part with the plugin dump, or correct the name", false},
	{"program-not-executable", Error, "an app's command, or a command-chain, names a file that cannot be executed: snapcraft or snapd refuses the snap, or the app fails when it runs", "chmod +x", false},
	{"hook-cannot-fail", Error, "snapctl fail works in change-view hooks only", "exit with an error instead", false},
	{"hook-previous", Error, "--previous works in save-view, change-view and observe-view hooks only", "", false},
	{"hook-last-write", Warning, "a change-view hook writes several times, and only the last write counts", "write all values with one snapctl set", false},
	{"hook-colon", Warning, "--view without a colon reads the snap's own configuration instead", "write --view :PLUG", false},
	{"hook-attribute", Error, "snapctl with a plug and without --view is for the plug's attributes, which a hook like this cannot use", "write --view :PLUG", false},
	{"hook-unknown-plug", Error, "a hook uses a plug that the snap does not have, or that is not for confdb", "", false},

	{"more", Note, "there are more findings than are shown", "", false},
}
