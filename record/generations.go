package record

import "sync"

// generations is a bounded cache: two maps of which the older is dropped whole when the younger is full. What is
// used at least once per generation stays. It holds at most twice size entries.
type generations[K comparable, V any] struct {
	size int

	mu    sync.Mutex
	young map[K]V
	old   map[K]V
}

func (g *generations[K, V]) get(key K) (V, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok := g.young[key]; ok {
		return v, true
	}
	v, ok := g.old[key]
	if ok {
		g.insert(key, v)
	}
	return v, ok
}

func (g *generations[K, V]) put(key K, v V) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.insert(key, v)
}

func (g *generations[K, V]) insert(key K, v V) {
	if g.young == nil || len(g.young) >= max(g.size, 1) {
		g.old, g.young = g.young, make(map[K]V)
	}
	g.young[key] = v
}

func (g *generations[K, V]) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.young) + len(g.old)
}

// lookupBytes is get with a key given as bytes, without allocating a string for it.
func lookupBytes[V any](g *generations[string, V], key []byte) (V, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok := g.young[string(key)]; ok {
		return v, true
	}
	v, ok := g.old[string(key)]
	if ok {
		g.insert(string(key), v)
	}
	return v, ok
}
