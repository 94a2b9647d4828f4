package tokens

import "testing"

func TestSpecErrors(t *testing.T) {
	models := makeAll(t, three()...)
	for _, s := range []Spec{
		{}, {Source: SourceBase, PadToMultipleOf: -1}, {Source: "no/such/model"},
		{Source: SourceBase, Tokens: []RowSource{tokenOf("")}},
		{Source: SourceBase, Tokens: []RowSource{tokenOf("a"), tokenOf("a")}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: 3, FromID: -1}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: 0, FromID: -1, Zero: true}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: -1, FromID: 2}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: 1, FromID: 2, FromToken: "b"}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: -1, FromID: -1, Force: true}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "n", FromModel: 1, FromID: -1}}},                        // lacks it
		{Source: SourceBase, Tokens: []RowSource{{Token: "n", FromModel: 1, FromID: 6}}},                         // 6 rows
		{Source: SourceBase, Tokens: []RowSource{{Token: "n", FromModel: 1, FromID: -1, FromToken: "no token"}}}, // unknown
	} {
		if v, err := Build(s, models, 0); err == nil {
			t.Errorf("%+v: %+v", s, v)
		}
	}
	if _, err := Build(Spec{Source: SourceBase}, nil, -1); err == nil {
		t.Error("no models")
	}
}
