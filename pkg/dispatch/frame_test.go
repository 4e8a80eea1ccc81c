package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
)

// service has handlers as methods.
type service struct{ err error }

func (s *service) fails(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) {
	return nil, s.err
}

func (s *service) reachesAVeryFarAwayService(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) {
	return nil, fmt.Errorf("reach: %w", dispatch.Park("later", s.err))
}

// TestFrameOf: the frame is where the error was made, if Tollgate's own errors or a panic tell,
// else the handler.
func TestFrameOf(t *testing.T) {
	plain := errors.New("boom")
	s := &service{plain}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: "v"})
	dispatch.On(mux, "plain", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) { return nil, plain })
	dispatch.On(mux, "method", s.fails)
	dispatch.On(mux, "wrapped", s.reachesAVeryFarAwayService)
	dispatch.On(mux, "retry", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) {
		return nil, dispatch.RetryAfter(time.Second, plain)
	})
	dispatch.On(mux, "panics", func(context.Context, dispatch.Event[map[string]any]) (dispatch.Effects, error) { panic("oops") })
	for typ, want := range map[string]string{
		"plain":   "TestFrameOf frame_test.go:31",
		"method":  "dispatch_test.service.fails",
		"wrapped": "service.rea frame_test.go:22",
		"retry":   "TestFrameOf frame_test.go:35",
		"panics":  "TestFrameOf frame_test.go:37",
	} {
		_, err := mux.Dispatch(t.Context(), input(typ, "v", `{"object":"x"}`))
		got := dispatch.FrameOf(err)
		if got != want || len(got) > limits.MaxFrame {
			t.Errorf("%s: frame %q of %v, want %q", typ, got, err, want)
		}
		if typ == "plain" && (!errors.Is(err, plain) || err.Error() != "boom") {
			t.Errorf("error %v", err)
		}
	}
	if got := dispatch.FrameOf(fmt.Errorf("fetch: %w", plain)); got != "" {
		t.Errorf("frame %q of an error from nowhere", got)
	}
}
