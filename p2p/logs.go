package p2p

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/gologshim"
)

// libraryLogs is where go-libp2p's messages go. The library has one handler per process, fixed at its first
// message, so this has to be a variable of the package.
var libraryLogs struct {
	once    sync.Once
	handler atomic.Pointer[slog.Handler]
}

// RouteLibraryLogs sends go-libp2p's own messages to h, for the whole process; nil silences them, which is
// the default once a host has been made. Call it before the first host: the library keeps what it finds then,
// except that this package lets the destination change later.
func RouteLibraryLogs(h slog.Handler) {
	if h == nil {
		libraryLogs.handler.Store(nil)
	} else {
		libraryLogs.handler.Store(&h)
	}
	libraryLogs.once.Do(func() { gologshim.SetDefaultHandler(libraryHandler{}) })
}

// bridgeLibraryLogs makes the library quiet unless RouteLibraryLogs said otherwise.
func bridgeLibraryLogs() {
	libraryLogs.once.Do(func() { gologshim.SetDefaultHandler(libraryHandler{}) })
}

// libraryHandler passes records to the present destination, with what With calls have gathered.
type libraryHandler struct {
	wrap func(slog.Handler) slog.Handler
}

func (l libraryHandler) target() slog.Handler {
	p := libraryLogs.handler.Load()
	if p == nil {
		return slog.DiscardHandler
	}
	if l.wrap != nil {
		return l.wrap(*p)
	}
	return *p
}

// Enabled implements slog.Handler.
func (l libraryHandler) Enabled(ctx context.Context, level slog.Level) bool {
	p := libraryLogs.handler.Load()
	return p != nil && (*p).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l libraryHandler) Handle(ctx context.Context, r slog.Record) error {
	return l.target().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l libraryHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryHandler{wrap: func(h slog.Handler) slog.Handler { return l.wrapped(h).WithAttrs(attrs) }}
}

// WithGroup implements slog.Handler.
func (l libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{wrap: func(h slog.Handler) slog.Handler { return l.wrapped(h).WithGroup(name) }}
}

func (l libraryHandler) wrapped(h slog.Handler) slog.Handler {
	if l.wrap != nil {
		return l.wrap(h)
	}
	return h
}
