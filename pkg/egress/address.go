package egress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// plain marks the context of a request by plain HTTP.
type plain struct{}

// control returns the check that the dialer makes of each resolved address, just before it
// connects.
func (o Options) control() func(context.Context, string, string, syscall.RawConn) error {
	guard := ssrf.New(ssrf.WithAnyPort())
	return func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused("not an IP address")
		}
		return o.checkAddr(guard, to.Addr(), ctx.Value(plain{}) != nil)
	}
}

// checkAddr checks whether an address may be reached, by HTTPS or by plain HTTP.
func (o Options) checkAddr(guard *ssrf.Guardian, addr netip.Addr, isPlain bool) error {
	addr = addr.WithZone("").Unmap() // neither may hide an address from a network
	contains := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case slices.ContainsFunc(metadata(), contains):
		return refused("the address of a metadata service")
	case slices.ContainsFunc(o.Allow, contains), o.Local && addr.IsLoopback():
		return nil
	case isPlain:
		return refused("plain HTTP to an address outside of the local system")
	case guard.SafeAddr(addr) != nil:
		return refused("an address that is not public")
	}
	return nil
}

// metadata are networks of services that give a cloud's credentials to whoever can reach them.
func metadata() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("169.254.0.0/16"),     // AWS: instances, tasks; most others
		netip.MustParsePrefix("fd00:ec2::/32"),      // AWS
		netip.MustParsePrefix("168.63.129.16/32"),   // Azure
		netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	}
}

// checkAllow refuses what would open more than [MayAllow] says.
func (o Options) checkAllow() error {
	for _, p := range o.Allow {
		if !MayAllow(p, o.Local) {
			return fmt.Errorf("%w: allow names %v, which is not in a private network", ErrRefused, p)
		}
	}
	return nil
}

// MayAllow reports whether Allow may name a network: a part of a private network or, in the local
// system, of this machine's addresses.
func MayAllow(p netip.Prefix, local bool) bool {
	networks := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("fc00::/7"),
	}
	if local {
		networks = append(networks, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return slices.ContainsFunc(networks, func(q netip.Prefix) bool { return p.Bits() >= q.Bits() && q.Contains(p.Addr()) })
}
