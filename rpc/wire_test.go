package rpc

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/internal/pb/p2pdpb"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Frames made with Google's protobuf from the daemon's schema.
const (
	goldenPyRequest = "590a10000102030405060708090a0b0c0d0e0f1a450a260024080112201b2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4" +
		"c5d6e7f809121444485450726f746f636f6c2e7270635f70696e671a0568656c6c6f"
	goldenPyOK    = "1a0a10000102030405060708090a0b0c0d0e0f22060a04706f6e67"
	goldenPyEmpty = "160a10000102030405060708090a0b0c0d0e0f22020a00"
	goldenPyError = "250a10000102030405060708090a0b0c0d0e0f2211120f56616c75654572726f722827782729"
	goldenPeer    = "0024080112201b2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809"
)

var goldenCallID = [callIDSize]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func TestGoldenPythonFrames(t *testing.T) {
	peer := string(unhex(t, goldenPeer))
	got := append(appendPyRequestHead(nil, goldenCallID, peer, "DHTProtocol.rpc_ping", 5), "hello"...)
	if want := unhex(t, goldenPyRequest); !bytes.Equal(got, want) {
		t.Errorf("request %x, want %x", got, want)
	}
	id, data, err := splitPyRequest(unhex(t, goldenPyRequest)[1:])
	if err != nil || !bytes.Equal(id, goldenCallID[:]) || string(data) != "hello" {
		t.Errorf("request reads %x, %q, %v", id, data, err)
	}
	for _, tt := range []struct {
		frame  string
		failed bool
		data   string
	}{{goldenPyOK, false, "pong"}, {goldenPyEmpty, false, ""}, {goldenPyError, true, "ValueError('x')"}} {
		got := append(appendPyResponseHead(nil, goldenCallID[:], tt.failed, len(tt.data)), tt.data...)
		if want := unhex(t, tt.frame); !bytes.Equal(got, want) {
			t.Errorf("response %x, want %x", got, want)
		}
		failed, data, err := splitPyResponse(unhex(t, tt.frame)[1:])
		if err != nil || failed != tt.failed || string(data) != tt.data {
			t.Errorf("response reads %v, %q, %v", failed, data, err)
		}
	}
}

func TestPythonErrorText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &Error{Code: Code(rapid.IntRange(1, int(Canceled)).Draw(t, "code")), Msg: rapid.StringN(0, 200, -1).Draw(t, "text")}
		code, msg := parsePyError(pyErrorText(want))
		if code != want.Code || msg != want.Msg {
			t.Fatalf("%v %q reads %v %q", want.Code, want.Msg, code, msg)
		}
	})
	for _, text := range []string{"ValueError('x')", "OK('x')", "", "Internal", "NotFound(", "NotFound('"} {
		if code, msg := parsePyError(text); code != Internal || msg != text {
			t.Errorf("%q reads %v %q", text, code, msg)
		}
	}
}

func TestNativeRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Method(rapid.StringN(1, 60, maxMethod).Draw(t, "method"))
		timeout := time.Duration(rapid.Int64Range(0, int64(maxTimeout/time.Millisecond)).Draw(t, "ms")) * time.Millisecond
		data := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "data")
		frame := append(appendRequestHead(nil, timeout, m, len(data)), data...)
		var in frameReader
		var r io.Reader = bytes.NewReader(frame)
		switch rapid.IntRange(0, 2).Draw(t, "pieces") {
		case 1:
			r = iotest.OneByteReader(r)
		case 2:
			r = iotest.DataErrReader(r)
		}
		body, err := in.next(r, 1<<20, admitAll{})
		if err != nil {
			t.Fatal(err)
		}
		head, got, err := splitRequest(body)
		if err != nil || Method(head.method) != m || head.timeout != timeout || !bytes.Equal(got, data) {
			t.Fatalf("reads %q %v %d bytes, %v", head.method, head.timeout, len(got), err)
		}
	})
}

