package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"
)

// Check finds what can be found without a network: a URL that Post would refuse, whatever its
// name resolves to. Its errors do not quote the URL.
//
// A host is an IP address in its standard text, or an ASCII name. Other spellings of an address
// (decimal, octal, hexadecimal, short, full-width) are refused, as some resolvers take them.
func Check(text string, o Options) error {
	if err := o.checkAllow(); err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil {
		return refused("not a URL")
	}
	switch {
	case u.Scheme != "https" && !(o.Local && u.Scheme == "http"):
		return refused("not an https:// URL")
	case u.Opaque != "" || u.User != nil:
		return refused("user information or no // after the scheme")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return refused("a fragment")
	}
	if err := checkPort(u.Host, u.Port()); err != nil {
		return err
	}
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return checkName(host, o)
	case addr.Is4In6() || addr.Zone() != "":
		return refused("an IPv4 address inside IPv6, or a zone")
	}
	return o.checkAddr(ssrf.New(ssrf.WithAnyPort()), addr, u.Scheme == "http")
}

func checkPort(host, port string) error {
	if strings.HasSuffix(host, ":") {
		return refused("an empty port")
	}
	if port == "" {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return refused("a port outside 1 to 65535")
	}
	return nil
}

// checkName accepts labels of letters, digits and inner hyphens. No name's last label begins with
// a digit; some resolvers read such a host as an address.
func checkName(host string, o Options) error {
	labels := strings.Split(strings.ToLower(host), ".")
	outside := func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-') }
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, outside) || strings.Trim(label, "-") != label {
			return refused("a host that is neither an IP address nor an ASCII name")
		}
	}
	last := labels[len(labels)-1]
	switch {
	case last[0] <= '9':
		return refused("an IP address that is not in its standard text")
	case last == "localhost" && !o.Local:
		return refused("localhost")
	}
	return nil
}

func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }
