package schema

// expr is a type expression: a name with arguments. Anonymous types have the
// names "Vec", "[]" (with n) and "()".
type expr struct {
	name string
	args []expr
	n    uint32
}

type fieldDecl struct {
	name string // empty in tuple-like definitions
	typ  expr
}

type variantDecl struct {
	index  uint32
	name   string
	fields []fieldDecl
}

type paramDecl struct {
	name  string
	bound *expr // nil when erased
}

type typeDecl struct {
	name     string
	path     string
	params   []paramDecl
	enum     bool
	fields   []fieldDecl
	variants []variantDecl
}

type storageDecl struct {
	name     string
	optional bool
	hashers  []string
	keys     []expr
	value    expr
	def      string
}

type constDecl struct {
	name  string
	typ   expr
	value string
}

// enumDecl is a pallet's calls, events or errors.
type enumDecl struct {
	path     string
	params   []paramDecl
	variants []variantDecl
}

type palletDecl struct {
	name                  string
	index                 uint32
	prefix                string
	storage               []storageDecl
	calls, events, errors *enumDecl
	constants             []constDecl
}

type methodDecl struct {
	name   string
	inputs []fieldDecl
	output expr
}

type apiDecl struct {
	name    string
	methods []methodDecl
}

type extensionDecl struct {
	name              string
	extra, additional expr
}

type document struct {
	types      []typeDecl
	pallets    []palletDecl
	apis       []apiDecl
	version    uint32
	address    expr
	signature  expr
	extensions []extensionDecl
}

// parse adds the declarations of one file.
func (doc *document) parse(file, src string) {
	l := newLexer(file, src)
	for l.tok != "" {
		switch kind := l.word(); kind {
		case "struct", "enum":
			doc.types = append(doc.types, l.typeDecl(kind == "enum"))
		case "pallet":
			doc.pallets = append(doc.pallets, l.palletDecl())
		case "api":
			doc.apis = append(doc.apis, l.apiDecl())
		case "extrinsic":
			l.extrinsic(doc)
		default:
			l.fail("struct, enum, pallet, api or extrinsic")
		}
	}
}

func (l *lexer) typeDecl(enum bool) typeDecl {
	d := typeDecl{name: l.word(), enum: enum}
	l.expect("=")
	d.path = l.word()
	d.params = l.params()
	if enum {
		l.expect("{")
		for !l.accept("}") {
			d.variants = append(d.variants, l.variant())
			l.accept(",")
		}
		return d
	}
	d.fields = l.fields()
	return d
}

func (l *lexer) params() []paramDecl {
	var ps []paramDecl
	if !l.accept("<") {
		return nil
	}
	for !l.accept(">") {
		p := paramDecl{name: l.word()}
		if l.accept("=") {
			e := l.expr()
			p.bound = &e
		}
		ps = append(ps, p)
		l.accept(",")
	}
	return ps
}

func (l *lexer) variant() variantDecl {
	return variantDecl{index: l.number(), name: l.word(), fields: l.fields()}
}

// fields reads { name: type, ... }, (type, ...) or nothing.
func (l *lexer) fields() []fieldDecl {
	var fs []fieldDecl
	switch {
	case l.accept("{"):
		for !l.accept("}") {
			fs = append(fs, l.field())
			l.accept(",")
		}
	case l.accept("("):
		for !l.accept(")") {
			fs = append(fs, fieldDecl{typ: l.expr()})
			l.accept(",")
		}
	}
	return fs
}

func (l *lexer) field() fieldDecl {
	f := fieldDecl{name: l.word()}
	l.expect(":")
	f.typ = l.expr()
	return f
}

func (l *lexer) expr() expr {
	switch {
	case l.accept("["):
		e := expr{name: "[]", args: []expr{l.expr()}}
		l.expect(";")
		e.n = l.number()
		l.expect("]")
		return e
	case l.accept("("):
		e := expr{name: "()"}
		for !l.accept(")") {
			e.args = append(e.args, l.expr())
			l.accept(",")
		}
		return e
	}
	e := expr{name: l.word()}
	if l.accept("<") {
		for !l.accept(">") {
			e.args = append(e.args, l.expr())
			l.accept(",")
		}
	}
	return e
}

func (l *lexer) palletDecl() palletDecl {
	p := palletDecl{name: l.word(), index: l.number()}
	l.expect("{")
	for !l.accept("}") {
		switch part := l.word(); part {
		case "calls":
			p.calls = l.enumDecl()
		case "events":
			p.events = l.enumDecl()
		case "errors":
			p.errors = l.enumDecl()
		case "storage":
			p.prefix = l.word()
			l.expect("{")
			for !l.accept("}") {
				p.storage = append(p.storage, l.storageDecl())
			}
		case "constants":
			l.expect("{")
			for !l.accept("}") {
				f := l.field()
				l.expect("=")
				p.constants = append(p.constants, constDecl{f.name, f.typ, l.word()})
			}
		default:
			l.fail("calls, storage, events, constants or errors")
		}
	}
	return p
}

func (l *lexer) enumDecl() *enumDecl {
	d := &enumDecl{path: l.word(), params: l.params()}
	l.expect("{")
	for !l.accept("}") {
		d.variants = append(d.variants, l.variant())
	}
	return d
}

func (l *lexer) storageDecl() storageDecl {
	s := storageDecl{name: l.word(), optional: l.accept("?")}
	if l.accept("[") {
		for !l.accept("]") {
			s.hashers = append(s.hashers, l.word())
			s.keys = append(s.keys, l.expr())
			l.accept(",")
		}
	}
	l.expect(":")
	s.value = l.expr()
	if l.accept("=") {
		s.def = l.word()
	}
	return s
}

func (l *lexer) apiDecl() apiDecl {
	a := apiDecl{name: l.word()}
	l.expect("{")
	for !l.accept("}") {
		m := methodDecl{name: l.word()}
		l.expect("(")
		for !l.accept(")") {
			m.inputs = append(m.inputs, l.field())
			l.accept(",")
		}
		l.expect("->")
		m.output = l.expr()
		a.methods = append(a.methods, m)
	}
	return a
}

func (l *lexer) extrinsic(doc *document) {
	doc.version = l.number()
	l.expect("{")
	for !l.accept("}") {
		switch part := l.word(); part {
		case "address":
			doc.address = l.expr()
		case "signature":
			doc.signature = l.expr()
		case "extension":
			f := l.field()
			l.expect("+")
			doc.extensions = append(doc.extensions, extensionDecl{f.name, f.typ, l.expr()})
		default:
			l.fail("address, signature or extension")
		}
	}
}
