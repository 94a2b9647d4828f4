// Package chat holds the chat templates that a recipe can ask for by name: Jinja, as
// transformers renders it, one file for each format of prompts.
//
//	alpaca   ### Instruction:, ### Input: (the role user_context), ### Response:
//	chatml   <|im_start|>role … <|im_end|>
//	exaone   [|role|] … [|endofturn|], of EXAONE 3
//	llama3   <|start_header_id|>role<|end_header_id|> … <|eot_id|>
//	mistral  [INST] … [/INST], of Mistral 7B Instruct
//
// The names are mergekit's. The package knows formats of prompts. It never knows
// tokenizers: that the tokens of a format are in the vocabulary is up to the recipe.
package chat

import (
	"embed"
	"io/fs"
	"strings"
)

const (
	folder    = "templates"
	extension = ".jinja"
)

//go:embed templates/*.jinja
var templates embed.FS

// Names lists the templates, in order.
func Names() (names []string) {
	files, err := fs.ReadDir(templates, folder)
	if err != nil {
		panic(err) // the folder is part of the program
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), extension))
	}
	return names
}

// Template returns the text of a template.
func Template(name string) (text string, ok bool) {
	raw, err := templates.ReadFile(folder + "/" + name + extension)
	return string(raw), err == nil
}
