package roles

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const (
	completionCommand = "completion"
	// completeCommand is the command of the completion scripts: PROGRAM __complete -- WORD…, up to the cursor.
	completeCommand = "__complete"
)

// completion returns the command that prints completion scripts.
func (f *frame) completion() *cli.Command {
	return &cli.Command{
		Name: completionCommand, Usage: "print the completion script of a shell", ArgsUsage: "bash|zsh|fish",
		Description: "Prints a script with which a shell completes this program's commands, flags and values, under " +
			"all names of the program. The script asks the program for the completions, so it stays right after " +
			"an update.",
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

// candidates returns the command that the scripts call. It prints the candidates for the last word, one a line; a tab
// and a description may follow.
func (f *frame) candidates(root *cli.Command) *cli.Command {
	return &cli.Command{
		Name: completeCommand, Hidden: true, SkipFlagParsing: true, Usage: "print candidates for completion",
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) > 0 && words[0] == "--" {
				words = words[1:]
			}
			for _, e := range f.candidatesFor(c.Context, root, words) {
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

// candidatesFor returns the candidates for the last word.
func (f *frame) candidatesFor(ctx context.Context, c *cli.Command, words []string) []entry {
	if len(words) == 0 {
		words = []string{""}
	}
	current := words[len(words)-1]
	positionals := 0
	var open cli.Flag // a flag whose value is the next word
	var given []assigned
	role := ""
	for _, word := range words[:len(words)-1] {
		switch {
		case open != nil:
			given = append(given, assigned{open.Names()[0], word})
			open = nil
		case len(word) > 1 && word[0] == '-':
			name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
			switch found := findFlag(c, name); {
			case found == nil || isSwitch(found):
			case hasValue:
				given = append(given, assigned{found.Names()[0], value})
			default:
				open = found
			}
		default:
			below := c.Command(word)
			switch {
			case below != nil && positionals == 0:
				c = below
				role = cmp.Or(role, below.Name)
			case word == helpWord && len(c.Subcommands) > 0 && positionals == 0: // help of the following command
			default:
				positionals++
			}
		}
	}
	var list []entry
	name, _, assigns := strings.Cut(current, "=")
	switch {
	case open != nil:
		list = f.values(ctx, c, role, given, open, current)
	case strings.HasPrefix(current, "-") && assigns:
		if found := findFlag(c, strings.TrimLeft(name, "-")); found != nil {
			for _, e := range f.values(ctx, c, role, given, found, current[len(name)+1:]) {
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
	default:
		if word := argument(c, positionals); word == "ROLE" {
			list = f.roleNames()
		} else if list = choices(word); list == nil {
			list = f.words(ctx, c, role, given, word, current)
		}
	}
	return slices.DeleteFunc(list, func(e entry) bool { return !strings.HasPrefix(e.left, current) })
}

// values returns the known values of a flag.
func (f *frame) values(ctx context.Context, c *cli.Command, role string, given []assigned, flag cli.Flag, typed string) []entry {
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
	if list := choices(word); list != nil {
		return list
	}
	return f.words(ctx, c, role, given, word, typed)
}

// argument returns the placeholder of a command's argument, such as ID for the first one of "ID [PATH]". If the last
// placeholder has dots, it stands for all further arguments. A placeholder ends at "=".
func argument(c *cli.Command, position int) string {
	names := strings.Fields(strings.NewReplacer("[", "", "]", "", "…", " … ").Replace(c.ArgsUsage))
	for i, name := range names {
		if name == "…" && i > 0 && position >= i {
			position = i - 1
		}
	}
	if position >= len(names) {
		return ""
	}
	word, _, _ := strings.Cut(names[position], "=")
	return word
}

// words asks the role for the candidates for a kind of word, with the flags that stand before it.
func (f *frame) words(ctx context.Context, c *cli.Command, role string, given []assigned, kind, typed string) []entry {
	i := slices.IndexFunc(f.list, func(r Role) bool { return r.Name == role && r.Words != nil })
	if i < 0 || kind == "" {
		return nil
	}
	parsed, err := f.parsed(ctx, c, role, given)
	if err != nil {
		return nil // no candidates with invalid flags
	}
	var list []entry
	for _, word := range f.list[i].Words(f.env, parsed, kind, typed) {
		list = append(list, entry{left: word.Word, right: word.About})
	}
	return list
}

// roleNames returns the names and summaries of the roles. It leaves out tools.
func (f *frame) roleNames() (list []entry) {
	for _, role := range f.list {
		if !role.Tool {
			list = append(list, entry{role.Name, role.Summary})
		}
	}
	return list
}

// parsed returns the context that the command's Action would get: with the typed flags, the environment and the file.
func (f *frame) parsed(ctx context.Context, c *cli.Command, role string, given []assigned) (*cli.Context, error) {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	for _, one := range c.Flags {
		if err := one.Apply(flags); err != nil {
			return nil, err
		}
	}
	parsed := cli.NewContext(&cli.App{Metadata: map[string]any{roleKey: role}}, flags, &cli.Context{Context: ctx})
	parsed.Command = c
	for _, one := range given {
		if err := parsed.Set(one.name, one.value); err != nil {
			return nil, err
		}
	}
	_, err := f.resolve(c, parsed, role)
	return parsed, err
}

// choices splits a|b|c. It returns nil for a placeholder in capitals, such as FILE|DIR: its words are no values.
func choices(word string) []entry {
	if !strings.Contains(word, "|") || strings.ToLower(word) != word {
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
