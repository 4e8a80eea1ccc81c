package expr

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/pkg/local/aws/dynamodb/value"
)

func TestReservedWords(t *testing.T) {
	for word, want := range map[string]bool{"open": true, "ABORT": true, "zone": true, "Status": true, "ope": false, "pen": false, "pk": false, "OPEN_AT": false} {
		if isReserved(word) != want {
			t.Errorf("isReserved(%q) = %v", word, !want)
		}
	}
}

func item(t testing.TB, text string) value.Item {
	t.Helper()
	it := value.Item{}
	if err := json.Unmarshal([]byte(text), &it); err != nil {
		t.Fatal(err)
	}
	return it
}

func TestPlaceholders(t *testing.T) {
	v := value.Item{":a": value.Of("x")}
	tests := []struct {
		name   string
		names  map[string]string
		values value.Item
		parse  func(*Params) error
		err    string
	}{
		{"empty names", map[string]string{}, nil, nil, "ExpressionAttributeNames must not be empty"},
		{"empty values", nil, value.Item{}, nil, "ExpressionAttributeValues must not be empty"},
		{"name without sign", map[string]string{"a": "b"}, nil, nil, `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{"name with a dash", map[string]string{"#a-b": "b"}, nil, nil, `ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"`},
		{"value that is only a sign", nil, value.Item{":": value.Of("")}, nil, `ExpressionAttributeValues contains invalid key: Syntax error; key: ":"`},
		{"names without expression", map[string]string{"#a": "b"}, nil, func(*Params) error { return nil }, "ExpressionAttributeNames can only be specified when using expressions"},
		{"values without expression", nil, v, func(*Params) error { return nil }, "ExpressionAttributeValues can only be specified when using expressions"},
		{"values with only a projection", nil, v, func(p *Params) error { _, err := p.Projection("a"); return err }, "ExpressionAttributeValues can only be specified when using expressions"},
		{"large values", nil, value.Item{":a": value.Of(strings.Repeat("x", maxParamBytes))}, nil, "Expression attribute names and values exceed the maximum allowed size; size: 2097154"},
		{"name used twice", map[string]string{"#a": "b"}, v, func(p *Params) error { _, err := p.Condition("FilterExpression", "#a = :a OR x.#a = :a"); return err }, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p, err := NewParams(tc.names, tc.values)
			if err == nil && tc.parse != nil {
				if err = tc.parse(p); err == nil {
					err = p.Unused()
				}
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tc.err {
				t.Errorf("error %q, want %q", got, tc.err)
			}
		})
	}
}

func TestKeyCondition(t *testing.T) {
	p, err := NewParams(map[string]string{"#s": "sort"}, value.Item{":a": value.Of("a"), ":b": value.Of("b")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.KeyCondition("(:a >= #s) AND pk = :b")
	if err != nil {
		t.Fatal(err)
	}
	want := []KeyTerm{{"sort", "<=", []value.Value{value.Of("a")}}, {"pk", "=", []value.Value{value.Of("b")}}}
	if diff := cmp.Diff(want, got, cmp.Comparer(value.Equal)); diff != "" {
		t.Errorf("terms (-want +got)\n%s", diff)
	}
	for text, want := range map[string]string{
		"size(pk) = :a":             "KeyConditionExpressions cannot contain nested operations",
		"pk.x = :a":                 "KeyConditionExpressions cannot have conditions on nested attributes",
		"pk = sk":                   "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
		":a BETWEEN :a AND :b":      "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand",
		"begins_with(:a, pk)":       "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
		"NOT pk = :a":               "Invalid operator used in KeyConditionExpression: NOT",
		"pk <> :a":                  "Invalid operator used in KeyConditionExpression: <>",
		"pk = :a AND a=:a AND b=:b": "Conditions can be of length 1 or 2 only",
	} {
		if _, err := p.KeyCondition(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// model applies an update the naive way: on a deep copy, one action after the other.
func model(it value.Item, set map[string]value.Value, add map[string]value.Value, remove []string) (value.Item, bool) {
	out := value.Item{}
	for k, v := range it {
		out[k] = v
	}
	for k, v := range set {
		out[k] = v
	}
	for k, v := range add {
		old, ok := out[k]
		switch {
		case !ok:
			out[k] = v
		case old.Type != v.Type:
			return nil, false
		case v.Type == value.Num:
			sum, err := old.Num.Add(v.Num)
			if err != nil {
				return nil, false
			}
			out[k] = value.Value{Type: value.Num, Num: sum}
		default:
			for _, e := range v.List {
				if !out[k].Has(e) {
					merged := out[k]
					merged.List = append(slices.Clone(merged.List), e)
					slices.SortFunc(merged.List, func(a, b value.Value) int { c, _ := value.Compare(a, b); return c })
					out[k] = merged
				}
			}
		}
	}
	for _, k := range remove {
		delete(out, k)
	}
	return out, true
}

func scalars() *rapid.Generator[value.Value] {
	return rapid.OneOf(
		rapid.Map(rapid.StringN(0, 3, 8), value.Of),
		rapid.Map(rapid.Int64Range(-5, 5), value.OfInt),
		rapid.Map(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID[string]), func(s []string) value.Value {
			slices.Sort(s)
			v := value.Value{Type: value.StringSet}
			for _, e := range s {
				v.List = append(v.List, value.Of(e))
			}
			return v
		}))
}

func TestUpdateAgreesWithAModel(t *testing.T) {
	names := []string{"a1", "a2", "a3", "a4", "a5"}
	rapid.Check(t, func(t *rapid.T) {
		it := value.Item{}
		set, add := map[string]value.Value{}, map[string]value.Value{}
		values := value.Item{}
		var sets, adds, removes []string
		for _, n := range names {
			if rapid.Bool().Draw(t, "has "+n) {
				it[n] = scalars().Draw(t, n)
			}
			switch rapid.IntRange(0, 4).Draw(t, "action "+n) {
			case 0:
				set[n] = scalars().Draw(t, "set")
				values[":"+n] = set[n]
				sets = append(sets, n+" = :"+n)
			case 1:
				add[n] = scalars().Filter(func(v value.Value) bool { return v.Type != value.String }).Draw(t, "add")
				values[":"+n] = add[n]
				adds = append(adds, n+" :"+n)
			case 2:
				removes = append(removes, n)
			case 3: // copy another attribute as it was
				if from := rapid.SampledFrom(names).Draw(t, "from"); it[from].Type != "" {
					set[n] = it[from]
					sets = append(sets, n+" = "+from)
				}
			}
		}
		var text []string
		for keyword, actions := range map[string][]string{"SET": sets, "ADD": adds, "REMOVE": removes} {
			if actions != nil {
				text = append(text, keyword+" "+strings.Join(actions, ", "))
			}
		}
		if text == nil {
			return
		}
		if len(values) == 0 {
			values = nil
		}
		p, err := NewParams(nil, values)
		if err != nil {
			t.Fatal(err)
		}
		u, err := p.Update(strings.Join(text, " "))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		before, _ := it.MarshalJSON()
		got, err := u.Apply(it)
		want, ok := model(it, set, add, removes)
		if ok != (err == nil) || ok && !value.EqualItems(got, want) {
			t.Errorf("%s\n on %v\n got %v, %v\nwant %v", text, it, got, err, want)
		}
		if after, _ := it.MarshalJSON(); string(after) != string(before) {
			t.Errorf("%s changed the item from %s to %s", text, before, after)
		}
	})
}

// Nothing is copied but what changes, and what is shared is not changed.
func TestUpdateLeavesTheOldItemAlone(t *testing.T) {
	const text = `{"m":{"M":{"l":{"L":[{"N":"1"},{"M":{"x":{"S":"a"}}},{"N":"3"}]},"s":{"SS":["a","b"]}}}}`
	it := item(t, text)
	p, err := NewParams(nil, value.Item{":v": value.Of("new"), ":s": item(t, `{"s":{"SS":["b"]}}`)["s"]})
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.Update("SET m.l[1].x = :v, m.l[7] = :v DELETE m.s :s REMOVE m.l[0]")
	if err != nil {
		t.Fatal(err)
	}
	got, err := u.Apply(it)
	if err != nil {
		t.Fatal(err)
	}
	want := item(t, `{"m":{"M":{"l":{"L":[{"M":{"x":{"S":"new"}}},{"N":"3"},{"S":"new"}]},"s":{"SS":["a"]}}}}`)
	if !value.EqualItems(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if !value.EqualItems(it, item(t, text)) {
		t.Errorf("the old item is now %v", it)
	}
}

// FuzzExpressions: no text makes the parser panic or hang, and every refusal is
// an *Error; what parses can be evaluated.
func FuzzExpressions(f *testing.F) {
	for _, s := range []string{
		"attribute_not_exists(pk) OR st = :f AND (NOT a.b[0] < :n)", "a BETWEEN :n AND :n", "a IN (:s, :n)", "size(a) > :n", "contains(a, :s)",
		"SET a = if_not_exists(a, :n) + :n, b[1].c = list_append(b, :l) REMOVE c, d[0] ADD e :n DELETE g :ss", "a.b[0].c, #x", "((a", "a = :s AND", "é = :s", "#", ":", "a[", "a[0", "SET", "NOT NOT a",
	} {
		f.Add(s)
	}
	values := item(f, `{":f":{"S":"f"},":s":{"S":"s"},":n":{"N":"1"},":l":{"L":[]},":ss":{"SS":["x"]}}`)
	it := item(f, `{"a":{"M":{"b":{"L":[{"N":"5"}]}}},"b":{"L":[{"S":"x"},{"M":{}}]},"e":{"N":"1"},"g":{"SS":["x"]},"st":{"S":"f"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := NewParams(map[string]string{"#x": "open"}, values)
		if err != nil {
			t.Fatal(err)
		}
		check := func(err error) {
			if _, ok := errors.AsType[*Error](err); err != nil && !ok {
				t.Errorf("%q: error %T", text, err)
			}
		}
		c, err := p.Condition("ConditionExpression", text)
		check(err)
		if err == nil {
			c.Match(it)
			c.Match(nil)
		}
		_, err = p.KeyCondition(text)
		check(err)
		projection, err := p.Projection(text)
		check(err)
		if err == nil {
			Project(it, projection)
		}
		u, err := p.Update(text)
		check(err)
		if err == nil {
			_, err = u.Apply(it)
			check(err)
		}
	})
}
