package recipe

import "strings"

func choose(names []string) string { return "choose from " + strings.Join(names, ", ") }
