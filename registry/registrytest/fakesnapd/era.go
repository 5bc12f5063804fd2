package fakesnapd

import (
	"fmt"
	"strings"
)

// An era is how snapd of one version speaks about shared configuration. It is written as a chain of what each release
// changed, on purpose unlike the table of package snapd: the two are to check each other.
type era struct {
	minor     int    // of 2.MINOR
	path      string // before {account}/{schema}/{view}
	flag      string
	assertion string
	noun      string // "confdb", "registry" or "aspect"
	keys      string // query parameter
	kind      string // of a write's change

	change      bool // a write is a change that does something
	readChange  bool // a read is a change
	dataKey     string
	errorKey    string
	wrapped     bool
	constraints bool
	queue       bool
	kinds       bool // errors have kinds
}

// eraOf reads the version as 2.MINOR; false is a snapd that knows nothing of the kind.
func eraOf(version string) (era, bool) {
	var major int
	e := era{}
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &e.minor); err != nil || major != 2 {
		e.minor = 77 // whatever it is called
	}
	if e.minor < 62 {
		return e, false
	}
	e.path, e.flag, e.assertion, e.noun = "/v2/aspects/", "aspects-configuration", "aspect-bundle", "aspect"
	e.keys, e.kind = "fields", "set-aspect"
	if e.minor >= 64 {
		e.path, e.flag, e.assertion, e.noun = "/v2/registry/", "registries", "registry", "registry"
		e.kind = "set-registry-view"
	}
	if e.minor >= 67 {
		e.kind, e.change = "modify-registry", true
	}
	if e.minor >= 68 {
		e.path, e.flag, e.assertion, e.noun = "/v2/confdb/", "confdbs", "confdb", "confdb"
		e.kind = "modify-confdb"
	}
	if e.minor >= 69 {
		e.flag, e.assertion, e.kind = "confdb", "confdb-schema", "set-confdb"
		e.readChange, e.dataKey, e.errorKey = true, "confdb-data", "confdb-error"
	}
	if e.minor >= 71 {
		e.keys, e.dataKey, e.errorKey, e.kinds = "keys", "values", "error", true
	}
	e.wrapped = e.minor >= 73
	e.constraints = e.minor >= 74
	e.queue = e.minor >= 76
	return e, true
}

// flagOff is the message about the feature that is off.
func (e era) flagOff() string {
	switch {
	case e.minor < 64:
		return "aspect-based configuration disabled"
	case e.minor < 69:
		return fmt.Sprintf("%q feature flag is disabled: set 'experimental.%s' to true", e.flag, e.flag)
	default:
		return fmt.Sprintf("feature flag %q is disabled: set 'experimental.%s' to true", e.flag, e.flag)
	}
}

// noSchema is the answer about a confdb-schema that is not acknowledged.
func (e era) noSchema(account, schema string) (status int, kind, message string) {
	switch {
	case e.minor < 67:
		return 500, "", fmt.Sprintf("cannot find %s %s/%s: assertion not found", e.noun, account, schema)
	case e.minor < 71:
		return 404, "", fmt.Sprintf("cannot find %s %s/%s: assertion not found", e.noun, account, schema)
	default:
		return 400, "assertion-not-found", fmt.Sprintf("%s (%s; account-id:%s) not found", e.assertion, schema, account)
	}
}

// noView is the answer about a view that the confdb-schema does not have.
func (e era) noView(account, schema, view string) (status int, kind, message string) {
	status, kind, noun := 404, "", e.noun
	switch {
	case e.minor >= 72:
		status, kind = 400, "option-not-available"
	case e.minor == 71:
		status, kind = 400, "confdb-view-not-found"
	}
	if e.minor >= 69 {
		noun = "confdb schema"
	}
	if e.minor < 64 {
		return status, kind, fmt.Sprintf("cannot find aspect %q in aspect bundle %s/%s", view, account, schema)
	}
	return status, kind, fmt.Sprintf("cannot find view %q in %s %s/%s", view, noun, account, schema)
}

// noMatch is the status and kind of a request without a rule.
func (e era) noMatch() (status int, kind string) {
	switch {
	case e.minor >= 72:
		return 400, "option-not-available"
	case e.minor == 71:
		return 400, "confdb-no-matching-rule"
	default:
		return 404, ""
	}
}

// noCustodian is the message where nobody answers for a view; "" where nobody has to.
func (e era) noCustodian(id, account, schema string, write bool) string {
	switch {
	case e.minor >= 76:
		verb := "read"
		if write {
			verb = "write"
		}
		return fmt.Sprintf("cannot %s confdb view %s: no custodian snap connected", verb, id)
	case e.minor >= 69 && write:
		return fmt.Sprintf("cannot commit changes to confdb made through view %s: no custodian snap installed", id)
	case e.minor >= 69:
		return fmt.Sprintf("cannot load confdb through view %s: no custodian snap connected", id)
	case e.minor >= 67 && write:
		return fmt.Sprintf("cannot commit changes to %s %s/%s: no custodian snap installed", e.noun, account, schema)
	default:
		return ""
	}
}

// words puts one of the engine's messages, which are those of 2.77, into the words of the era.
func (e era) words(message string) string {
	switch {
	case e.minor < 67:
		message = strings.TrimSuffix(message, "no data")
		if strings.HasSuffix(message, ": ") {
			message += "matching rules don't map to any values"
		}
		message = strings.Replace(message, " through confdb view ", " through ", 1)
		return strings.Replace(message, " through ", " in "+e.noun+" view ", 1)
	case e.minor < 69:
		if rest, found := strings.CutSuffix(message, ": no data"); found {
			return rest + ": no view data"
		}
	}
	return message
}
