package inspect

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	tokenSize   = 32
	maxBody     = 256 << 10 // of a request: a record of 64 KiB in base64, with room
	actionsOnce = 4         // operations of the node at once
	bodyTime    = 10 * time.Second
	actTime     = time.Minute
	crawlTime   = 5 * time.Minute
	sendTime    = 30 * time.Second // for the answer, after the operation
)

// Paths of the handler: those of readers and those that act.
const (
	prefix    = "/dht/"
	pathTable = prefix + "table"
	pathPeers = prefix + "peers"
	pathGet   = prefix + "get"
	pathPut   = prefix + "put"
	pathPing  = prefix + "ping"
	pathTrace = prefix + "trace"
	pathCrawl = prefix + "crawl"
)

// NewToken draws a token.
func NewToken() string {
	b := make([]byte, tokenSize)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// Handler offers the operations of a node over HTTP: GET of /dht/table and /dht/peers shows what the node knows; POST of /dht/get, put,
// ping, trace and crawl makes it act and needs "Authorization: Bearer <token>". Bodies and answers are JSON, failures an Error.
//
// Bodies are bounded, a few operations run at once and each has a deadline. It is to be wrapped in Guard.
type Handler struct {
	token string
	tools func() (Tools, error)
	mux   *http.ServeMux
	slots chan struct{}
	wg    sync.WaitGroup // requests under way
}

// NewHandler returns a handler. tools is asked once per request and fails with an *Error while the node cannot serve.
func NewHandler(token string, tools func() (Tools, error)) *Handler {
	h := &Handler{token: token, tools: tools, mux: http.NewServeMux(), slots: make(chan struct{}, actionsOnce)}
	look(h, pathTable, Tools.Table)
	look(h, pathPeers, Tools.Peers)
	act(h, pathGet, actTime, Tools.Get)
	act(h, pathPut, actTime, Tools.Put)
	act(h, pathPing, actTime, Tools.Ping)
	act(h, pathTrace, actTime, Tools.Trace)
	act(h, pathCrawl, crawlTime, Tools.Crawl)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &Error{CodeBadRequest, "no " + r.Method + " of " + printable(r.URL.Path) + " here"})
	})
	return h
}

// ServeHTTP serves a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.wg.Add(1)
	defer h.wg.Done()
	h.mux.ServeHTTP(w, r)
}

// Wait returns when no request is under way. Close the HTTP server first: that ends their contexts.
func (h *Handler) Wait() { h.wg.Wait() }

// look serves an operation that only shows what the node knows.
func look[A any](h *Handler, path string, op func(Tools, context.Context) (A, error)) {
	h.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		tools, err := h.tools()
		if err != nil {
			fail(w, err)
			return
		}
		answer(r.Context(), w, func(ctx context.Context) (A, error) { return op(tools, ctx) })
	})
}

// act serves an operation that makes the node do something.
func act[Q, A any](h *Handler, path string, limit time.Duration, op func(Tools, context.Context, Q) (A, error)) {
	h.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(h.token)) != 1 {
			fail(w, &Error{CodeUnauthorized, "the token is missing or wrong"})
			return
		}
		deadlines := http.NewResponseController(w)
		_ = deadlines.SetReadDeadline(time.Now().Add(bodyTime))                     // no connection of a test recorder has one
		_ = deadlines.SetWriteDeadline(time.Now().Add(bodyTime + limit + sendTime)) // as above
		var q Q
		if err := readBody(w, r, &q); err != nil {
			fail(w, err)
			return
		}
		_ = deadlines.SetReadDeadline(time.Time{}) // the server reads on to notice that the client has gone
		select {
		case h.slots <- struct{}{}:
			defer func() { <-h.slots }()
		default:
			fail(w, &Error{CodeBusy, "the node is busy with other operations of this kind; try again"})
			return
		}
		tools, err := h.tools()
		if err != nil {
			fail(w, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		answer(ctx, w, func(ctx context.Context) (A, error) { return op(tools, ctx, q) })
	})
}

func readBody(w http.ResponseWriter, r *http.Request, q any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(q)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &Error{CodeTooLarge, "the request is larger than the node takes"}
	}
	if err != nil {
		return bad("body: %v", err)
	}
	return nil
}

func answer[A any](ctx context.Context, w http.ResponseWriter, op func(context.Context) (A, error)) {
	a, err := op(ctx)
	if err != nil {
		fail(w, err)
		return
	}
	b, err := json.Marshal(a)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // or the client has gone
}

func fail(w http.ResponseWriter, err error) {
	e := &Error{CodeInternal, err.Error()}
	errors.As(err, &e)
	status := map[Code]int{
		CodeBadRequest: http.StatusBadRequest, CodeUnauthorized: http.StatusUnauthorized, CodeForbidden: http.StatusForbidden,
		CodeNotFound: http.StatusNotFound, CodeRefused: http.StatusConflict, CodeTooLarge: http.StatusRequestEntityTooLarge,
		CodeNotReady: http.StatusServiceUnavailable, CodeBusy: http.StatusTooManyRequests, CodeTimeout: http.StatusGatewayTimeout,
		CodeUnreachable: http.StatusBadGateway,
	}[e.Code]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	b, err := json.Marshal(e)
	if err != nil {
		b = nil // two texts: it cannot be
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // or the client has gone
}

// Guard keeps web pages out: it answers only requests whose Host is this machine by number or as localhost, so that no name that
// somebody else controls leads here, and that no page of another origin makes.
func Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		origin := r.Header.Get("Origin")
		site := r.Header.Get("Sec-Fetch-Site")
		switch {
		case !local(r.Host):
			fail(w, &Error{CodeForbidden, "this is served under the address of this machine only"})
		case origin != "" && origin != "http://"+r.Host, site != "" && site != "same-origin" && site != "none":
			fail(w, &Error{CodeForbidden, "this is not for web pages"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
