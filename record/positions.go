package record

import "container/heap"

// positionHeap orders positions of an expiryHeap by their entries.
type positionHeap struct {
	heap *expiryHeap
	list []int
}

func (p *positionHeap) push(i int) { heap.Push((*positions)(p), i) }

func (p *positionHeap) pop() int {
	i, _ := heap.Pop((*positions)(p)).(int)
	return i
}

// positions is a positionHeap as container/heap wants it.
type positions positionHeap

func (p *positions) Len() int { return len(p.list) }
func (p *positions) Less(a, b int) bool {
	return earlier(p.heap.list[p.list[a]], p.heap.list[p.list[b]])
}
func (p *positions) Swap(a, b int) { p.list[a], p.list[b] = p.list[b], p.list[a] }

func (p *positions) Push(x any) {
	if i, ok := x.(int); ok {
		p.list = append(p.list, i)
	}
}

func (p *positions) Pop() any {
	last := len(p.list) - 1
	i := p.list[last]
	p.list = p.list[:last]
	return i
}
