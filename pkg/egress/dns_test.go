package egress

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// names is a DNS server in memory. It answers the n-th question for an IPv4 address with the
// n-th list, then with the last one again.
type names struct {
	answers [][]string

	mu    sync.Mutex
	asked int // for IPv4 addresses
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.serve(server)
		return client, nil
	}}
}

// serve answers as over TCP: each message follows its length.
func (n *names) serve(c net.Conn) {
	defer c.Close()
	var size [2]byte
	for {
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		answer := n.answer(question)
		binary.BigEndian.PutUint16(size[:], uint16(len(answer)))
		if _, err := c.Write(append(size[:], answer...)); err != nil {
			return
		}
	}
}

// answer repeats the question, which ends with its type and class, and adds a record for each
// address. It drops the question's additional record.
func (n *names) answer(question []byte) []byte {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	kind := binary.BigEndian.Uint16(question[end+1:])
	var records []byte
	count := 0
	for _, text := range n.next(kind) {
		addr := netip.MustParseAddr(text)
		if addr.Is4() != (kind == 1) {
			continue
		}
		count++
		raw := addr.AsSlice()
		records = append(records, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(raw))) // TTL 0
		records = append(records, raw...)
	}
	header := []byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, byte(count), 0, 0, 0, 0}
	return append(append(header, question[12:end+5]...), records...)
}

func (n *names) next(kind uint16) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if kind != 1 {
		return n.answers[min(max(n.asked-1, 0), len(n.answers)-1)]
	}
	n.asked++
	return n.answers[min(n.asked, len(n.answers))-1]
}

func (n *names) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func TestResolver(t *testing.T) {
	n := &names{answers: [][]string{{"192.0.2.1", "192.0.2.2"}, {"192.0.2.3"}}}
	for _, want := range []string{"192.0.2.1", "192.0.2.3", "192.0.2.3"} {
		got, err := n.resolver().LookupNetIP(t.Context(), "ip4", "receiver.test")
		if err != nil || got[0].String() != want {
			t.Errorf("resolved to %v, %v, want %s", got, err, want)
		}
	}
}
