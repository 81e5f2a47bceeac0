package rpc_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/hypertensor-blockchain/mesh/rpc"
)

// BenchmarkUnary measures a warm echo between two hosts in one process, side by side with what one writes
// with bare libp2p: a stream per request.
//
//	go test ./rpc -run - -bench Unary -benchmem -count 5
func BenchmarkUnary(b *testing.B) {
	for _, listen := range []string{tcpAddr, quicAddr} {
		for _, size := range []int{64, 1024} {
			name := fmt.Sprintf("%s/%dB", map[string]string{tcpAddr: "tcp", quicAddr: "quic"}[listen], size)
			b.Run(name+"/mesh", func(b *testing.B) { benchMesh(b, listen, size, 1) })
			b.Run(name+"/stock", func(b *testing.B) { benchStock(b, listen, size, 1) })
			b.Run(name+"/mesh-64", func(b *testing.B) { benchMesh(b, listen, size, 64) })
			b.Run(name+"/stock-64", func(b *testing.B) { benchStock(b, listen, size, 64) })
		}
	}
}

func benchMesh(b *testing.B, listen string, size, callers int) {
	client, server := newNode(b, listen, rpc.Config{}), newNode(b, listen, rpc.Config{})
	server.Handle(echo, echoHandler)
	if err := client.Host().Connect(context.Background(), server.Host().AddrInfo()); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, size)
	measure(b, callers, func() error {
		_, err := client.Call(context.Background(), server.ID(), echo, data)
		return err
	})
}

func benchStock(b *testing.B, listen string, size, callers int) {
	const id = protocol.ID("/stock/1")
	client, server := newHost(b, listen), newHost(b, listen)
	server.Libp2p().SetStreamHandler(id, func(s network.Stream) {
		body, err := readStock(s)
		if err == nil {
			_, err = s.Write(body)
		}
		if err != nil {
			b.Error("stock server", err)
		}
		_ = s.Close()
	})
	if err := client.Connect(context.Background(), server.AddrInfo()); err != nil {
		b.Fatal(err)
	}
	data := binary.BigEndian.AppendUint32(nil, uint32(size))
	data = append(data, make([]byte, size)...)
	measure(b, callers, func() error {
		s, err := client.Libp2p().NewStream(context.Background(), server.ID(), id)
		if err != nil {
			return err
		}
		if _, err := s.Write(data); err != nil {
			return err
		}
		if _, err := readStock(s); err != nil {
			return err
		}
		_ = s.Close()
		return nil
	})
}

func readStock(r io.Reader) ([]byte, error) {
	body := make([]byte, 4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	whole := make([]byte, 4+binary.BigEndian.Uint32(body))
	copy(whole, body)
	_, err := io.ReadFull(r, whole[4:])
	return whole, err
}

// measure runs call b.N times from some callers and reports calls per second and percentiles.
func measure(b *testing.B, callers int, call func() error) {
	b.Helper()
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
		if i < b.N%callers {
			n++
		}
		times[i] = make([]time.Duration, 0, n)
		go func() {
			for range n {
				start := time.Now()
				if err := call(); err != nil {
					errs <- err
					return
				}
				times[i] = append(times[i], time.Since(start))
			}
			errs <- nil
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
	if len(all) == 0 {
		return
	}
	b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1e3, "p99-µs")
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkStream measures items of 1 MiB from server to client, side by side with bare libp2p.
//
//	go test ./rpc -run - -bench Stream -count 5
func BenchmarkStream(b *testing.B) {
	const size = 1 << 20
	for _, listen := range []string{tcpAddr, quicAddr} {
		name := map[string]string{tcpAddr: "tcp", quicAddr: "quic"}[listen]
		b.Run(name+"/mesh", func(b *testing.B) {
			client, server := newNode(b, listen, rpc.Config{}), newNode(b, listen, rpc.Config{})
			item, poured := make([]byte, size), make([]byte, size)
			server.HandleStream("Test.pour", func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
				for {
					if err := s.Send(poured); err != nil {
						return err
					}
				}
			})
			ctx := context.Background()
			if err := client.Host().Connect(ctx, server.Host().AddrInfo()); err != nil {
				b.Fatal(err)
			}
			s, err := client.Stream(ctx, server.ID(), "Test.pour")
			if err != nil {
				b.Fatal(err)
			}
			pour(b, size, func() (err error) {
				item, err = s.RecvTo(item)
				return err
			})
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
		b.Run(name+"/raw", func(b *testing.B) {
			const id = protocol.ID("/stock/1")
			client, server := newHost(b, listen), newHost(b, listen)
			item := make([]byte, size)
			server.Libp2p().SetStreamHandler(id, func(s network.Stream) {
				for {
					if _, err := s.Write(item); err != nil {
						return
					}
				}
			})
			if err := client.Connect(context.Background(), server.AddrInfo()); err != nil {
				b.Fatal(err)
			}
			s, err := client.Libp2p().NewStream(context.Background(), server.ID(), id)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Write([]byte{1}); err != nil { // negotiates
				b.Fatal(err)
			}
			buf := make([]byte, size)
			pour(b, size, func() error {
				_, err := io.ReadFull(s, buf)
				return err
			})
			_ = s.Reset()
		})
	}
}

func pour(b *testing.B, size int64, next func() error) {
	b.Helper()
	b.SetBytes(size)
	b.ReportAllocs()
	for range b.N {
		if err := next(); err != nil {
			b.Fatal(err)
		}
	}
}
