package calls

import (
	"maps"
	"slices"
	"strconv"

	"aspects-poc/internal/document"
)

// The statements of a script, whatever its language. An evaluator follows them.
type (
	statement any

	// run is a command line. The first word is the command's name.
	run struct {
		words func(*state) []word
		at    document.Position
	}
	// call is a call of a function in a program.
	call struct {
		name string
		args func(*state) arguments
		at   document.Position
	}
	// branch runs one of its arms.
	branch struct {
		arms [][]statement
		pick func(*state) int // the arm that the hook's name chooses; nil means anyArm
	}
	// loop runs its body once for each item, or an unknown number of times.
	loop struct {
		name  string
		items func(*state) []word // nil: a loop with a condition
		body  []statement
	}
	// define defines a function.
	define struct {
		name       string
		parameters []parameter // nil for a function of a shell
		body       []statement
		called     bool
	}
	// assign gives a variable a value.
	assign struct {
		name  string
		value func(*state) value
		more  bool // the value is appended to the present one
	}
	// leave ends a loop, a function or the script.
	leave struct {
		what   flow
		failed func(*state) bool // reports whether the script ends with a status other than 0
	}
	// afterFailure is a place that is reached only if the command before has failed. Then its writes do not count.
	afterFailure struct{}
	// inner runs in a process of its own. A leave in it ends only that process.
	inner struct{ body []statement }
	// embedded is a script inside the text of another one.
	embedded struct {
		language language
		text     func(*state) string
		at       document.Position
	}
)

type parameter struct {
	name     string
	fallback func(*state) value // nil for none
	rest     bool               // takes all further arguments
}

type arguments struct {
	positional []value
	named      map[string]value
}

// A value is the value of a variable: a text, or a list of texts.
type value struct {
	words []word
	list  bool
}

// A word is one argument of a command.
type word struct {
	text   string // unknown stands for parts that are only known at run time
	splits bool   // the shell may split it into several words
	many   bool   // it stands for any number of words
	at     document.Position
	given  bool // at is the place of the call that passed it to a function
	own    bool // it depends on the hook's name
}

const unknown = "\x00"

// Limits of a value: a script may double a value in each line.
const (
	maxText  = 4096
	maxWords = 1000
)

// bounded returns a value within the limits. Parts that are too large become unknown.
func (v value) bounded() value {
	if len(v.words) > maxWords {
		return value{words: []word{{text: unknown, many: true, splits: true, own: owned(v.words)}}, list: true}
	}
	for i, w := range v.words {
		if len(w.text) > maxText {
			v.words = slices.Clone(v.words)
			v.words[i].text = unknown
		}
	}
	return v
}

// A state is what is known when one way through the script has reached a place.
type state struct {
	variables map[string]value
	written   bool            // a write through a view may have run
	failed    []*Call         // calls of snapctl fail since the last end of a function or script
	asked     map[string]bool // plugs for which is-connected has run
	own       bool            // the hook's name chose the way to this place
	doubt     bool            // whether this place is reached depends on the hook's name in an unknown way
}

func newState() *state { return &state{variables: map[string]value{}, asked: map[string]bool{}} }

func (s *state) copy() *state {
	c := *s
	c.variables, c.failed, c.asked = maps.Clone(s.variables), slices.Clone(s.failed), maps.Clone(s.asked)
	return &c
}

// join makes the state of a place to which several ways lead. Variables that differ become unknown.
func (s *state) join(ways []*state) {
	first := ways[0]
	own := s.own
	*s = *first
	s.own = own
	for _, other := range ways[1:] {
		s.doubt = s.doubt || other.doubt
		s.add(other)
		for name, v := range other.variables {
			if mine, ok := s.variables[name]; !ok || !same(mine, v) {
				s.variables[name] = value{words: []word{{text: unknown, many: v.list, splits: true, own: owned(v.words) || owned(mine.words)}}}
			}
		}
		for name, v := range s.variables {
			if _, ok := other.variables[name]; !ok {
				s.variables[name] = value{words: []word{{text: unknown, many: v.list, splits: true, own: owned(v.words)}}}
			}
		}
	}
}

// add adds the calls on another way to the same place.
func (s *state) add(other *state) {
	s.written = s.written || other.written
	maps.Copy(s.asked, other.asked)
	for _, c := range other.failed {
		if !slices.Contains(s.failed, c) {
			s.failed = append(s.failed, c)
		}
	}
}

func same(a, b value) bool {
	return a.list == b.list && slices.EqualFunc(a.words, b.words, func(a, b word) bool {
		return a.text == b.text && a.splits == b.splits && a.many == b.many
	})
}

