package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/internal/inspect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// still is a node that answers a get when it is told to, and nothing else.
type still struct {
	inspect.Tools
	asked   chan struct{}
	release chan struct{}
}

func (s *still) Get(ctx context.Context, q inspect.Query) (*inspect.Found, error) {
	s.asked <- struct{}{}
	select {
	case <-s.release:
		return &inspect.Found{Key: q.Key}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *still) Table(context.Context) (*inspect.Table, error) { return &inspect.Table{ID: "t"}, nil }

type served struct {
	*still
	*httptest.Server
	handler *inspect.Handler
}

func serve(t *testing.T, fail error) *served {
	t.Helper()
	s := &served{still: &still{asked: make(chan struct{}, 100), release: make(chan struct{})}}
	s.handler = inspect.NewHandler("secret", func() (inspect.Tools, error) { return s.still, fail })
	s.Server = httptest.NewServer(inspect.Guard(s.handler))
	t.Cleanup(func() { s.Server.Close(); s.handler.Wait() })
	return s
}

func (s *served) client(token string) *inspect.Client {
	return &inspect.Client{Addr: strings.TrimPrefix(s.URL, "http://"), Token: token}
}

func codeOf(err error) inspect.Code {
	var e *inspect.Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Code
}

func TestTokenIsNeeded(t *testing.T) {
	s := serve(t, nil)
	close(s.release)
	for _, token := range []string{"", "secre", "secret2", "Secret", "terces"} {
		if _, err := s.client(token).Get(t.Context(), inspect.Query{Key: "k"}); codeOf(err) != inspect.CodeUnauthorized {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if len(s.asked) > 0 {
		t.Error("the node was asked without a token")
	}
	if f, err := s.client("secret").Get(t.Context(), inspect.Query{Key: "k"}); err != nil || f.Key != "k" {
		t.Errorf("with the token: %+v, %v", f, err)
	}
	if v, err := s.client("").Table(t.Context()); err != nil || v.ID != "t" {
		t.Errorf("the table is shown to readers: %+v, %v", v, err)
	}
}

func TestWebPagesAreRefused(t *testing.T) {
	s := serve(t, nil)
	for _, c := range []struct {
		host, origin, site string
		want               int
	}{
		{want: http.StatusOK},
		{host: "evil.example", want: http.StatusForbidden},
		{host: "evil.example:80", want: http.StatusForbidden},
		{host: "127.0.0.1.evil.example", want: http.StatusForbidden},
		{host: "10.0.0.1:80", want: http.StatusForbidden},
		{host: "localhost:7", want: http.StatusOK},
		{host: "[::1]:7", want: http.StatusOK},
		{origin: "http://evil.example", want: http.StatusForbidden},
		{origin: "null", want: http.StatusForbidden},
		{site: "cross-site", want: http.StatusForbidden},
		{site: "none", want: http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/dht/table", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.host != "" {
			req.Host = c.host
		}
		for k, v := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%+v: %s", c, resp.Status)
		}
	}
}

func TestBadRequests(t *testing.T) {
	s := serve(t, nil)
	post := func(path, body string) (int, inspect.Error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var e inspect.Error
		b, _ := io.ReadAll(resp.Body)
		if err := json.Unmarshal(b, &e); err != nil {
			t.Errorf("%s: %q is no error: %v", path, b, err)
		}
		return resp.StatusCode, e
	}
	for _, c := range []struct {
		path, body string
		status     int
		code       inspect.Code
	}{
		{"/dht/get", `{"key":"` + strings.Repeat("a", 300<<10) + `"}`, http.StatusRequestEntityTooLarge, inspect.CodeTooLarge},
		{"/dht/get", `{"key":"a","more":1}`, http.StatusBadRequest, inspect.CodeBadRequest},
		{"/dht/get", `{"key":"a"} {}`, http.StatusBadRequest, inspect.CodeBadRequest},
		{"/dht/get", ``, http.StatusBadRequest, inspect.CodeBadRequest},
		{"/dht/table", `{}`, http.StatusBadRequest, inspect.CodeBadRequest},
		{"/dht/what", `{}`, http.StatusBadRequest, inspect.CodeBadRequest},
	} {
		if status, e := post(c.path, c.body); status != c.status || e.Code != c.code {
			t.Errorf("%s %.40s: %d %+v", c.path, c.body, status, e)
		}
	}
	if len(s.asked) > 0 {
		t.Error("the node was asked")
	}
}

func TestOperationsAtOnceAreBounded(t *testing.T) {
	s := serve(t, nil)
	const most = 4
	results := make(chan error, most)
	for range most {
		go func() {
			_, err := s.client("secret").Get(t.Context(), inspect.Query{})
			results <- err
		}()
	}
	for range most {
		<-s.asked
	}
	if _, err := s.client("secret").Get(t.Context(), inspect.Query{}); codeOf(err) != inspect.CodeBusy {
		t.Errorf("one more: %v", err)
	}
	close(s.release)
	for range most {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestClientThatGoesEndsTheOperation(t *testing.T) {
	s := serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.client("secret").Get(ctx, inspect.Query{})
		done <- err
	}()
	<-s.asked
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.handler.Wait() // or the test does not end
}

func TestNotReady(t *testing.T) {
	s := serve(t, &inspect.Error{Code: inspect.CodeNotReady, Text: "wait"})
	if _, err := s.client("secret").Table(t.Context()); codeOf(err) != inspect.CodeNotReady {
		t.Error(err)
	}
	if _, err := s.client("secret").Get(t.Context(), inspect.Query{}); codeOf(err) != inspect.CodeNotReady {
		t.Error(err)
	}
}
