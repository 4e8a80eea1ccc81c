package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// notPublic are addresses that no client without Allow and Local may reach.
func notPublic() []string {
	return []string{
		// loopback, this host
		"127.0.0.1", "127.0.0.2", "127.1.1.1", "127.255.255.254", "0.0.0.0", "0.0.0.1", "0.255.255.255", "::1", "::", "::2",
		// private networks
		"10.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.20.10.5", "172.31.255.255", "192.168.0.1", "192.168.255.255",
		"fc00::1", "fd00::1", "fd12:3456:789a:1::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		// carriers' NAT
		"100.64.0.1", "100.100.1.1", "100.127.255.255",
		// link-local, site-local
		"169.254.0.1", "169.254.255.255", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1",
		// metadata services: AWS instances, tasks, pods and time; Google; Oracle; Azure; Alibaba
		"169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.169.123", "169.254.169.253", "fd00:ec2::254", "fd00:ec2::23",
		"fd20:ce::254", "192.0.0.192", "168.63.129.16", "100.100.100.200",
		// multicast, broadcast, reserved
		"224.0.0.1", "224.0.0.251", "239.255.255.250", "240.0.0.1", "255.255.255.255", "ff02::1", "ff05::2", "ff0e::1",
		// protocol assignments, documentation, benchmarking
		"192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "192.88.99.1",
		"192.31.196.1", "192.52.193.1", "192.175.48.1", "2001:db8::1", "3fff::1", "2001:2::1", "100::1", "100:0:0:1::1", "5f00::1",
		// IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "::127.0.0.1", "::a9fe:a9fe",
		"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::1",
		"2002:808:808::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
		// zones
		"fe80::1%eth0", "::1%lo", "::ffff:10.0.0.1%eth0",
	}
}

func public() []string {
	return []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "168.63.129.15", "168.63.129.17", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:81b::200e", "2600:1f18::1",
	}
}

// TestAddresses asks what the dialer asks before it connects.
func TestAddresses(t *testing.T) {
	if n := len(notPublic()); n < 60 {
		t.Fatalf("only %d addresses", n)
	}
	private := Options{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("100.64.0.0/10")}}
	local := Options{Local: true, Allow: []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}}
	for _, c := range []struct {
		name  string
		o     Options
		addrs []string
		want  bool
		plain bool
	}{
		{"not public", Options{}, notPublic(), false, false},
		{"public", Options{}, public(), true, false},
		{"public, with private networks", private, public(), true, false},
		{"allowed", private, []string{"10.0.0.1", "10.255.255.255", "::ffff:10.0.0.1", "fd00::1", "100.64.0.1"}, true, false},
		{"not allowed", private, []string{"127.0.0.1", "192.168.0.1", "172.16.0.1", "fe80::1", "::1", "64:ff9b::a00:1", "2002:a00:1::1"}, false, false},
		{"allowed but for metadata services", private, []string{"fd00:ec2::254", "100.100.100.200", "169.254.169.254"}, false, false},
		{"local", local, append(public(), "127.0.0.1", "127.0.0.2", "::1", "172.16.0.1", "::ffff:127.0.0.1"), true, false},
		{"not local", local, []string{"10.0.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0", "::", "fd00:ec2::254"}, false, false},
		{"local by plain HTTP", local, []string{"127.0.0.1", "::1", "172.16.0.1"}, true, true},
		{"not local by plain HTTP", local, append(public(), "10.0.0.1", "169.254.169.254", "0.0.0.0", "::"), false, true},
	} {
		for _, addr := range c.addrs {
			address, ctx := net.JoinHostPort(addr, "443"), t.Context()
			if c.plain {
				ctx = context.WithValue(ctx, plain{}, true)
			}
			if err := c.o.control()(ctx, "tcp", address, nil); (err == nil) != c.want || err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("%s: %s: %v", c.name, address, err)
			}
		}
	}
	if err := (Options{}).control()(t.Context(), "tcp", "example.com:443", nil); !errors.Is(err, ErrRefused) {
		t.Errorf("a name: %v", err)
	}
}

