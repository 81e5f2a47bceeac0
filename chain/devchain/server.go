package devchain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// ServerConfig configures a [Server]. Zero fields take the default.
type ServerConfig struct {
	// Listen is the TCP address of Serve; default 127.0.0.1:9944. The server knows
	// no users: whoever reaches it may steer the chain.
	Listen string
	// ChainName is what system_chain says; default "Hypertensor Development".
	ChainName string
	// ImplName and ImplVersion are system_name and system_version; default "mesh"
	// and "dev".
	ImplName, ImplVersion string
	// Properties is what system_properties says; default the token TENSOR with 18
	// decimals and Ethereum-like accounts.
	Properties map[string]any
	// NoDev leaves out the dev_ and engine_ namespaces.
	NoDev bool
	// AllowOrigins lists the origins whose web pages may connect; "*" is any.
	// Default: any when Listen is a loopback address, none otherwise.
	AllowOrigins []string

	MaxConnections   int           // WebSocket connections; default 256
	MaxMessage       int           // bytes of a request; default 15 MiB
	MaxResponse      int           // bytes of an answer; default 15 MiB
	MaxBatch         int           // calls in a batch; default 1000
	MaxSubscriptions int           // of a connection; default 1024
	MaxInFlight      int           // calls of a connection that run at once; default 16, more wait unread
	SendQueue        int           // messages that wait for a slow reader before it is dropped; default 512
	SendBytes        int           // bytes that wait for a slow reader; default 32 MiB
	CallTimeout      time.Duration // of one call; default 30 s
	WriteTimeout     time.Duration // of one message to a slow reader; default 10 s
	PingInterval     time.Duration // of WebSocket pings; a connection without an answer is dropped; default 30 s

	// Logger is for what goes wrong; nil: none.
	Logger *slog.Logger
}

func (c *ServerConfig) setDefaults() {
	text := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	count := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	span := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	text(&c.Listen, "127.0.0.1:9944")
	text(&c.ChainName, "Hypertensor Development")
	text(&c.ImplName, "mesh")
	text(&c.ImplVersion, "dev")
	if c.Properties == nil {
		c.Properties = map[string]any{"isEthereum": true, "ss58Format": 42, "tokenDecimals": 18, "tokenSymbol": "TENSOR"}
	}
	if c.AllowOrigins == nil && isLoopback(c.Listen) {
		c.AllowOrigins = []string{"*"}
	}
	count(&c.MaxConnections, 256)
	count(&c.MaxMessage, 15<<20)
	count(&c.MaxResponse, 15<<20)
	count(&c.MaxBatch, 1000)
	count(&c.MaxSubscriptions, 1024)
	count(&c.MaxInFlight, 16)
	count(&c.SendQueue, 512)
	count(&c.SendBytes, 32<<20)
	span(&c.CallTimeout, 30*time.Second)
	span(&c.WriteTimeout, 10*time.Second)
	span(&c.PingInterval, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Server is the JSON-RPC front of a [Chain]: WebSocket and HTTP on one port.
type Server struct {
	chain   *Chain
	cfg     ServerConfig
	log     *slog.Logger
	methods map[string]method
	faults  *faults
	meta    metaCache

	mu     sync.Mutex
	conns  map[*wsConn]struct{}
	closed bool
	active sync.WaitGroup // WebSocket connections

	listenMu sync.Mutex
	listener net.Listener
}

// NewServer returns a server for c. It starts nothing.
func NewServer(c *Chain, cfg ServerConfig) *Server {
	cfg.setDefaults()
	s := &Server{chain: c, cfg: cfg, log: cfg.Logger, faults: newFaults(c.cfg.Now), conns: map[*wsConn]struct{}{}}
	s.methods = map[string]method{}
	for _, table := range []map[string]method{
		s.systemMethods(), s.stateMethods(), s.chainMethods(), s.authorMethods(), s.networkMethods(),
	} {
		for name, f := range table {
			s.methods[name] = f
		}
	}
	if !cfg.NoDev {
		for name, f := range s.devMethods() {
			s.methods[name] = f
		}
	}
	return s
}

// Listen binds the port and returns its address. Serve does it when it has not
// been done.
func (s *Server) Listen() (net.Addr, error) {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	if s.listener == nil {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.cfg.Listen)
		if err != nil {
			return nil, fmt.Errorf("devchain: %w", err)
		}
		s.listener = l
	}
	return s.listener.Addr(), nil
}

// Serve answers until ctx ends, then closes every connection, waits for them,
// and returns nil.
func (s *Server) Serve(ctx context.Context) error {
	if _, err := s.Listen(); err != nil { //nolint:contextcheck // binding takes no time
		return err
	}
	hs := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       s.cfg.CallTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- hs.Serve(s.listener) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-done:
		done <- nil
	}
	err = errors.Join(err, hs.Close())
	if e := <-done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	s.closeConns()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// closeConns ends the WebSocket connections and waits for them.
func (s *Server) closeConns() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.cancel()
	}
	s.mu.Unlock()
	s.active.Wait()
}

