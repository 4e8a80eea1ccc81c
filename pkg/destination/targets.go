package destination

import (
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"tollgate/pkg/egress"
)

const (
	maxHeaders     = 20
	maxHeaderName  = 64
	maxHeaderValue = 256
	maxSecretName  = 300
	maxSource      = 256
)

// ownedHeaders are set by the scheme or by HTTP, or are no place for configuration because they
// have secrets.
var ownedHeaders = []string{
	"host", "user-agent", "accept-encoding", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect",
	"authorization", "cookie", "forwarded", "via",
}

var ownedPrefixes = []string{"webhook-", "content-", "proxy-", "x-forwarded-"}

func (c *checker) http(d *Destination, f form) {
	d.Allow = c.allow(f.Allow)
	if d.InsecureHTTP && c.place != Local {
		c.fault("has insecure_http, which only the local system takes")
	}
	switch {
	case strings.HasPrefix(d.Secret, "whsec_") || strings.HasPrefix(d.Secret, "whsk_"):
		c.fault("has a signing secret in its configuration: store it, and write its name")
	case len(d.Secret) > maxSecretName || !c.re.secretName.MatchString(d.Secret):
		c.fault("has no secret: write the name or ARN of its signing secret")
	}
	if len(d.Headers) > maxHeaders {
		c.fault("has %d headers, at most %d", len(d.Headers), maxHeaders)
	}
	for name, v := range d.Headers {
		c.header(name, v)
	}
	c.url(d)
}

func (c *checker) header(name, v string) {
	lower := strings.ToLower(name)
	switch {
	case len(name) > maxHeaderName || !c.re.headerName.MatchString(name):
		c.fault("has a bad header name: use letters, digits and -")
	case slices.Contains(ownedHeaders, lower), slices.ContainsFunc(ownedPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) }):
		c.fault("sets header %s, which is not for configuration", name)
	case len(v) > maxHeaderValue || !c.re.printable.MatchString(v):
		c.fault("has a value of header %s that is not up to %d printable ASCII characters", name, maxHeaderValue)
	}
}

// url asks the client that will send. Its errors do not quote the address, whose path may have a
// token.
func (c *checker) url(d *Destination) {
	if c.place == Local && !d.InsecureHTTP && strings.HasPrefix(strings.ToLower(d.URL), "http:") {
		c.fault("has an http:// url without insecure_http")
	}
	if err := egress.Check(d.URL, egress.Options{Allow: d.Allow, Local: c.place == Local}); err != nil {
		c.fault("has a bad url: %w", err)
	}
}

// metadata is AWS's instance metadata over IPv6, within the private fc00::/7.
const metadata = "fd00:ec2::/32"

func (c *checker) allow(list []string) (out []netip.Prefix) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			c.fault("has an allow entry that is not a network such as 10.0.0.0/8")
		case !egress.MayAllow(p, c.place == Local) || p.Overlaps(netip.MustParsePrefix(metadata)):
			c.fault("allows %s, which is not within a private network", p)
		default:
			out = append(out, p.Masked())
		}
	}
	return out
}

func (c *checker) queueURL(text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && c.place == Local) {
		c.fault("has no queue: write its URL, https://sqs.…")
	}
}

func (c *checker) arn(what, text, service string) {
	if m := c.re.arn.FindStringSubmatch(text); m == nil || m[1] != service {
		c.fault("has no %s: write its ARN, arn:aws:%s:…", what, service)
	}
}

func (c *checker) bus(d *Destination) {
	c.arn("bus", d.Bus, "events")
	if d.Source == "" {
		d.Source = "tollgate"
	}
	if len(d.Source) > maxSource || !c.re.eventFrom.MatchString(d.Source) || strings.HasPrefix(d.Source, "aws.") {
		c.fault("has a bad source: EventBridge takes letters, digits, /, _, . and -, and reserves aws.")
	}
}

func (c *checker) email(d *Destination) {
	if !address(d.From) {
		c.fault("has no from: write an address such as Billing <billing@example.com>")
	}
	if d.To != "" && !address(d.To) {
		c.fault("has a to that is no address: write the business's, such as disputes@example.com, or omit it")
	}
	if d.Language == "" {
		d.Language = "en"
	}
	if !c.re.language.MatchString(d.Language) {
		c.fault("has a language that is not of the form en or en-GB")
	}
}

func address(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && strings.Contains(a.Address, "@") && !strings.ContainsAny(text, "\r\n")
}
