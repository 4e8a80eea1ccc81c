package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Lookup returns a variable's value and whether it is set; os.LookupEnv is one.
type Lookup func(name string) (string, bool)

type need bool

const (
	required need = true
	optional need = false
)

// reader reads variables and collects all faults.
type reader struct {
	lookup Lookup
	faults []error
}

func (r *reader) err() error { return errors.Join(r.faults...) }

// fault records what is wrong with a variable. Do not pass its value.
func (r *reader) fault(name, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s "+format, append([]any{name}, args...)...))
}

func (r *reader) text(name string, n need, is string) string {
	v, _ := r.lookup(name)
	v = strings.TrimSpace(v)
	if v == "" && n == required {
		r.fault(name, "is not set: set it to %s", is)
	}
	return v
}

func (r *reader) url(name string, n need, is string) string {
	v := r.text(name, n, is)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		r.fault(name, "is not a URL: set it to %s, starting with https:// or http://", is)
		return ""
	}
	return v
}

// endpointURL reads a service's endpoint; AWS_ENDPOINT_URL is its default.
func (r *reader) endpointURL(name string) string {
	if v := r.text(name, optional, ""); v == "" {
		name = "AWS_ENDPOINT_URL"
	}
	return r.url(name, optional, "an AWS endpoint")
}

func (r *reader) number(name string, missing, low, high int) int {
	v := r.text(name, optional, "")
	if v == "" {
		return missing
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		r.fault(name, "is not a whole number from %d to %d: set it to one or leave it out for %d", low, high, missing)
		return missing
	}
	return n
}

// time reads an RFC 3339 time, to the second; zero if not set.
func (r *reader) time(name string) time.Time {
	v := r.text(name, optional, "")
	if v == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil || t.Unix() <= 0 {
		r.fault(name, "is not a time after 1970 of the form 2006-01-02T15:04:05Z (RFC 3339)")
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// duration reads a duration such as 24h, between two bounds.
func (r *reader) duration(name string, missing, low, high time.Duration) time.Duration {
	v := r.text(name, optional, "")
	if v == "" {
		return missing
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < low || d > high {
		r.fault(name, "is not a duration such as 36h from %v to %v: set it to one or leave it out for %v", low, high, missing)
		return missing
	}
	return d
}

func (r *reader) flag(name string) bool {
	switch r.text(name, optional, "") {
	case "true":
		return true
	case "", "false":
		return false
	}
	r.fault(name, "is neither true nor false: set it to one or leave it out for false")
	return false
}

// days reads a number of days that something is kept, 0 for without end.
func (r *reader) days(name string, least time.Duration) time.Duration {
	const day, most = 24 * time.Hour, 36500
	v := r.text(name, optional, "")
	n, err := strconv.Atoi(v)
	if v != "" && (err != nil || n < int(least/day) || n > most) {
		r.fault(name, "is not a whole number of days from %d to %d: set it to one or leave it out, and nothing is forgotten", least/day, most)
		return 0
	}
	return time.Duration(n) * day
}

func (r *reader) level(name string) slog.Level {
	level, known := LogLevel(r.text(name, optional, ""))
	if !known {
		r.fault(name, "is not a log level: set it to debug, info, warn or error")
	}
	return level
}

// LogLevel returns the level with a name, info for "".
func LogLevel(name string) (level slog.Level, known bool) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, true
	case "", "info":
		return slog.LevelInfo, true
	case "warn":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	}
	return slog.LevelInfo, false
}

// prefixes reads addresses and ranges between commas.
func (r *reader) prefixes(name string) []netip.Prefix {
	v := r.text(name, optional, "")
	if v == "" {
		return nil
	}
	var list []netip.Prefix
	for i, word := range strings.Split(v, ",") {
		p, err := prefix(strings.TrimSpace(word))
		if err != nil {
			r.fault(name, "has an invalid address or CIDR range as item %d: write items such as 3.18.12.63 or 10.0.0.0/8 between commas", i+1)
			continue
		}
		list = append(list, p)
	}
	return list
}

// prefix parses an address or a range. IPv4 in IPv6 form becomes IPv4, like the addresses
// compared with it.
func prefix(word string) (netip.Prefix, error) {
	if !strings.Contains(word, "/") {
		ip, err := netip.ParseAddr(word)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, errors.New("not an address")
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("not a range")
	}
	return p.Masked(), nil
}
