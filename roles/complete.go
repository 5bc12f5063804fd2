package roles

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry/network"

	"github.com/urfave/cli/v2"
)

const (
	completionCommand = "completion"
	// completeCommand is what the completion scripts call: program, this, "--", the words up to the cursor.
	completeCommand = "__complete"
)

// completion describes the command that prints completion scripts.
func (f *frame) completion() *cli.Command {
	return &cli.Command{
		Name: completionCommand, Usage: "print the completion script of a shell", ArgsUsage: "bash|zsh|fish",
		Description: "Prints a script that teaches a shell to complete this program's commands, flags and their values, under " +
			"all names that the program has. The script asks the program itself, so it never has to be printed anew.",
		UsageText: "source <(aspects-poc completion bash)\n" +
			"aspects-poc completion zsh > \"${fpath[1]}/_aspects-poc\"\n" +
			"aspects-poc completion fish > ~/.config/fish/completions/aspects-poc.fish",
		Action: func(c *cli.Context) error {
			scripts := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}
			script, ok := scripts[c.Args().First()]
			if !ok || c.NArg() != 1 {
				return Usagef("want one of bash, zsh and fish")
			}
			_, err := fmt.Fprint(f.env.Stdout, strings.ReplaceAll(script, "@NAMES@", strings.Join(programs(f.list), " ")))
			return err
		},
	}
}

// candidates describes the command behind the scripts. It prints what may stand in the place of the last word, one a
// line, with a tab and a description where there is one.
func (f *frame) candidates(root *cli.Command) *cli.Command {
	return &cli.Command{
		Name: completeCommand, Hidden: true, SkipFlagParsing: true, Usage: "print candidates for completion",
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) > 0 && words[0] == "--" {
				words = words[1:]
			}
			for _, e := range f.candidatesFor(root, words) {
				line := e.left
				if e.right != "" {
					line += "\t" + e.right
				}
				if _, err := fmt.Fprintln(f.env.Stdout, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// candidatesFor lists what the last of the words may become, given those before it.
func (f *frame) candidatesFor(c *cli.Command, words []string) []entry {
	if len(words) == 0 {
		words = []string{""}
	}
	current := words[len(words)-1]
	positionals := 0
	var open cli.Flag // a flag whose value comes next
	for _, word := range words[:len(words)-1] {
		switch {
		case open != nil:
			open = nil
		case len(word) > 1 && word[0] == '-':
			name, _, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if found := findFlag(c, name); found != nil && !isSwitch(found) && !hasValue {
				open = found
			}
		default:
			below := c.Command(word)
			switch {
			case below != nil && positionals == 0:
				c = below
			case word == helpWord && len(c.Subcommands) > 0 && positionals == 0: // the command that help is wanted of
			default:
				positionals++
			}
		}
	}
	var list []entry
	name, _, assigns := strings.Cut(current, "=")
	switch {
	case open != nil:
		list = values(open)
	case strings.HasPrefix(current, "-") && assigns:
		if found := findFlag(c, strings.TrimLeft(name, "-")); found != nil {
			for _, e := range values(found) {
				list = append(list, entry{name + "=" + e.left, e.right})
			}
		}
	case strings.HasPrefix(current, "-"):
		for _, flag := range c.Flags {
			if e, ok := f.describeFlag(c, flag); ok {
				_, usage := placeholder(flag.(cli.DocGenerationFlag).GetUsage())
				long, _, _ := strings.Cut(e.left, ",")
				long, _, _ = strings.Cut(long, " ")
				list = append(list, entry{long, usage})
			}
		}
		list = append(list, entry{"--help", "print help"})
	case len(c.Subcommands) > 0:
		for _, sub := range c.Subcommands {
			if !sub.Hidden {
				list = append(list, entry{sub.Name, sub.Usage})
			}
		}
	case positionals == 0:
		list = firstArgument(c)
	}
	return slices.DeleteFunc(list, func(e entry) bool { return !strings.HasPrefix(e.left, current) })
}

// values lists what a flag takes, where that is known.
func values(flag cli.Flag) []entry {
	if flag.Names()[0] == flagRegistry {
		return []entry{
			{"auto", "what is there: snapctl, snapd, or a file"}, {"snapd:", "snapd's REST API"},
			{"snapctl:", "the plugs of a snap"}, {"file:", "embedded engine, in a file"}, {"mem:", "embedded engine, in memory"},
		}
	}
	doc, ok := flag.(cli.DocGenerationFlag)
	if !ok {
		return nil
	}
	word, _ := placeholder(doc.GetUsage())
	return choices(word)
}

func firstArgument(c *cli.Command) []entry {
	first, _, _ := strings.Cut(c.ArgsUsage, " ")
	if first != "VIEW" {
		return choices(first)
	}
	var list []entry
	for _, view := range views() {
		list = append(list, entry{left: view.name, right: view.Summary})
	}
	return list
}

type view struct {
	name    string
	Summary string `json:"summary"`
}

// views lists the views of our own confdb-schema. Those of others could only be asked from an open registry, too slow
// for a key press.
func views() []view {
	var headers struct {
		Views map[string]view `json:"views"`
	}
	if err := json.Unmarshal(network.Document(""), &headers); err != nil {
		return nil
	}
	var list []view
	for _, name := range slices.Sorted(maps.Keys(headers.Views)) {
		list = append(list, view{name, headers.Views[name].Summary})
	}
	return list
}

// choices takes a|b|c apart.
func choices(word string) []entry {
	if !strings.Contains(word, "|") {
		return nil
	}
	var list []entry
	for choice := range strings.SplitSeq(word, "|") {
		list = append(list, entry{left: choice})
	}
	return list
}

const bashScript = `# bash completion of aspects-poc
_aspects_poc() {
    local line word before
    # bash breaks words at = and : too; put them together again.
    local words=() index
    for ((index = 1; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        before=${COMP_WORDS[index - 1]}
        if ((${#words[@]} > 0)) && { [[ $word == [=:]* ]] || [[ $before == *[=:] && $before != *' '* ]]; }; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
    done
    local current=${words[${#words[@]} - 1]} prefix=""
    # What stands in front of the last break is on the command line already.
    if [[ $current == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]]; then
        prefix=${current%"${current##*[=:]}"}
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        COMPREPLY+=("${line#"$prefix"}")
    done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _aspects_poc @NAMES@
`

const zshScript = `#compdef @NAMES@
# zsh completion of aspects-poc
_aspects_poc() {
    local -a candidates
    local line
    while IFS= read -r line; do
        # In _describe's language a colon separates the word from its description.
        candidates+=("${${line%%$'\t'*}//:/\\:}${${(M)line:#*$'\t'*}:+:${line#*$'\t'}}")
    done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#candidates} )); then
        _describe 'aspects-poc' candidates
    else
        _files
    fi
}
if [[ $funcstack[1] == _aspects-poc ]]; then
    _aspects_poc "$@"
else
    compdef _aspects_poc @NAMES@
fi
`

const fishScript = `# fish completion of aspects-poc
function __aspects_poc_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l candidates ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    if set -q candidates[1]
        printf '%s\\n' $candidates
    else
        __fish_complete_path "$current"
    end
end
for name in @NAMES@
    complete -c $name -e
    complete -c $name -f -a '(__aspects_poc_complete)'
end
`
