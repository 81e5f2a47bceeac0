package metadata

import (
	"fmt"
	"strconv"
	"strings"
)

// Definition is a type that a runtime uses without publishing it, such as the structs that its API functions return as
// opaque bytes. Expr is a type expression:
//
//	u32, bool, str ...     a primitive
//	Name                   a definition before this one, or a published type by the last element of its path
//	Vec<T>, Option<T>, Compact<T>, BTreeMap<K,V>, BTreeSet<T>, [T;n], (A,B)
//	{a: T, b: U}           a struct
type Definition struct {
	Name string
	Expr string
}

// define adds definitions to a copy of the type table, so that the metadata of others stays as it is.
func (r *Registry) define(defs []Definition) error {
	m := *r.m
	m.Types = append(make([]Type, 0, len(m.Types)+8*len(defs)), m.Types...)
	r.m = &m
	local := map[string]TypeID{}
	for _, d := range defs {
		p := exprParser{r: r, local: local, rest: d.Expr, made: map[string]TypeID{}}
		id, err := p.expr(0)
		if err == nil && strings.TrimSpace(p.rest) != "" {
			err = fmt.Errorf("unexpected %.20q", p.rest)
		}
		if err != nil {
			return fmt.Errorf("metadata: definition %s: %w", d.Name, err)
		}
		if t := &m.Types[id]; t.Kind == KindComposite && len(t.Path) == 0 {
			t.Path = []string{d.Name}
		}
		local[d.Name] = id
		r.named[d.Name] = id
	}
	return nil
}

// exprParser reads one type expression.
type exprParser struct {
	r     *Registry
	local map[string]TypeID
	rest  string
	made  map[string]TypeID
}

func (p *exprParser) add(t Type) TypeID {
	p.r.m.Types = append(p.r.m.Types, t)
	return TypeID(len(p.r.m.Types) - 1)
}

// take consumes a token if it comes next.
func (p *exprParser) take(token string) bool {
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *exprParser) word() string {
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	n := 0
	for n < len(p.rest) && (p.rest[n] == '_' || '0' <= p.rest[n] && p.rest[n] <= '9' ||
		'A' <= p.rest[n] && p.rest[n] <= 'Z' || 'a' <= p.rest[n] && p.rest[n] <= 'z') {
		n++
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	return w
}

func (p *exprParser) expr(depth int) (TypeID, error) {
	if depth > 32 {
		return 0, fmt.Errorf("nested too deep")
	}
	switch {
	case p.take("{"):
		return p.structure(depth)
	case p.take("("):
		ids, err := p.list(")", depth)
		return p.add(Type{Kind: KindTuple, Tuple: ids}), err
	case p.take("["):
		elem, err := p.expr(depth + 1)
		if err != nil || !p.take(";") {
			return 0, fmt.Errorf("want [T;n]: %w", err)
		}
		n, err := strconv.ParseUint(p.word(), 10, 32)
		if err != nil || !p.take("]") {
			return 0, fmt.Errorf("want [T;n]: %w", err)
		}
		return p.add(Type{Kind: KindArray, Elem: elem, Len: uint32(n)}), nil
	}
	name := p.word()
	if !p.take("<") {
		return p.name(name)
	}
	args, err := p.list(">", depth)
	if err != nil {
		return 0, err
	}
	return p.generic(name, args)
}

func (p *exprParser) list(end string, depth int) ([]TypeID, error) {
	var ids []TypeID
	for !p.take(end) {
		if len(ids) > 0 && !p.take(",") {
			return nil, fmt.Errorf("want , or %s before %.20q", end, p.rest)
		}
		id, err := p.expr(depth + 1)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (p *exprParser) structure(depth int) (TypeID, error) {
	var fs []Field
	for !p.take("}") {
		if len(fs) > 0 && !p.take(",") {
			return 0, fmt.Errorf("want , or } before %.20q", p.rest)
		}
		if p.take("}") {
			break
		}
		name := p.word()
		if name == "" || !p.take(":") {
			return 0, fmt.Errorf("want a field before %.20q", p.rest)
		}
		id, err := p.expr(depth + 1)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		fs = append(fs, Field{Name: name, Type: id})
	}
	return p.add(Type{Kind: KindComposite, Fields: fs}), nil
}

func (p *exprParser) name(name string) (TypeID, error) {
	if id, ok := p.local[name]; ok {
		return id, nil
	}
	if id, ok := p.made[name]; ok {
		return id, nil
	}
	for prim := Bool; prim <= I256; prim++ {
		if prim.String() == name {
			id := p.add(Type{Kind: KindPrimitive, Primitive: prim})
			p.made[name] = id
			return id, nil
		}
	}
	if id, ok := p.r.TypeByName(name); ok {
		return id, nil
	}
	return 0, fmt.Errorf("%w: type %.40q", ErrUnknown, name)
}

func (p *exprParser) generic(name string, args []TypeID) (TypeID, error) {
	want := 1
	if name == "BTreeMap" {
		want = 2
	}
	if len(args) != want {
		return 0, fmt.Errorf("%s takes %d types, not %d", name, want, len(args))
	}
	switch name {
	case "Vec", "BTreeSet":
		return p.add(Type{Kind: KindSequence, Elem: args[0]}), nil
	case "Compact":
		return p.add(Type{Kind: KindCompact, Elem: args[0]}), nil
	case "Option":
		return p.add(Type{Path: []string{"Option"}, Params: []Param{{"T", args[0]}}, Kind: KindVariant, Variants: []Variant{
			{Name: "None"}, {Name: "Some", Fields: []Field{{Type: args[0]}}, Index: 1},
		}}), nil
	case "BTreeMap":
		pair := p.add(Type{Kind: KindTuple, Tuple: args})
		return p.add(Type{Kind: KindSequence, Elem: pair}), nil
	}
	return 0, fmt.Errorf("%w: generic type %.40q", ErrUnknown, name)
}
