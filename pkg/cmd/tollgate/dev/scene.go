package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/local/scenes"
)

// SceneEnd is the last line that a scene prints.
type SceneEnd struct {
	Scene    string   `json:"scene"`
	Seed     uint64   `json:"seed"`
	Customer string   `json:"customer"`
	Steps    int      `json:"steps"`
	Events   int      `json:"events"`
	Accounts []string `json:"accounts,omitempty"` // of an organisation
	Next     string   `json:"next"`
}

func sceneList() string {
	var b strings.Builder
	for _, name := range scenes.Names() {
		fmt.Fprintf(&b, "  %-18s %s\n", name, scenes.About(name))
	}
	return strings.TrimRight(b.String(), "\n")
}

func (c *Send) checkScene() error {
	switch {
	case c.What != "":
		return verb.Usage("--scene replaces an event type or a file: leave out %s", c.What)
	case c.Count != 1 || c.ID != "" || c.URL != "" || c.Secret != "" || c.Door == "eventbridge":
		return verb.Usage("--scene has its own events and system: leave out --count, --id, --url, --secret and --door")
	case scenes.About(c.Scene) == "":
		return verb.Hint(verb.Usage("unknown scene %q; there are: %s", c.Scene, strings.Join(scenes.Names(), ", ")), "tollgate send --help describes each")
	}
	return nil
}

func (c *Send) runScene(ctx context.Context, a *verb.App) error {
	t, err := a.Target(ctx)
	if err != nil {
		return err
	}
	if !t.Local || t.StripeURL == "" {
		return verb.Hint(verb.Usage("a scene needs a local system with the fake Stripe, and %s has none", t.Name),
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
	end := SceneEnd{Scene: scene.Name, Seed: seed, Customer: scene.Customer, Steps: len(scene.Steps), Next: "tollgate ledger show " + scene.Customer}
	if scene.Accounts[0] != "" {
		end.Accounts = scene.Accounts
		end.Next += " --account " + scene.Accounts[0]
	}
	for _, s := range scene.Steps {
		end.Events += len(s.Events)
	}
	a.Line(end, fmt.Sprintf("scene %s (seed %d): %d events of %d steps for customer %s\nnext: %s",
		end.Scene, end.Seed, end.Events, end.Steps, end.Customer, end.Next))
	return nil
}

// play runs the scene's actions in order; shuffled deliveries run in parallel with later
// actions.
func (c *Send) play(ctx context.Context, a *verb.App, t verb.Target, scene scenes.Scene) error {
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
	d := c.deliveries(a, c.sender(t.URL, t.Secret), total)
	limit := verb.Pace(c.Rate)
	for _, x := range actions {
		if x.Step != nil {
			if err := take(ctx, t, *x.Step); err != nil {
				return errors.Join(err, d.end(ctx))
			}
			continue
		}
		if err := limit.Wait(ctx); err != nil {
			break
		}
		d.start(ctx, x.Event)
		if c.Shuffle == nil {
			d.wait()
		}
	}
	return d.end(ctx)
}

// take sets a step's objects at the fake Stripe.
func take(ctx context.Context, t verb.Target, step scenes.Step) error {
	if len(step.Objects) > 0 {
		body, err := json.Marshal(step.Objects)
		if err != nil {
			return fmt.Errorf("write objects: %w", err)
		}
		if _, err := t.FakeStripe(ctx, step.Account, http.MethodPut, "/_fake/objects", body); err != nil {
			return err
		}
	}
	for _, id := range step.Gone {
		if _, err := t.FakeStripe(ctx, step.Account, http.MethodDelete, "/_fake/objects/"+url.PathEscape(id), nil); err != nil {
			return err
		}
	}
	return nil
}