// Handler answers JSON-RPC by POST and WebSocket, and GET /health.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	allowed := origin == "" || s.originAllowed(origin)
	if allowed && origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Vary", "Origin")
	}
	switch {
	case !allowed:
		http.Error(w, "Origin of the request is not whitelisted", http.StatusForbidden)
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		s.serveWS(w, r)
	case r.Method == http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
		w.Header().Set("Access-Control-Allow-Private-Network", "true")
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && r.URL.Path == "/health":
		w.Header().Set("Content-Type", "application/json")
		s.write(w, mustJSON(healthOf()))
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST, OPTIONS")
		http.Error(w, "Used HTTP Method is not allowed. POST or OPTIONS is required", http.StatusMethodNotAllowed)
	default:
		s.servePost(w, r)
	}
}

func (s *Server) originAllowed(origin string) bool {
	for _, o := range s.cfg.AllowOrigins {
		if o == "*" || strings.EqualFold(o, origin) {
			return true
		}
	}
	return false
}

func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "Supplied content type is not allowed. Content-Type: application/json is required", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxMessage)))
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		s.write(w, fail(nil, s.requestTooBig()))
		return
	}
	if err != nil {
		return // the client has gone or is too slow
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.CallTimeout)
	defer cancel()
	out, _ := s.handle(ctx, nil, body)
	if raw, broken := s.faults.spoil(body); broken {
		if raw == nil {
			panic(http.ErrAbortHandler) // the way to drop a connection without an answer
		}
		out = raw
	}
	if rc := http.NewResponseController(w); rc != nil {
		if err := rc.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout)); err != nil {
			s.log.Debug("no write deadline", "err", err)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	s.write(w, out)
}

func (s *Server) requestTooBig() *RPCError {
	return &RPCError{
		Code: codeTooBig, Message: "Request is too big",
		Data: fmt.Sprintf("Exceeded max limit of %d", s.cfg.MaxMessage),
	}
}

func (s *Server) write(w io.Writer, b []byte) {
	if _, err := w.Write(b); err != nil {
		s.log.Debug("client has gone", "err", err)
	}
}

// mustJSON encodes our own plain values.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("devchain: " + err.Error())
	}
	return b
}

// serveWS runs one WebSocket connection.
func (s *Server) serveWS(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	full := len(s.conns) >= s.cfg.MaxConnections
	closed := s.closed
	var c *wsConn
	if !full && !closed {
		c = newWSConn(s)
		s.conns[c] = struct{}{}
		s.active.Add(1)
	}
	s.mu.Unlock()
	if c == nil {
		http.Error(w, "Too many connections. Please try again later.", http.StatusServiceUnavailable)
		return
	}
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		s.active.Done()
	}()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // serveHTTP has checked the origin
	if err != nil {
		s.log.Debug("websocket refused", "err", err)
		return
	}
	c.run(r.Context(), ws)
}
