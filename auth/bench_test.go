package auth_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// BenchmarkSigned measures a warm echo of a ping message: signed both ways in the native and in the Python
// form, and with the channel vouching for the peer.
//
//	go test ./auth -run - -bench Signed -count 5
func BenchmarkSigned(b *testing.B) {
	for _, callers := range []int{1, 64} {
		suffix := map[int]string{1: "", 64: "-64"}[callers]
		b.Run("unsigned"+suffix, func(b *testing.B) { benchSigned(b, "/c", false, false, callers) })
		b.Run("channel"+suffix, func(b *testing.B) { benchSigned(b, "/c", true, false, callers) })
		b.Run("native"+suffix, func(b *testing.B) { benchSigned(b, "/c", true, true, callers) })
		b.Run("python"+suffix, func(b *testing.B) { benchSigned(b, "/s", true, false, callers) })
	}
}

func benchSigned(b *testing.B, namespace string, sign, strict bool, callers int) {
	clientKey, serverKey := newKey(b, identity.Ed25519), newKey(b, identity.Ed25519)
	cfg := auth.SignatureConfig{Strict: strict, MaxNonces: 1 << 22, MaxNoncesPerSigner: 1 << 22}
	var ci, si []rpc.Interceptor
	if sign {
		ci, si = append(ci, newSignature(b, clientKey, cfg)), append(si, newSignature(b, serverKey, cfg))
	}
	server := newNode(b, serverKey, rpc.Config{Namespace: namespace, Python: true, Interceptors: si})
	client := newNode(b, clientKey, rpc.Config{Namespace: "/c", Python: true, Interceptors: ci})
	connect(b, client, server)
	msg := ping(b)
	server.Handle("T.unary", func(context.Context, *rpc.Request) ([]byte, error) { return msg, nil })
	call := func() error {
		_, err := client.Call(context.Background(), server.ID(), "T.unary", msg)
		return err
	}
	for range 100 {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
	times := make([][]time.Duration, callers)
	errs := make(chan error, callers)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range callers {
		n := b.N / callers
		go func() {
			var failed error
			for range n {
				start := time.Now()
				failed = errors.Join(failed, call())
				times[i] = append(times[i], time.Since(start))
			}
			errs <- failed
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	all := slices.Concat(times...)
	slices.Sort(all)
	if len(all) > 0 {
		b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1e3, "p50-µs")
		b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "calls/s")
	}
}
