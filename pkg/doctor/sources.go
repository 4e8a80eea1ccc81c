package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ParsePublished reads the addresses and ranges from which Stripe delivers, as Stripe publishes
// them: ips_webhooks.json, {"WEBHOOKS":["3.18.12.63"]}, or ips_webhooks.txt, one a line.
func ParsePublished(raw []byte) (list []netip.Prefix, err error) {
	const do = "save Stripe's ips_webhooks.json or ips_webhooks.txt unchanged"
	words := strings.Fields(string(raw))
	if text := bytes.TrimSpace(raw); len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		var file struct {
			Webhooks []string `json:"WEBHOOKS"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return nil, errors.New(`it is not JSON of the form {"WEBHOOKS":["3.18.12.63"]}: ` + do)
		}
		words = file.Webhooks
	}
	for i, word := range words {
		p, err := netip.ParsePrefix(word)
		if ip, addressErr := netip.ParseAddr(word); addressErr == nil && ip.Zone() == "" {
			p, err = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("item %d, %+.40q, is no address: %s", i+1, word, do)
		}
		list = append(list, p.Masked())
	}
	if len(list) == 0 {
		return nil, errors.New("it names no address of webhooks: " + do)
	}
	return list, nil
}

// CheckSources compares the addresses that may deliver with those that Stripe publishes, nil if
// no list is given.
func CheckSources(allowed func(ctx context.Context) ([]netip.Prefix, error), published []netip.Prefix) Check {
	const do = `set "allow-ips" in the stage's file to the published addresses, and make deploy`
	return func(ctx context.Context) []Finding {
		f := findings{name: "allowed addresses"}
		list, err := allowed(ctx)
		switch {
		case errors.Is(err, ErrConfiguration):
			return f.fail(do, "%v", err)
		case err != nil:
			return unknown(f.name, err, "lambda:GetFunctionConfiguration of ingest")
		case len(list) == 0:
			return f.or("every address may deliver: nothing is filtered, the signature decides")
		case len(published) == 0:
			return []Finding{{f.name, Skipped, fmt.Sprintf("%d; --published-ips FILE compares them with Stripe's list", len(list)), ""}}
		}
		var refused, stale []string
		for _, from := range published {
			if !slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Bits() <= from.Bits() && p.Contains(from.Addr()) }) {
				refused = append(refused, words(from))
			}
		}
		for _, p := range list {
			if !slices.ContainsFunc(published, p.Overlaps) {
				stale = append(stale, words(p))
			}
		}
		if len(refused) > 0 {
			f.fail(do, "Stripe delivers from %s, and they are refused", strings.Join(refused, ", "))
		}
		if len(stale) > 0 {
			f.warn(do, "Stripe does not deliver from %s", strings.Join(stale, ", "))
		}
		return f.or("all %d that Stripe publishes, and no other", len(published))
	}
}

// words writes a range of one address as the address.
func words(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
