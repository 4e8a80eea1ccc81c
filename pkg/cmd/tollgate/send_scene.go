package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tollgate/pkg/local/scenes"
)

// sceneEnd is the last line of a scene.
type sceneEnd struct {
	Scene    string `json:"scene"`
	Seed     uint64 `json:"seed"`
	Customer string `json:"customer"`
	Steps    int    `json:"steps"`
	Events   int    `json:"events"`
	Next     string `json:"next"`
}

func sceneList() string {
	var b strings.Builder
	for _, name := range scenes.Names() {
		fmt.Fprintf(&b, "  %-18s %s\n", name, scenes.About(name))
	}
	return strings.TrimRight(b.String(), "\n")
}

func (c *sendCmd) checkScene() error {
	switch {
	case c.What != "":
		return usage("--scene takes the place of an event type or a file: leave out %s", c.What)
	case c.Count != 1 || c.ID != "" || c.URL != "" || c.Secret != "":
		return usage("--scene knows its events and its system: leave out --count, --id, --url and --secret")
	case scenes.About(c.Scene) == "":
		return hint(usage("no scene %q; there are: %s", c.Scene, strings.Join(scenes.Names(), ", ")), "tollgate send --help says what happens in each")
	}
	return nil
}

// runScene plays a scene on the local system.
func (c *sendCmd) runScene(ctx context.Context, a *app) error {
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	if !t.local || t.stripeURL == "" {
		return hint(usage("a scene needs a local system with the fake Stripe, and %s has none", t.name),
			"start tollgate dev without STRIPE_API_KEY, and leave out --stack")
	}
	seed := rand.Uint64N(1_000_000)
	if c.Seed != nil {
		seed = *c.Seed
	}
	scene, err := scenes.Make(c.Scene, scenes.Options{Seed: seed, Now: time.Now()})
	if err != nil {
		return err
	}
	if err := c.play(ctx, a, t, scene); err != nil {
		return err
	}
	end := sceneEnd{Scene: scene.Name, Seed: seed, Customer: scene.Customer, Steps: len(scene.Steps), Next: "tollgate ledger show " + scene.Customer}
	for _, s := range scene.Steps {
		end.Events += len(s.Events)
	}
	a.line(end, fmt.Sprintf("scene %s (seed %d): %d events of %d steps for customer %s\nnext: %s",
		end.Scene, end.Seed, end.Events, end.Steps, end.Customer, end.Next))
	return nil
}

// play does the scene's actions one after the other; shuffled deliveries run beside what
// comes after them.
func (c *sendCmd) play(ctx context.Context, a *app, t target, scene scenes.Scene) error {
	actions := scene.InOrder(c.Dup)
	if c.Shuffle != nil {
		actions = scene.Shuffled(*c.Shuffle, c.Dup)
	}
	total := 0
	for _, x := range actions {
		if x.Event != nil {
			total++
		}
	}
	d := c.deliveries(a, c.sender(t.url, t.secret), total)
	stripe := fakeStripeOf(t)
	tick := pace(c.Rate)
	for _, x := range actions {
		if x.Step != nil {
			if err := stripe.take(ctx, *x.Step); err != nil {
				return errors.Join(err, d.end(ctx))
			}
			continue
		}
		if err := tick(ctx); err != nil {
			break
		}
		d.start(ctx, x.Event)
		if c.Shuffle == nil {
			d.wait()
		}
	}
	return d.end(ctx)
}

// fakeStripe is the local system's fake Stripe, as its control paths see it.
type fakeStripe struct {
	client *http.Client
	url    string
}

func fakeStripeOf(t target) fakeStripe {
	return fakeStripe{client: &http.Client{Timeout: sendTimeout}, url: t.stripeURL}
}

// fakeStripeKey is a key that the fake Stripe takes; it takes every test key.
const fakeStripeKey = "sk_test_fake"

// take makes what a step says the state of its objects.
func (s fakeStripe) take(ctx context.Context, step scenes.Step) error {
	if len(step.Objects) > 0 {
		body, err := json.Marshal(step.Objects)
		if err != nil {
			return fmt.Errorf("write objects: %w", err)
		}
		if _, err := s.do(ctx, http.MethodPut, "/_fake/objects", body); err != nil {
			return err
		}
	}
	for _, id := range step.Gone {
		if _, err := s.do(ctx, http.MethodDelete, "/_fake/objects/"+url.PathEscape(id), nil); err != nil {
			return err
		}
	}
	return nil
}

func (s fakeStripe) do(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(s.url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the fake Stripe: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+fakeStripeKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the fake Stripe: %w", err)
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, fmt.Errorf("ask the fake Stripe: %s %s is answered %d %s", method, path, res.StatusCode, oneLine(string(answer)))
	}
	if err != nil {
		return nil, fmt.Errorf("ask the fake Stripe: %w", err)
	}
	return answer, nil
}
