package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/hypertensor-blockchain/mesh/p2p"
)

// Config describes a Node. Every zero value is a usable default.
type Config struct {
	// Namespace is the prefix of the native protocols, "/mesh/<genesis hex 8>/<subnet>". Nodes with different
	// namespaces do not understand each other natively. Default "/mesh".
	Namespace string

	// Python also serves and speaks the form of Python daemons, whose protocol IDs are the bare names of the
	// methods. Peers that speak the native form are always called natively.
	Python bool

	// Interceptors wrap every call, outermost first, on both sides.
	Interceptors []Interceptor

	MaxMessage      int           // bytes of one message or stream item; default 4 MiB, as Python daemons
	MaxBuffered     int64         // bytes of all requests in memory; default 256 MiB
	Deadline        time.Duration // for calls without one, made or served; default 10 s
	IdleTimeout     time.Duration // after which an unused kept stream is closed; default 15 s
	MaxDeadline     time.Duration // the longest that a caller may ask a unary handler to work; default 10 min
	StreamStall     time.Duration // a stream item that cannot be sent for so long ends the stream; default 1 min
	StreamIdle      time.Duration // a handler that receives no item and sends none for so long stops waiting; default 2 min
	MaxStreams      int           // streaming calls served at once, apart from the others; default 512
	MaxStreamsPeer  int           // streaming calls served at once for one peer; default 32
	MaxInFlight     int           // unary calls served at once; default 1024
	MaxInFlightPeer int           // unary calls served at once for one peer; default 64
	MaxOutgoing     int           // calls made at once; default 4096
	MaxOutgoingPeer int           // calls made at once to one peer; default 64, at most the peer's MaxInFlightPeer
	Logger          *slog.Logger  // nil: silent
}

const (
	defaultNamespace = "/mesh"
	defaultMessage   = 4 << 20
	defaultBuffered  = 256 << 20
	defaultDeadline  = 10 * time.Second
	defaultIdle      = 15 * time.Second
	defaultStall     = time.Minute
	defaultMost      = 10 * time.Minute
	defaultQuiet     = 2 * time.Minute
	defaultStreams   = 512
	defaultStreamsOf = 32
	defaultInFlight  = 1024
	defaultPerPeer   = 64 // QUIC blocks at 256 streams per connection; stay well below
	defaultOutgoing  = 4096
	serverIdleFactor = 4 // the server keeps an idle stream so much longer than the client, to never race it
)