// flow is how a sequence of statements ends.
type flow int

const (
	on     flow = iota
	jump        // leaves the round of a loop
	back        // leaves a function
	ending      // leaves the script
)

// An evaluator follows a script and records the calls of snapctl.
type evaluator struct {
	functions map[string]*define
	found     []*Call
	named     bool     // the script may read the path that it is run by
	loose     bool     // branches are not read, so Call.Again is not set
	jumps     []*state // states at the places that leave a round of the loop
	backs     []*state // states at the places that leave the function
	done      bool     // after a write, the loop or more was left
	depth     int
	steps     int
}

// Limits of an evaluation. The evaluator follows no more of a script.
const (
	maxDepth = 12
	maxSteps = 20000
	maxItems = 16
)

// script follows a whole script that begins in the state outside, and then those of its functions that it does not call.
func (e *evaluator) script(outside *state, in language, text string, base document.Position) {
	if e.depth >= maxDepth {
		return
	}
	e.depth++
	defer func() { e.depth-- }()
	outer, loose := e.functions, e.loose
	e.functions, e.loose = map[string]*define{}, loose || in == braces
	var body []statement
	if in == shell {
		body = readShell(text, base)
	} else {
		body = readCode(text, in, base)
	}
	e.declare(body)
	s := outside.copy()
	for len(body) > 0 { // follows also the statements behind an exit
		var end flow
		end, body = e.sequence(s, body)
		if end != on && len(body) > 0 {
			s.written, s.failed = false, nil
		}
	}
	outside.written, outside.failed, outside.asked = s.written, s.failed, s.asked
	for _, name := range slices.Sorted(maps.Keys(e.functions)) {
		if f := e.functions[name]; !f.called {
			apart := s.copy()
			apart.written, apart.failed = false, nil
			apart.doubt = e.named // the script may call a function that is named after the hook
			e.function(apart, f, arguments{}, false, document.Position{})
		}
	}
	e.functions, e.loose = outer, loose
}

// declare records the functions of a script. A function may be called before its definition runs.
func (e *evaluator) declare(body []statement) {
	for _, s := range body {
		switch s := s.(type) {
		case *define:
			e.functions[s.name] = s
			e.declare(s.body)
		case branch:
			for _, arm := range s.arms {
				e.declare(arm)
			}
		case loop:
			e.declare(s.body)
		case inner:
			e.declare(s.body)
		}
	}
}

// sequence follows statements up to one that leaves, and returns the statements behind it.
func (e *evaluator) sequence(s *state, body []statement) (flow, []statement) {
	for i, one := range body {
		if e.steps++; e.steps > maxSteps {
			return on, nil
		}
		if end := e.statement(s, one); end != on {
			return end, body[i+1:]
		}
	}
	return on, nil
}

func (e *evaluator) statement(s *state, one statement) flow {
	switch one := one.(type) {
	case run:
		return e.command(s, one.words(s), one.at)
	case call:
		return e.use(s, one)
	case branch:
		return e.branch(s, one)
	case loop:
		return e.loop(s, one)
	case inner:
		if end, _ := e.sequence(s, one.body); end != ending {
			return on
		}
	case embedded:
		e.script(s, one.language, one.text(s), one.at)
	case assign:
		v := one.value(s)
		if one.more {
			old := s.variables[one.name]
			v = value{words: append(slices.Clone(old.words), v.words...), list: true}
		}
		s.variables[one.name] = s.assigned(v.bounded())
	case afterFailure:
		s.written, s.failed = false, nil
	case leave:
		e.done = e.done || s.written && one.what != on
		if one.what == ending {
			if one.failed != nil && one.failed(s) {
				for _, c := range s.failed {
					c.Exits = true
				}
			}
			s.failed = nil
		}
		if one.what == jump {
			e.jumps = append(e.jumps, s.copy())
		}
		if one.what == back {
			e.backs = append(e.backs, s.copy())
		}
		return one.what
	}
	return on
}

// branch follows each arm of a branch, and joins the states behind the arms.
func (e *evaluator) branch(s *state, b branch) flow {
	var ways []*state
	end := ending
	before, own, doubt := s.failed, s.own, s.doubt
	pick := anyArm
	if b.pick != nil {
		pick = b.pick(s)
	}
	for i, arm := range b.arms {
		way := s.copy()
		way.own = own || pick != anyArm
		way.doubt = doubt || pick == doubtfulArm || pick >= 0 && i != pick
		way.failed = nil // an exit in the arm says nothing about a fail before the branch
		jumps, backs, done := e.jumps, e.backs, e.done
		left, _ := e.sequence(way, arm)
		if pick >= 0 && i != pick {
			e.jumps, e.backs, e.done = jumps, backs, done
			continue
		}
		if pick == doubtfulArm {
			way.doubt = doubt
		}
		if left == on {
			ways = append(ways, way)
		}
		end = min(end, left)
	}
	if len(ways) > 0 {
		s.join(ways)
	}
	if pick == doubtfulArm && len(ways) < len(b.arms) || pick >= 0 && end == ending {
		s.doubt = true // for the statements behind the branch
	}
	s.failed = append(before, s.failed...)
	return end
}

