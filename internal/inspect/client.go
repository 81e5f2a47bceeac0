package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const maxAnswer = 256 << 20 // a crawl of 10,000 nodes

// Client calls the Handler of a running node.
type Client struct {
	Addr  string // host:port
	Token string
	HTTP  *http.Client // nil: a default one
}

// Get calls Tools.Get.
func (c *Client) Get(ctx context.Context, q Query) (*Found, error) {
	return call[Found](ctx, c, pathGet, q)
}

// Put calls Tools.Put.
func (c *Client) Put(ctx context.Context, w Write) (*Stored, error) {
	return call[Stored](ctx, c, pathPut, w)
}

// Ping calls Tools.Ping.
func (c *Client) Ping(ctx context.Context, q PingQuery) (*Pong, error) {
	return call[Pong](ctx, c, pathPing, q)
}

// Peers calls Tools.Peers.
func (c *Client) Peers(ctx context.Context) (*Peers, error) {
	return call[Peers](ctx, c, pathPeers, nil)
}

// Table calls Tools.Table.
func (c *Client) Table(ctx context.Context) (*Table, error) {
	return call[Table](ctx, c, pathTable, nil)
}

// Trace calls Tools.Trace.
func (c *Client) Trace(ctx context.Context, q Query) (*Trace, error) {
	return call[Trace](ctx, c, pathTrace, q)
}

// Crawl calls Tools.Crawl.
func (c *Client) Crawl(ctx context.Context, q CrawlQuery) (*Graph, error) {
	return call[Graph](ctx, c, pathCrawl, q)
}

func call[A any](ctx context.Context, c *Client, path string, q any) (*A, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if q != nil {
		b, err := json.Marshal(q)
		if err != nil {
			return nil, fmt.Errorf("call the node: %w", err)
		}
		if len(b) > maxBody {
			return nil, &Error{CodeTooLarge, "the request is larger than the node takes"}
		}
		method, body = http.MethodPost, bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Addr+path, body)
	if err != nil {
		return nil, fmt.Errorf("call the node: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	hc := c.HTTP
	if hc == nil {
		hc = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy, no kept connection
	}
	resp, err := hc.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &Error{CodeTimeout, "no answer from the node in time"}
	case err != nil:
		return nil, fmt.Errorf("call the node: %w", err)
	}
	defer resp.Body.Close()
	d := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		e := &Error{}
		if err := d.Decode(e); err != nil || e.Text == "" {
			return nil, fmt.Errorf("call the node: %s", resp.Status)
		}
		return nil, e
	}
	a := new(A)
	if err := d.Decode(a); err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	return a, nil
}