func (c Config) withDefaults() Config {
	setDefault(&c.Namespace, defaultNamespace)
	setDefault(&c.MaxMessage, defaultMessage)
	setDefault(&c.MaxBuffered, defaultBuffered)
	setDefault(&c.Deadline, defaultDeadline)
	setDefault(&c.IdleTimeout, defaultIdle)
	setDefault(&c.StreamStall, defaultStall)
	setDefault(&c.MaxDeadline, max(defaultMost, c.Deadline))
	setDefault(&c.StreamIdle, defaultQuiet)
	setDefault(&c.MaxStreams, defaultStreams)
	setDefault(&c.MaxStreamsPeer, defaultStreamsOf)
	setDefault(&c.MaxInFlight, defaultInFlight)
	setDefault(&c.MaxInFlightPeer, defaultPerPeer)
	setDefault(&c.MaxOutgoing, defaultOutgoing)
	setDefault(&c.MaxOutgoingPeer, defaultPerPeer)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Node makes and serves calls on one host.
type Node struct {
	h        *p2p.Host
	cfg      Config
	log      *slog.Logger
	unaryID  protocol.ID
	streamID protocol.ID
	call     UnaryCall // through the client interceptors
	open     Opener    // through the client interceptors; nil if one of them cannot guard streams
	stats    counters

	handlers atomic.Pointer[map[Method]*handler] // replaced, never changed, under mu

	inFlight atomic.Int64 // unary calls being served
	streams  atomic.Int64 // streaming calls being served
	outgoing atomic.Int64 // calls being made
	buffered atomic.Int64 // bytes of requests in memory

	mu      sync.Mutex // guards the fields below
	closed  bool
	peers   map[peer.ID]*peerState
	serving map[serverStream]struct{}
	reap    *time.Timer // runs while idle streams exist
	reaping bool
	wg      sync.WaitGroup // streams being served; Add only under mu while not closed
}

// serverStream is something that serves until it is stopped.
type serverStream interface{ stop() }

// handler is a registered method.
type handler struct {
	method Method
	unary  UnaryHandler // through the server interceptors
	stream StreamHandler
	opts   handlerOptions
}

// HandlerOption changes how one method is served.
type HandlerOption func(*handlerOptions)

type handlerOptions struct {
	maxRequest  int
	direct      bool
	unprotected bool
}

// WithMaxRequest lowers the size limit of a method's requests or stream items.
func WithMaxRequest(bytes int) HandlerOption { return func(o *handlerOptions) { o.maxRequest = bytes } }

// WithDirectOnly refuses calls that come through a relay, whose connections are short and slow.
func WithDirectOnly() HandlerOption { return func(o *handlerOptions) { o.direct = true } }

// WithoutInterceptors serves a method to everybody who is connected, past all interceptors.
func WithoutInterceptors() HandlerOption { return func(o *handlerOptions) { o.unprotected = true } }

// NewNode serves on h. The host stays the caller's; close it after the node.
func NewNode(h *p2p.Host, cfg Config) *Node {
	cfg = cfg.withDefaults()
	n := &Node{
		h: h, cfg: cfg, log: cfg.Logger,
		unaryID:  protocol.ID(cfg.Namespace + "/rpc/1"),
		streamID: protocol.ID(cfg.Namespace + "/stream/1"),
		peers:    make(map[peer.ID]*peerState),
		serving:  make(map[serverStream]struct{}),
	}
	n.handlers.Store(&map[Method]*handler{})
	for _, i := range cfg.Interceptors {
		if b, ok := i.(Binder); ok {
			b.Bind(n)
		}
	}
	n.call, n.open = n.invoke, n.openStream
	for i := len(cfg.Interceptors) - 1; i >= 0; i-- {
		n.call = cfg.Interceptors[i].Client(n.call)
		if guard, ok := cfg.Interceptors[i].(StreamInterceptor); ok && n.open != nil {
			n.open = guard.ClientStream(n.open)
		} else {
			n.open = nil
		}
	}
	n.reap = time.AfterFunc(time.Hour, n.reapIdle)
	n.reap.Stop()
	h.Libp2p().Network().Notify((*notifiee)(n))
	h.Libp2p().SetStreamHandler(n.unaryID, n.serveLane)
	h.Libp2p().SetStreamHandler(n.streamID, n.serveNativeStream)
	return n
}

// Host returns the host that the node runs on.
func (n *Node) Host() *p2p.Host { return n.h }

// ID returns the own peer ID.
func (n *Node) ID() peer.ID { return n.h.ID() }

// Native tells whether calls to a peer run in the native form, connecting to it if need be. Without
// Config.Python they always do.
func (n *Node) Native(ctx context.Context, to peer.ID) (bool, error) {
	if !n.cfg.Python || to == n.h.ID() {
		return true, nil
	}
	n.mu.Lock()
	p := n.peers[to]
	n.mu.Unlock()
	if p != nil && p.native.Load() {
		return true, nil
	}
	if !n.h.Connected(to) {
		if err := n.h.Connect(ctx, peer.AddrInfo{ID: to}); err != nil {
			return false, n.failed(ctx, err, to, "")
		}
	}
	ids, err := n.h.Speaks(ctx, to, n.unaryID)
	if err != nil {
		return false, n.failed(ctx, err, to, "")
	}
	return len(ids) > 0, nil
}

// Handle serves a unary method. A method that is served already, or a name that is empty or longer than 255
// bytes, is a programming error and panics.
func (n *Node) Handle(m Method, h UnaryHandler, opts ...HandlerOption) {
	e := newHandler(m, opts)
	e.unary = h
	if !e.opts.unprotected {
		for i := len(n.cfg.Interceptors) - 1; i >= 0; i-- {
			e.unary = n.cfg.Interceptors[i].Server(e.unary)
		}
	}
	n.register(e)
}

// HandleStream serves a streaming method; see Handle. If an interceptor of the node cannot guard streams, the
// method answers Unimplemented.
func (n *Node) HandleStream(m Method, h StreamHandler, opts ...HandlerOption) {
	e := newHandler(m, opts)
	e.stream = h
	for i := len(n.cfg.Interceptors) - 1; i >= 0 && !e.opts.unprotected; i-- {
		guard, ok := n.cfg.Interceptors[i].(StreamInterceptor)
		if !ok {
			e.stream = refuseUnguarded
			break
		}
		e.stream = guard.ServerStream(e.stream)
	}
	n.register(e)
}

func refuseUnguarded(context.Context, *Request, *ServerStream) error {
	return Errorf(Unimplemented, "streams are not guarded here")
}

func newHandler(m Method, opts []HandlerOption) *handler {
	if m == "" || len(m) > maxMethod {
		panic(fmt.Sprintf("rpc: method name of %d bytes", len(m)))
	}
	e := &handler{method: m}
	for _, o := range opts {
		o(&e.opts)
	}
	return e
}

func (n *Node) register(e *handler) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	old := *n.handlers.Load()
	if _, taken := old[e.method]; taken {
		n.mu.Unlock()
		panic(fmt.Sprintf("rpc: method %s is served already", e.method))
	}
	methods := make(map[Method]*handler, len(old)+1)
	for k, v := range old {
		methods[k] = v
	}
	methods[e.method] = e
	n.handlers.Store(&methods)
	n.mu.Unlock()
	if n.cfg.Python {
		n.h.Libp2p().SetStreamHandler(protocol.ID(e.method), func(s network.Stream) { n.servePython(s, e.method) })
	}
}

