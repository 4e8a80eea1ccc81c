package event_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/pkg/event"
)

func TestValidEndpoint(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, "default": true, "a": true, "0": true, "a-b": true, "-": true, "A": false, "a_b": false, "ä": false,
		"a\n": false, "a/b": false, strings.Repeat("a", 32): true, strings.Repeat("a", 33): false,
	} {
		if got := event.ValidEndpoint(name); got != want {
			t.Errorf("%q: %t, want %t", name, got, want)
		}
	}
}

func TestMatchType(t *testing.T) {
	tests := []struct {
		pattern, typ string
		want         bool
	}{
		{"*", "invoice.paid", true},
		{"invoice.paid", "invoice.paid", true},
		{"invoice.*", "invoice.paid", true},
		{"invoice.*", "invoice.a.b", true},
		{"invoice.*", "invoiceitem.created", false},
		{"invoice*", "invoice.paid", false},
		{"invoice.p*", "invoice.paid", false},
		{"invoice.paid", "invoice.payment_failed", false},
		{"invoice.*.x", "invoice.a.x", false},
		{"", "invoice.paid", false},
		{"Invoice.*", "invoice.paid", false},
	}
	for _, tt := range tests {
		if got := event.MatchType(tt.pattern, tt.typ); got != tt.want {
			t.Errorf("MatchType(%q, %q) = %v", tt.pattern, tt.typ, got)
		}
	}
}

func TestValidPattern(t *testing.T) {
	for pattern, want := range map[string]bool{
		"": true, "*": true, "invoice.paid": true, "invoice.*": true,
		"invoice*": false, "invoice.p*": false, "invoice.*.x": false, "*.paid": false, "**": false, "invoice.*.*": false,
	} {
		if got := event.ValidPattern(pattern); got != want {
			t.Errorf("ValidPattern(%q) = %v", pattern, got)
		}
	}
}

func TestEnvelopeWords(t *testing.T) {
	live := event.Envelope{ID: "evt_1", Type: "t", Created: 1, Livemode: true, Object: event.ObjectThin}
	if live.Mode() != "live" || event.Mode(false) != "test" || !live.Thin() || read().Thin() {
		t.Errorf("mode %q, %q, thin %v, %v", live.Mode(), event.Mode(false), live.Thin(), read().Thin())
	}
	same := live
	same.Body, same.APIVersion, same.Source, same.ReceivedAt = []byte("x"), "2024-04-10", event.Replay, time.Unix(9, 0)
	if !live.SameFact(same) {
		t.Error("another body, version, source or time is not the same fact")
	}
	for name, change := range map[string]func(*event.Envelope){
		"id":      func(e *event.Envelope) { e.ID = "evt_2" },
		"type":    func(e *event.Envelope) { e.Type = "u" },
		"created": func(e *event.Envelope) { e.Created = 2 },
	} {
		other := live
		change(&other)
		if live.SameFact(other) {
			t.Errorf("another %s is the same fact", name)
		}
	}
	for source, want := range map[event.Source]bool{"webhook": true, "reconcile": true, "backfill": true, "replay": true, "": false, "Webhook": false} {
		if source.Valid() != want {
			t.Errorf("source %q valid is %v", source, source.Valid())
		}
	}
}
