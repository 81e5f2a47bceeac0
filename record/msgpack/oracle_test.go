package msgpack_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"testing"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// pythonValues packs 5,000 random values as the Python mesh configures its packer.
const pythonValues = `
import msgpack, random
def default(o):
    if isinstance(o, tuple): return msgpack.ExtType(0x40, dumps(list(o)))
    raise TypeError(o)
def dumps(o): return msgpack.dumps(o, use_bin_type=True, default=default, strict_types=True)
r = random.Random(1)
def text(): return ''.join(r.choice('ab\u00e9\u20ac\U0001f600') for _ in range(r.choice([0, 1, 31, 32, 255, 256, 5])))
def value(d):
    k = r.randrange(7 if d == 0 else 10)
    if k == 0: return None
    if k == 1: return r.random() < .5
    if k == 2: return r.randrange(-(1 << r.randrange(64)), 1 << r.randrange(65))
    if k == 3: return r.choice([0.0, -0.0, 1.0, float('inf'), float('-inf'), r.random(), r.gauss(0, 1e300)])
    if k == 4: return text()
    if k == 5: return r.randbytes(r.choice([0, 1, 255, 256, 65536 if r.random() < .01 else 3]))
    if k == 6: return msgpack.ExtType(0x51, r.randbytes(r.choice([0, 1, 2, 3, 4, 8, 16, 17, 256])))
    if k == 7: return [value(d - 1) for _ in range(r.choice([0, 1, 3, 15, 16]))]
    if k == 8: return tuple(value(d - 1) for _ in range(r.choice([0, 1, 3, 16])))
    return {(text() + str(i) if r.random() < .7 else r.randbytes(4) + bytes([i])): value(d - 1) for i in range(r.choice([0, 1, 3, 16]))}
for _ in range(5000): print(dumps(value(r.randrange(4))).hex())
`

// What Python packs is read and packed again to the same bytes. It needs python3 with the msgpack package; MESH_PYTHON
// names another interpreter.
func TestAgainstPython(t *testing.T) {
	python := os.Getenv("MESH_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import msgpack").Run(); err != nil {
		t.Skip("no python3 with the msgpack package: ", err)
	}
	out, err := exec.Command(python, "-c", pythonValues).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<22)
	n := 0
	for ; lines.Scan(); n++ {
		packed, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		v, err := msgpack.Unmarshal(packed)
		if err != nil {
			t.Fatalf("%.200x: %v", packed, err)
		}
		again, err := msgpack.Marshal(v)
		if err != nil || !bytes.Equal(again, packed) {
			t.Fatalf("%.200x became %.200x, %v", packed, again, err)
		}
		if err := msgpack.Valid(packed, msgpack.Limits{}); err != nil {
			t.Fatalf("%.200x: %v", packed, err)
		}
	}
	if lines.Err() != nil || n != 5000 {
		t.Fatalf("%d values, %v", n, lines.Err())
	}
}
