package rpc

import "errors"

// ClientStream is the caller's end of a streaming call.
type ClientStream struct{}

// Send sends one item.
func (s *ClientStream) Send(item []byte) error { return errors.New("not built yet") }

// CloseSend tells the server that no more items follow.
func (s *ClientStream) CloseSend() error { return nil }

// Recv returns the next item, or io.EOF after the last.
func (s *ClientStream) Recv() ([]byte, error) { return nil, errors.New("not built yet") }

// Close ends the call; the server's context is cancelled if it still runs.
func (s *ClientStream) Close() error { return nil }

// ServerStream is the handler's end of a streaming call.
type ServerStream struct{}

// Send sends one item.
func (s *ServerStream) Send(item []byte) error { return errors.New("not built yet") }

// Recv returns the next item, or io.EOF after the last.
func (s *ServerStream) Recv() ([]byte, error) { return nil, errors.New("not built yet") }