// A frame that only announces its size must not make the reader allocate it.
func TestAllocationFollowsArrival(t *testing.T) {
	frame := append(appendRequestHead(nil, 0, "m", 4<<20-100), make([]byte, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 100
	for range rounds {
		var in frameReader
		if _, err := in.next(bytes.NewReader(frame), 4<<20, admitAll{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 2*growStep {
		t.Errorf("%d bytes allocated for a frame of which 1,000 bytes arrive", each)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(append(appendRequestHead(nil, time.Second, "DHTProtocol.rpc_ping", 4), "data"...))
	f.Add(unhex(f, goldenPyRequest))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80})
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, pieces frameReader
		body, err := whole.next(bytes.NewReader(b), limit, admitAll{})
		again, againErr := pieces.next(iotest.OneByteReader(bytes.NewReader(b)), limit, admitAll{})
		if err == nil && (againErr != nil || !bytes.Equal(body, again)) {
			t.Fatalf("in pieces: %v", againErr)
		}
		if err != nil {
			return
		}
		if len(body) > limit {
			t.Fatalf("%d bytes", len(body))
		}
		if head, data, err := splitRequest(body); err == nil {
			if len(head.method) > maxMethod || head.timeout < 0 || head.timeout > maxTimeout || len(data) > len(body) {
				t.Fatalf("%+v", head)
			}
		}
	})
}

func FuzzPythonRequest(f *testing.F) {
	f.Add(unhex(f, goldenPyRequest)[1:])
	f.Add(unhex(f, goldenPyOK)[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		id, data, err := splitPyRequest(b)
		var want p2pdpb.PersistentConnectionRequest
		oracle := proto.Unmarshal(b, &want)
		if err != nil {
			return
		}
		if oracle != nil {
			// The generated decoder also checks that texts are UTF-8 and that fields appear once; this one does not.
			return
		}
		if !bytes.Equal(id, want.GetCallId()) || !bytes.HasSuffix(want.GetCallUnary().GetData(), data) {
			t.Fatalf("reads %x %x, generated code %x %x", id, data, want.GetCallId(), want.GetCallUnary().GetData())
		}
	})
}

func FuzzPythonResponse(f *testing.F) {
	f.Add(unhex(f, goldenPyOK)[1:])
	f.Add(unhex(f, goldenPyError)[1:])
	f.Add(unhex(f, goldenPyEmpty)[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		failed, data, err := splitPyResponse(b)
		if err == nil && failed {
			if code, msg := parsePyError(string(data[:min(len(data), maxErrText)])); code == OK || len(msg) > 3*maxErrText {
				t.Fatalf("%v %d bytes", code, len(msg))
			}
		}
	})
}

func FuzzItem(f *testing.F) {
	f.Add([]byte{0, 3, 'a', 'b', 'c', 1, 0}, true)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c', 1, 0, 0, 0, 0, 0, 0, 0, 0}, false)
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 4, 0x0a, 2, 'n', 'o'}, false)
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, b []byte, native bool) {
		var form itemForm = pyItems{}
		if native {
			form = nativeItems{}
		}
		in := itemReader{r: bufio.NewReader(bytes.NewReader(b)), form: form, limit: 1 << 16}
		for {
			mark, payload, err := in.next(nil, admitAll{})
			if err != nil {
				return
			}
			if len(payload) > 1<<16 {
				t.Fatalf("%d bytes", len(payload))
			}
			if mark == markEnd {
				_ = form.status(payload)
			}
		}
	})
}

func TestItemForms(t *testing.T) {
	for _, form := range []itemForm{nativeItems{}, pyItems{}} {
		b := append(form.appendHead(nil, markItem, 3), "abc"...)
		b = form.appendHead(b, markEnd, 0)
		b = form.appendStatus(b, &Error{Code: NotFound, Msg: "no"})
		in := itemReader{r: bufio.NewReader(bytes.NewReader(b)), form: form, limit: 3}
		if mark, data, err := in.next(nil, admitAll{}); err != nil || mark != markItem || string(data) != "abc" {
			t.Errorf("%T: item %d %q, %v", form, mark, data, err)
		}
		if mark, data, err := in.next(nil, admitAll{}); err != nil || mark != markEnd || len(data) != 0 {
			t.Errorf("%T: end %d %q, %v", form, mark, data, err)
		}
		in.limit = 100
		_, data, err := in.next(nil, admitAll{})
		if fail := form.status(data); err != nil || fail == nil || fail.Code != NotFound || fail.Msg != "no" {
			t.Errorf("%T: status %v, %v", form, fail, err)
		}
		if fail := form.status([]byte{0xff}); fail == nil || fail.Code != Internal {
			t.Errorf("%T: malformed status: %v", form, fail)
		}
		odd := itemReader{r: bufio.NewReader(bytes.NewReader(form.appendHead(nil, 2, 0))), form: form}
		if _, _, err := odd.next(nil, admitAll{}); !errors.Is(err, errFrame) {
			t.Errorf("%T: unknown marker: %v", form, err)
		}
	}
	if want := []byte{1, 0, 0, 0, 0, 0, 0, 0, 0}; !bytes.Equal(pyItems{}.appendHead(nil, markEnd, 0), want) {
		t.Error("the end mark of Python daemons differs")
	}
}
