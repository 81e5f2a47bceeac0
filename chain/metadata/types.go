package metadata

// TypeID numbers a type within one Metadata: an index into Metadata.Types.
type TypeID uint32

// NoType stands where a type is absent, such as Extrinsic.Type in metadata read from version 15.
const NoType = ^TypeID(0)

// Metadata describes one runtime. It is a plain value: whoever builds one fills the fields and encodes it.
type Metadata struct {
	Version   uint8 // 14 or 15 when decoded; ignored by the encoders
	Types     []Type
	Pallets   []Pallet
	Extrinsic Extrinsic
	Runtime   TypeID // the type of the runtime itself
	APIs      []API  // runtime APIs; version 15 only
	Outer     OuterEnums
	Custom    []CustomValue // version 15 only, sorted by name
}

// OuterEnums are the runtime's outer call, event and error types. Version 14 does not carry them: Decode finds them by path
// there and leaves NoType where it finds none.
type OuterEnums struct {
	Call, Event, Error TypeID
}

// CustomValue is a named value that a runtime publishes beside the standard parts.
type CustomValue struct {
	Name  string
	Type  TypeID
	Value []byte
}

// Kind says which of the type definitions a Type is. The values are those of the wire format.
type Kind uint8

// The kinds of types, with the fields of Type that each uses.
const (
	KindComposite   Kind = iota // Fields
	KindVariant                 // Variants
	KindSequence                // Elem
	KindArray                   // Elem, Len
	KindTuple                   // Tuple
	KindPrimitive               // Primitive
	KindCompact                 // Elem
	KindBitSequence             // Elem (the store), BitOrder
)

// Primitive is a primitive type. The values are those of the wire format.
type Primitive uint8

// The primitive types.
const (
	Bool Primitive = iota
	Char
	Str
	U8
	U16
	U32
	U64
	U128
	U256
	I8
	I16
	I32
	I64
	I128
	I256
)

// Type is one entry of the type registry. Kind decides which of the definition's fields are used.
type Type struct {
	Path   []string // "pallet_network", "pallet", "PeerInfo"; empty for anonymous types
	Params []Param
	Kind   Kind

	Fields    []Field
	Variants  []Variant
	Elem      TypeID
	Len       uint32
	Tuple     []TypeID
	Primitive Primitive
	BitOrder  TypeID

	Docs []string
}

// Param is one generic parameter of a type; Type is NoType when the parameter is erased.
type Param struct {
	Name string
	Type TypeID
}

// Field is one field of a composite or of a variant. Name is empty in tuple-like definitions.
type Field struct {
	Name     string
	Type     TypeID
	TypeName string // the type as its source spells it; may be empty
	Docs     []string
}

// Variant is one case of an enumeration: an enum's case, a call, an event or an error.
type Variant struct {
	Name   string
	Fields []Field
	Index  uint8
	Docs   []string
}

// Pallet is one module of a runtime. Calls, Event and Error are variant types, or NoType.
type Pallet struct {
	Name      string
	Storage   *Storage // nil when the pallet has none
	Calls     TypeID
	Event     TypeID
	Constants []Constant
	Error     TypeID
	Index     uint8
	Docs      []string // version 15 only
}

// Storage is what a pallet keeps in the state, under the common prefix twox128(Prefix).
type Storage struct {
	Prefix  string
	Entries []StorageEntry
}

// Modifier says what reading an absent key of a storage entry means.
type Modifier uint8

// The modifiers. The values are those of the wire format.
const (
	ModifierOptional Modifier = iota // absent
	ModifierDefault                  // StorageEntry.Default
)

// Hasher is how one part of a map key becomes part of a storage key.
type Hasher uint8

// The hashers. The values are those of the wire format.
const (
	Blake2_128 Hasher = iota
	Blake2_256
	Blake2_128Concat
	Twox128
	Twox256
	Twox64Concat
	Identity
)

// StorageEntry is one item of a pallet's storage: a plain value when Hashers is empty, else a map. With one hasher Key is the
// key's type; with several it is a tuple of as many types.
type StorageEntry struct {
	Name     string
	Modifier Modifier
	Hashers  []Hasher
	Key      TypeID // NoType for a plain value
	Value    TypeID
	Default  []byte // the encoded default value; for ModifierOptional a single zero
	Docs     []string
}

// Constant is a pallet's constant with its encoded value.
type Constant struct {
	Name  string
	Type  TypeID
	Value []byte
	Docs  []string
}

// Extrinsic describes the transactions of a runtime. Version 14 carries Type only; Decode then takes Address, Call, Signature
// and Extra from its generic parameters. Version 15 carries those four and not Type.
type Extrinsic struct {
	Version                         uint8 // transaction format: 4
	Type                            TypeID
	Address, Call, Signature, Extra TypeID
	SignedExtensions                []SignedExtension
}

// SignedExtension is one part of what a transaction carries (Type) and signs in addition (Additional), in order.
type SignedExtension struct {
	Identifier string
	Type       TypeID
	Additional TypeID
}

// API is one runtime API, such as "Core" or "NetworkRuntimeApi".
type API struct {
	Name    string
	Methods []Method
	Docs    []string
}

// Method is one function of a runtime API. It is called as API.Name + "_" + Method.Name.
type Method struct {
	Name   string
	Inputs []Input
	Output TypeID
	Docs   []string
}

// Input is one argument of a runtime API function.
type Input struct {
	Name string
	Type TypeID
}