// Remove stops serving a method; calls that run go on. Unknown methods are ignored.
func (n *Node) Remove(m Method) {
	n.mu.Lock()
	old := *n.handlers.Load()
	methods := make(map[Method]*handler, len(old))
	for k, v := range old {
		if k != m {
			methods[k] = v
		}
	}
	n.handlers.Store(&methods)
	n.mu.Unlock()
	if n.cfg.Python {
		n.h.Libp2p().RemoveStreamHandler(protocol.ID(m))
	}
}

// Methods returns the names of the methods served.
func (n *Node) Methods() []Method {
	handlers := *n.handlers.Load()
	names := make([]Method, 0, len(handlers))
	for m := range handlers {
		names = append(names, m)
	}
	return names
}

// ErrClosed reports a call on a closed node.
var ErrClosed = errors.New("rpc: node is closed")

// Close stops serving, cancels the calls that run, and waits for their handlers.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		n.wg.Wait()
		return nil
	}
	n.closed = true
	n.reap.Stop()
	serving := make([]serverStream, 0, len(n.serving))
	for s := range n.serving {
		serving = append(serving, s)
	}
	peers := make([]*peerState, 0, len(n.peers))
	for _, p := range n.peers {
		peers = append(peers, p)
	}
	n.mu.Unlock()

	lib := n.h.Libp2p()
	lib.Network().StopNotify((*notifiee)(n))
	lib.RemoveStreamHandler(n.unaryID)
	lib.RemoveStreamHandler(n.streamID)
	if n.cfg.Python {
		for m := range *n.handlers.Load() {
			lib.RemoveStreamHandler(protocol.ID(m))
		}
	}
	for _, p := range peers {
		p.closeAll()
	}
	for _, s := range serving {
		s.stop()
	}
	n.wg.Wait()
	return nil
}

// enter registers a stream that is served, unless the node is closed.
func (n *Node) enter(s serverStream) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.serving[s] = struct{}{}
	n.wg.Add(1)
	return true
}

func (n *Node) leave(s serverStream) {
	n.mu.Lock()
	delete(n.serving, s)
	n.mu.Unlock()
	n.wg.Done()
}

// reset ends a stream at once; there is nobody to tell if that fails.
func (n *Node) reset(s network.Stream) {
	if err := s.Reset(); err != nil {
		n.log.Debug("rpc: reset", "err", err)
	}
}
