package sqs

import "container/heap"

// messageHeap is a heap from which any message can be removed, as each knows its index.
type messageHeap struct{ order messageOrder }

func newMessageHeap(less func(a, b *message) bool, place func(*message) *int) messageHeap {
	return messageHeap{messageOrder{less: less, place: place}}
}

func (h *messageHeap) len() int          { return len(h.order.items) }
func (h *messageHeap) push(m *message)   { heap.Push(&h.order, m) }
func (h *messageHeap) pop() *message     { return heap.Pop(&h.order).(*message) }
func (h *messageHeap) remove(m *message) { heap.Remove(&h.order, *h.order.place(m)) }

// top returns the first message, nil when there is none.
func (h *messageHeap) top() *message {
	if len(h.order.items) == 0 {
		return nil
	}
	return h.order.items[0]
}

// messageOrder implements heap.Interface.
type messageOrder struct {
	items []*message
	less  func(a, b *message) bool
	place func(*message) *int
}

func (o *messageOrder) Len() int           { return len(o.items) }
func (o *messageOrder) Less(i, j int) bool { return o.less(o.items[i], o.items[j]) }

func (o *messageOrder) Swap(i, j int) {
	o.items[i], o.items[j] = o.items[j], o.items[i]
	*o.place(o.items[i]), *o.place(o.items[j]) = i, j
}

func (o *messageOrder) Push(x any) {
	m := x.(*message)
	*o.place(m) = len(o.items)
	o.items = append(o.items, m)
}

func (o *messageOrder) Pop() any {
	last := len(o.items) - 1
	m := o.items[last]
	o.items[last] = nil
	o.items = o.items[:last]
	return m
}
