package substrate

import (
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// Call is what a transaction does: a call of a pallet with its arguments. Args is a metadata.Fields or a map[string]any by
// name, a []any by position, or a struct whose fields are named like the arguments; nil for none.
//
// The functions of this package that return a Call know the forms that it has in the generations of the chain. Whoever fills
// a Call by hand can reach every call of a runtime.
type Call struct {
	Pallet, Name string
	Args         any

	otherwise *Call // the form of other generations
}

// String is "Pallet.name".
func (c Call) String() string { return c.Pallet + "." + c.Name }

// network returns a call of the pallet Network from names and values of its arguments.
func network(name string, args ...any) Call { return callOf("Network", name, args...) }

func callOf(pallet, name string, args ...any) Call {
	fields := make(metadata.Fields, 0, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		field, _ := args[i].(string) // our own code passes names
		value := args[i+1]
		if s, ok := value.(string); ok {
			value = []byte(s) // so that no text is taken for hex
		}
		fields = append(fields, metadata.NamedValue{Name: field, Value: value})
	}
	return Call{Pallet: pallet, Name: name, Args: fields}
}

// or adds the form of another generation, tried after those before it.
func (c Call) or(form Call) Call {
	if c.otherwise == nil {
		c.otherwise = &form
		return c
	}
	next := c.otherwise.or(form)
	c.otherwise = &next
	return c
}

// fits reports whether a variant has exactly the arguments of a form. Forms that are not by name fit any.
func (c *Call) fits(v *metadata.Variant) bool {
	fields, ok := c.Args.(metadata.Fields)
	if !ok {
		return true
	}
	if len(fields) != len(v.Fields) {
		return false
	}
	for i := range v.Fields {
		found := false
		for k := range fields {
			found = found || fields[k].Name == v.Fields[i].Name
		}
		if !found {
			return false
		}
	}
	return true
}

// Supports tells why the chain cannot execute a call, or returns nil: it lacks the call, or takes other arguments.
func (c *Client) Supports(call Call) error {
	_, err := c.rt.Load().encodeCall(call)
	return err
}

// Encode encodes a call as a transaction carries it.
func (c *Client) Encode(call Call) ([]byte, error) { return c.rt.Load().encodeCall(call) }