// refusedURLs are refused before a name is resolved.
func refusedURLs() []string {
	urls := []string{
		// schemes
		"http://example.com/", "HTTP://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "ws://example.com/",
		"//example.com/", "example.com", "/hooks", "", "https:example.com", "https:///hooks", "https://", "javascript:alert(1)", "data:,x",
		// spellings of 127.0.0.1
		"https://2130706433/", "https://0x7f000001/", "https://0x7f.0x0.0x0.0x1/", "https://0177.0.0.1/", "https://017700000001/", "https://127.1/",
		"https://127.0.1/", "https://127.0.0.1./", "https://127.000.000.001/", "https://0X7F.1/", "https://127.0.0.0x1/", "https://0/", "https://00/",
		"https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:ffff:7f00:1]/", "https://[::1]/", "https://[0:0::1]:443/",
		"https://127.0.0.1:443/", "https://[127.0.0.1]/", "https://::1/", "https://[::1/", "https://[::1%25lo]/", "https://[fe80::1%25eth0]/", "https://[::127.0.0.1]/",
		"https://１２７.０.０.１/", "https://127。0。0。1/", "https://①②⑦.⓪.⓪.①/", "https://%31%32%37.0.0.1/", "https://%E2%91%A0/", "https://127%2e0%2e0%2e1/",
		// of metadata services
		"https://2852039166/latest/meta-data/", "https://0xa9fea9fe/", "https://169.254.43518/", "https://0251.0376.0251.0376/", "https://[fd00:ec2::254]/",
		"https://[::ffff:a9fe:a9fe]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:a9fe:a9fe::]/", "https://169.254.169.254:80/latest",
		// user information, and what may be read as a host
		"https://user@example.com/", "https://user:password@example.com/", "https://example.com@127.0.0.1/", "https://127.0.0.1@example.com/",
		"https://@example.com/", `https://example.com\@127.0.0.1/`, `https:\\example.com\`, "https://example.com%2f@127.0.0.1/", "https://127.0.0.1%00.example.com/",
		"https://example.com#@127.0.0.1/", "https://example.com/#", "https://example.com?@[::1]/#x", "https://exa mple.com/", "https://example.com\r\nHost: a/", "https://exam\tple.com/",
		// names
		"https://localhost/", "https://LOCALHOST:443/", "https://a.localhost/", "https://localhost./", "https://example.com./", "https://.example.com/",
		"https://example..com/", "https://-a.example.com/", "https://a-.example.com/", "https://a_b.example.com/", "https://exämple.com/", "https://ｅxample.com/",
		"https://example.com%2e/", "https://*.example.com/", "https://" + strings.Repeat("a", 64) + ".com/",
		// ports
		"https://example.com:/", "https://example.com:0/", "https://example.com:65536/", "https://example.com:-1/", "https://example.com:http/", "https://example.com:44 3/",
		"https://example.com:443:80/", "https://example.com:99999999999999999999/",
	}
	for _, addr := range notPublic() {
		urls = append(urls, "https://"+host(addr)+"/")
	}
	return urls
}

func host(addr string) string {
	if strings.Contains(addr, ":") {
		return "[" + strings.ReplaceAll(addr, "%", "%25") + "]"
	}
	return addr
}

func TestCheck(t *testing.T) {
	n := &names{answers: [][]string{{"127.0.0.1"}}}
	client := client(t, Options{Resolver: n.resolver()})
	for _, u := range refusedURLs() {
		if _, err := client.Post(t.Context(), u, nil, nil); !errors.Is(err, ErrRefused) || u != "" && strings.Contains(err.Error(), u) {
			t.Errorf("%q: %v", u, err)
		}
	}
	if n.count() > 0 {
		t.Errorf("%d names were resolved", n.count())
	}
	accepted := []string{
		"https://example.com", "https://example.com/", "https://EXAMPLE.com:8443/hooks?a=b&c=%2f", "https://a-b.c1.example.com/a@b:c", "https://xn--exmple-cua.com/",
		"https://crm/", "https://0.pool.example.com/", "https://1.1.1.1.example.com/", "HTTPS://example.com/", "https://127.0.0.1.example.com/", "https://localhost.example.com/",
	}
	for _, addr := range public() {
		accepted = append(accepted, "https://"+host(addr)+":8443/hooks")
	}
	for _, u := range accepted {
		if err := Check(u, Options{}); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	}
}

func TestCheckOptions(t *testing.T) {
	for _, c := range []struct {
		url   string
		allow string
		local bool
		want  bool
	}{
		{"https://10.0.0.1/", "10.0.0.0/24", false, true},
		{"https://10.0.1.1/", "10.0.0.0/24", false, false},
		{"https://[fd00::1]/", "fd00::/64", false, true},
		{"https://[::ffff:10.0.0.1]/", "10.0.0.0/24", false, false},
		{"https://[fd00:ec2::254]/", "fc00::/7", false, false},
		{"https://localhost/", "10.0.0.0/8", false, false},
		{"http://10.0.0.1/", "10.0.0.0/24", false, false},
		{"http://10.0.0.1/", "10.0.0.0/24", true, true},
		{"http://127.0.0.1:8080/", "", true, true},
		{"http://localhost:8080/", "", true, true},
		{"http://[::1]:8080/", "", true, true},
		{"http://1.1.1.1/", "", true, false},
		{"https://1.1.1.1/", "", true, true},
		{"https://127.0.0.1/", "", true, true},
		{"https://2130706433/", "", true, false},
		{"http://169.254.169.254/", "", true, false},
		// Only private networks can be allowed.
		{"https://example.com/", "10.1.0.0/16", false, true},
		{"https://example.com/", "192.168.0.0/16", false, true},
		{"https://example.com/", "172.16.0.0/12", false, true},
		{"https://example.com/", "100.64.0.0/10", false, true},
		{"https://example.com/", "0.0.0.0/0", false, false},
		{"https://example.com/", "::/0", false, false},
		{"https://example.com/", "10.0.0.0/7", false, false},
		{"https://example.com/", "172.16.0.0/11", false, false},
		{"https://example.com/", "127.0.0.0/8", false, false},
		{"http://127.0.0.1/", "127.0.0.0/8", true, true},
		{"http://[::1]/", "::1/128", true, true},
		{"http://127.0.0.1/", "0.0.0.0/0", true, false},
		{"http://127.0.0.1/", "126.0.0.0/7", true, false},
		{"https://example.com/", "169.254.0.0/16", false, false},
		{"https://example.com/", "fe80::/10", false, false},
		{"https://example.com/", "::ffff:10.0.0.0/104", false, false},
		{"https://example.com/", "8.8.8.0/24", false, false},
	} {
		o := Options{Local: c.local}
		if c.allow != "" {
			o.Allow = []netip.Prefix{netip.MustParsePrefix(c.allow)}
		}
		if err := Check(c.url, o); (err == nil) != c.want {
			t.Errorf("%s, allow %q, local %v: %v", c.url, c.allow, c.local, err)
		}
	}
	for name, o := range map[string]Options{
		"an invalid network": {Allow: []netip.Prefix{{}}},
		"the internet":       {Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
		"a negative timeout": {Timeout: -time.Second},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// FuzzCheck: no accepted host is an address that is not public, in any spelling that the C
// library reads.
func FuzzCheck(f *testing.F) {
	for _, u := range refusedURLs() {
		f.Add(u)
	}
	for _, addr := range public() {
		f.Add("https://" + host(addr) + "/a?b")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if Check(text, Options{}) != nil {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Host == "" {
			t.Fatalf("accepted %q", text)
		}
		host := u.Hostname()
		addr, err := netip.ParseAddr(host)
		old, isOld := inetAton(strings.TrimSuffix(host, "."))
		switch {
		case err == nil && (addr.IsPrivate() || addr.IsLoopback() || !addr.IsGlobalUnicast() || addr.Is4In6()):
			t.Fatalf("accepted %q", text)
		case isOld && (err != nil || old != addr):
			t.Fatalf("accepted %q, another spelling of %v", text, old)
		}
	})
}

// inetAton reads an IPv4 address as inet_aton does: one to four numbers, decimal, octal or
// hexadecimal, the last one filling what is left.
func inetAton(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	var value uint64
	for i, part := range parts {
		last := i == len(parts)-1
		bits := 8
		if last {
			bits = 8 * (5 - len(parts))
		}
		if bits <= 0 || strings.ContainsAny(part, "_bBoO") && !strings.HasPrefix(strings.ToLower(part), "0x") {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 0, bits)
		if err != nil {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], uint32(value))
	return netip.AddrFrom4(raw), true
}

func TestInetAton(t *testing.T) {
	for _, text := range []string{"127.0.0.1", "2130706433", "0x7f000001", "0x7f.0.0.0x1", "0177.0.0.1", "017700000001", "127.1", "127.0.1"} {
		if got, ok := inetAton(text); !ok || got.String() != "127.0.0.1" {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "a", "1.2.3.4.5", "256.0.0.1", "1.16777216", "4294967296"} {
		if got, ok := inetAton(text); ok {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func ExampleCheck() {
	for _, u := range []string{"https://example.com/hooks", "https://169.254.169.254/", "https://2852039166/", "http://example.com/"} {
		fmt.Println(Check(u, Options{}))
	}
	// Output:
	// <nil>
	// refused by the guard against SSRF: the address of a metadata service
	// refused by the guard against SSRF: an IP address that is not in its standard text
	// refused by the guard against SSRF: not an https:// URL
}
