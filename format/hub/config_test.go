package hub

import (
	"fmt"
	"testing"

	"weld/format"
)

func TestSetDType(t *testing.T) {
	for name, c := range map[string][2]string{
		"top":           {`{"torch_dtype": "float16"}`, `{"torch_dtype": "bfloat16"}`},
		"new key":       {`{"dtype":"float32"}`, `{"dtype":"bfloat16"}`},
		"with prefix":   {`{"dtype":"torch.float32"}`, `{"dtype":"bfloat16"}`},
		"nested, twice": {`{"a":{"b":[{"dtype":"float16"}]}, "torch_dtype":"float16"}`, `{"a":{"b":[{"dtype":"bfloat16"}]}, "torch_dtype":"bfloat16"}`},
		"odd space":     {"{ \"x\" :1,\r\n\t\"dtype\" \t: \n \"float16\"\n}\n", "{ \"x\" :1,\r\n\t\"dtype\" \t: \n \"bfloat16\"\n}\n"},
		"no JSON":       {`{"x":-Infinity,"y":NaN,"dtype":"float16"}`, `{"x":-Infinity,"y":NaN,"dtype":"bfloat16"}`},
		"among others":  {`{"a":["dtype","float16"],"ü\u2028<&>":{},"dtype":"float16"}`, `{"a":["dtype","float16"],"ü\u2028<&>":{},"dtype":"bfloat16"}`},
		"same already":  {`{"dtype":"bfloat16"}`, `{"dtype":"bfloat16"}`},
	} {
		if got := string(SetDType([]byte(c[0]), format.BF16)); got != c[1] {
			t.Errorf("%s: %s, want %s", name, got, c[1])
		}
	}
}

func TestSetDTypeLeavesAlone(t *testing.T) {
	for _, config := range []string{
		``, `{}`, `nonsense`, `{"torch_dtype":"auto"}`, `{"torch_dtype":null}`, `{"dtype":16}`, `{"dtype":""}`,
		`{"dtype":{"x":"float16"}}`, `{"dtype":["float16"]}`, `{"x":"dtype","y":"float16"}`, `["dtype","float16"]`,
		`{"bnb_4bit_compute_dtype":"float16"}`, `{"dtypes":"float16"}`, `{"dtype":"float16`,
		`{"text":"say \"dtype\": \"float16\" in it"}`, `{"x":12345678901234567890.10e-400}`,
	} {
		if got := string(SetDType([]byte(config), format.BF16)); got != config {
			t.Errorf("%s became %s", config, got)
		}
	}
}

func ExampleSetDType() {
	config := `{"architectures": ["Own"], "torch_dtype": "float32"}`
	fmt.Printf("%s\n", SetDType([]byte(config), format.BF16))
	// Output: {"architectures": ["Own"], "torch_dtype": "bfloat16"}
}
