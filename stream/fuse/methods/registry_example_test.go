package methods

import (
	"reflect"
	"strings"
	"testing"
)

// TestExampleTag demands an example of what is required, and that examples are values.
func TestExampleTag(t *testing.T) {
	for want, of := range map[string]any{
		"is required, and needs an example": struct {
			X float64 `key:"x" flags:"required" help:"a number"`
		}{},
		`example "2" is not a number from 0 to 1`: struct {
			X float64 `key:"x" default:"1" example:"2" min:"0" max:"1" help:"a share"`
		}{},
		`example "maybe" is not true or false`: struct {
			X bool `key:"x" example:"maybe" help:"a truth value"`
		}{},
		`example "c" is not one of a, b`: struct {
			X int `key:"x" example:"c" choices:"a b" help:"a choice"`
		}{},
	} {
		if _, err := fieldsOf(reflect.TypeOf(of), false, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f, err := fieldsOf(reflect.TypeFor[nearswapParams](), false, nil)
	if err != nil || f.params[0].Example != "0.0001" {
		t.Errorf("nearswap's t: %+v, %v", f, err)
	}
}
