package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/recipe"
)

// The scripts ask the program itself: it answers --generate-bash-completion with one
// candidate a line.
const (
	bashScript = `_weld() {
    local current="${COMP_WORDS[COMP_CWORD]}" words=("${COMP_WORDS[@]:0:COMP_CWORD}")
    if [[ "$current" == -* ]]; then
        words+=("$current")
    fi
    COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current"))
}
complete -o default -o bashdefault -F _weld weld
`
	zshScript = `#compdef weld
_weld() {
    local -a candidates
    local current="${words[CURRENT]}"
    if [[ "$current" == -* ]]; then
        candidates=("${(@f)$(${words[1,CURRENT-1]} "$current" --generate-bash-completion 2>/dev/null)}")
    else
        candidates=("${(@f)$(${words[1,CURRENT-1]} --generate-bash-completion 2>/dev/null)}")
    fi
    compadd -a candidates
    _files
}
compdef _weld weld
`
)

// completeMethods answers what could follow with the methods, or with flags where one is begun.
func completeMethods(c *cli.Context) {
	if strings.HasPrefix(lastWord(), "-") {
		cli.DefaultCompleteWithFlags(c.Command)(c)
		return
	}
	candidates(c, stream.Schema().Names())
}

// completeKeys answers with the values that could stand behind a flag of the method, or with flags.
func (in invocation) completeKeys(c *cli.Context) {
	flag := strings.TrimLeft(lastWord(), "-")
	if flag == "method" {
		candidates(c, stream.Schema().Names())
		return
	}
	if in.method != nil {
		for _, p := range in.method.Params {
			if p.Kind == recipe.Choice && flagName(p.Key) == flag {
				candidates(c, p.Choices)
				return
			}
		}
	}
	cli.DefaultCompleteWithFlags(c.Command)(c)
}

func candidates(c *cli.Context, words []string) {
	for _, word := range words {
		fmt.Fprintln(c.App.Writer, word)
	}
}

// lastWord is the last argument before the flag that asks for what could follow.
func lastWord() string { return os.Args[len(os.Args)-2] }

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a completion script for a shell",
		ArgsUsage: "bash | zsh | fish",
		Description: "Examples:\n\n   source <(weld completion bash)\n   weld completion zsh > \"${fpath[1]}/_weld\"\n" +
			"   weld completion fish > ~/.config/fish/completions/weld.fish\n\n" + exitHelp,
		Action: func(c *cli.Context) error {
			switch shell := c.Args().First(); shell {
			case "bash":
				fmt.Fprint(c.App.Writer, bashScript)
			case "zsh":
				fmt.Fprint(c.App.Writer, zshScript)
			case "fish":
				script, err := newApp(c.App.Writer, c.App.ErrWriter, invocation{complete: true}).ToFishCompletion()
				if err != nil {
					return err
				}
				fmt.Fprint(c.App.Writer, script)
			default:
				return usagef("which shell? weld completion bash, zsh or fish")
			}
			return nil
		},
	}
}