// loop follows a body once for each item, or twice if the items are not known.
func (e *evaluator) loop(s *state, l loop) flow {
	rounds := []word{{text: unknown, splits: true}}
	if l.items != nil {
		rounds = l.items(s)
		if len(rounds) > maxItems || len(rounds) == 0 || slices.ContainsFunc(rounds, func(w word) bool { return w.many || w.splits }) {
			rounds = []word{{text: unknown, splits: true}, {text: unknown, splits: true}}
		}
	}
	ways := []*state{s.copy()}
	way := s.copy()
	before := s.failed
	ways[0].failed, way.failed = nil, nil
	outer, done := e.jumps, e.done
	e.jumps = nil
	for _, item := range rounds {
		if l.name != "" {
			way.variables[l.name] = value{words: []word{item}}
		}
		e.done = false
		end, _ := e.sequence(way, l.body)
		if e.done && !s.written {
			way.written = false // the loop left after a write, so another round means that the write has failed
		}
		done = done || e.done
		if end != on {
			break
		}
		ways = append(ways, way.copy())
	}
	s.join(append(ways, e.jumps...))
	s.failed = append(before, s.failed...)
	e.jumps, e.done = outer, done
	return on
}

// function follows the body of a function. known reports whether args are the arguments of a call at a place; otherwise they are
// unknown.
func (e *evaluator) function(s *state, f *define, args arguments, known bool, at document.Position) flow {
	if e.depth >= maxDepth {
		return on
	}
	e.depth++
	defer func() { e.depth-- }()
	f.called = true
	inside := s.copy()
	bind(inside, f, args, known, at)
	done, backs := e.done, e.backs
	e.backs = nil
	end, _ := e.sequence(inside, f.body)
	if end != ending {
		e.done = done
	}
	for _, way := range e.backs {
		inside.add(way)
	}
	e.backs = backs
	s.written, s.failed, s.doubt, s.asked = inside.written, inside.failed, inside.doubt, inside.asked
	if f.parameters == nil { // functions of a shell share its variables, except for the arguments
		for name, v := range inside.variables {
			if _, err := strconv.Atoi(name); err != nil && name != "@" && name != "*" {
				s.variables[name] = v
			}
		}
	}
	if end == ending {
		return ending
	}
	return on
}

// bind assigns the arguments of a call to the parameters of a function.
func bind(s *state, f *define, args arguments, known bool, at document.Position) {
	given := func(words []word) []word {
		words = slices.Clone(words)
		for i := range words {
			if !words[i].given {
				words[i].given, words[i].at = true, at
			}
		}
		return words
	}
	open := []word{{text: unknown}}
	rest := []word{{text: unknown, many: true, splits: true}}
	if f.parameters == nil {
		words := rest
		if known {
			words = given(flat(args.positional))
		}
		for i := 1; i < 10; i++ {
			v := value{words: open}
			if known {
				if v.words = nil; i <= len(words) && !slices.ContainsFunc(words[:i], func(w word) bool { return w.many }) {
					v.words = words[i-1 : i]
				} else if slices.ContainsFunc(words, func(w word) bool { return w.many }) {
					v.words = open
				}
			}
			s.variables[strconv.Itoa(i)] = v
		}
		s.variables["@"], s.variables["*"] = value{words: words, list: true}, value{words: words, list: true}
		return
	}
	positional := args.positional
	for _, p := range f.parameters {
		v := value{words: open}
		switch named, ok := args.named[p.name]; {
		case p.rest && known:
			v, positional = value{words: given(flat(positional)), list: true}, nil
		case p.rest:
			v = value{words: rest, list: true}
		case ok:
			v = value{words: given(named.words), list: named.list}
		case len(positional) > 0 && (positional[0].list || !slices.ContainsFunc(positional[0].words, func(w word) bool { return w.many })):
			v, positional = value{words: given(positional[0].words), list: positional[0].list}, positional[1:]
		case p.fallback != nil:
			v = p.fallback(s)
		}
		s.variables[p.name] = v
	}
}

func flat(values []value) []word {
	var words []word
	for _, v := range values {
		words = append(words, v.words...)
	}
	return words
}
