package egress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// control returns the check that the dialer makes of each resolved address, just before it
// connects.
func (o Options) control() func(context.Context, string, string, syscall.RawConn) error {
	check := o.checkAddr()
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused("not an IP address")
		}
		return check(to.Addr())
	}
}

// checkAddr returns a check whether an address may be reached.
func (o Options) checkAddr() func(netip.Addr) error {
	guard := ssrf.New(ssrf.WithAnyPort())
	return func(addr netip.Addr) error {
		addr = addr.WithZone("").Unmap() // neither may hide an address from a network
		contains := func(p netip.Prefix) bool { return p.Contains(addr) }
		switch {
		case slices.ContainsFunc(metadata(), contains):
			return refused("the address of a metadata service")
		case slices.ContainsFunc(o.Allow, contains), o.Local && addr.IsLoopback():
			return nil
		case o.Local:
			return refused("neither a loopback address nor in a network of allow")
		case guard.SafeAddr(addr) != nil:
			return refused("an address that is not public")
		}
		return nil
	}
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

// checkAllow refuses what would open more than private networks and, in the local system, this
// machine.
func (o Options) checkAllow() error {
	networks := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("fc00::/7"),
	}
	if o.Local {
		networks = append(networks, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	for _, p := range o.Allow {
		contains := func(q netip.Prefix) bool { return p.Bits() >= q.Bits() && q.Contains(p.Addr()) }
		if !slices.ContainsFunc(networks, contains) {
			return fmt.Errorf("%w: allow names %v, which is not in a private network", ErrRefused, p)
		}
	}
	return nil
}
