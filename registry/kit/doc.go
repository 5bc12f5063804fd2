// Package kit is the map of the development kit: what it takes to write confdb-schemas and the snaps around them without
// a store account, a key, root or a machine with snapd.
//
//	document   a confdb-schema as YAML, as JSON for snap sign or as an assertion: one tree that knows its positions
//	lint       what snapd would refuse of a document, what people regret, and what its snaps get wrong
//	scaffold   a small project that works, to begin with
//
// The engine is package confdb's. Nothing outside of the kit but the registry command imports it.
package kit
