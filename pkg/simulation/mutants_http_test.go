package simulation

// httpMutants are seeded bugs in how messages are signed and sent by HTTP.
func httpMutants() []mutant {
	unit := func(dir, file string) func(test, name, old, new string) mutant {
		return func(test, name, old, new string) mutant { return one(name, dir+"/"+file, old, new).in(dir).by(test) }
	}
	scheme, keys := unit("stdwebhooks", "stdwebhooks.go"), unit("stdwebhooks", "keys.go")
	client, address, url := unit("egress", "egress.go"), unit("egress", "address.go"), unit("egress", "url.go")
	target, body, answer := unit("target/httptarget", "httptarget.go"), unit("delivery", "body.go"), unit("target/httptarget", "answer.go")
	return []mutant{
		// The scheme.
		scheme("TestRoll", "only the first key signs", "range k.list {\n		switch {", "range k.list[:1] {\n		switch {"),
		scheme("TestKnownAnswers", "the time is not signed", "signed = append(append(signed, at...), '.')", "signed = append(signed, '.')"),
		scheme("TestVerifyRefuses", "the id is not signed", "signed = append(append(signed, id...), '.')", "signed = append(signed, '.')"),
		scheme("TestSignRefuses", "an id with a full stop is signed", "r == '_' || r == '-')", "r == '_' || r == '-' || r == '.')"),
		scheme("TestVerifyRefuses", "old messages are accepted", "case m.At.Before(now.Add(-Tolerance)):", "case m.At.Before(now.Add(-100 * Tolerance)):"),
		scheme("TestVerifyRefuses", "messages of the future are accepted", "case m.At.After(now.Add(Tolerance)):", "case m.At.After(now.Add(100 * Tolerance)):"),
		scheme("TestVerifyRefuses", "a timestamp has several spellings", "|| strconv.FormatInt(seconds, 10) != at {", "{"),
		scheme("TestVerifyRefuses", "the last of two headers counts", "len(values) == 1 {\n		return values[0]", "len(values) > 0 {\n		return values[len(values)-1]"),
		scheme("TestVerifyRefuses", "a part of a signature is enough", "return hmac.Equal([]byte(signature), want)", "return len(signature) > 8 && strings.HasPrefix(string(want), signature)"),
		scheme("TestRoll", "only the first signature is tried", "range signatures {", "range signatures[:1] {"),
		keys("TestParse", "a short secret is accepted", "minSecret = 24", "minSecret = 1"),
		keys("TestParse", "half of another key pair is accepted", "|| !bytes.Equal(ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize]), raw) {", "|| bytes.Equal(nil, raw) {"),
		keys("TestParse", "a faulty key is skipped", "		if err != nil {\n			return Keys{}, fmt.Errorf(\"parse key", "		if err != nil && i == 0 {\n			return Keys{}, fmt.Errorf(\"parse key"),
		keys("TestKeysAreNotPrinted", "keys are printed", "func (Keys) GoString() string", "func (Keys) goString() string"),
		one("one faulty key empties the list", "secrets/signing.go", "		return stdwebhooks.Parse(text)\n", "		keys, _ := stdwebhooks.Parse(text)\n		return keys, nil\n").in("secrets").by("TestSigningKeys"),

		// The guard.
		client("TestRebinding", "dialed addresses are not checked", ", ControlContext: o.control()}", "}"),
		client("TestRedirectsAreNotFollowed", "redirects are followed", "return http.ErrUseLastResponse }", "return nil }"),
		client("TestNoProxy", "the environment's proxy is used", "&http.Transport{ // Proxy is not set: a proxy would dial instead\n", "&http.Transport{\n			Proxy: http.ProxyFromEnvironment,\n"),
		client("TestBounds", "a body is read to its end", "io.CopyN(io.Discard, response.Body, maxBody)", "io.Copy(io.Discard, response.Body)"),
		client("TestBounds", "no time limit", "		Timeout: o.Timeout,\n", "		Timeout: time.Hour,\n"),
		client("TestConnectionsAreReused", "a connection for each request", "io.CopyN(io.Discard, response.Body, maxBody)", "io.Discard.Write(nil)"),
		client("TestCheck", "a URL is not checked before a request", "if err := Check(url, c.options); err != nil {", "if err := Check(url, c.options); err != nil && false {"),
		client("TestTLS", "certificates are not verified", "MinVersion: tls.VersionTLS12,", "InsecureSkipVerify: true,"),
		address("TestAddresses", "allow opens metadata services", "case slices.ContainsFunc(metadata(), contains):", "case !slices.ContainsFunc(o.Allow, contains) && slices.ContainsFunc(metadata(), contains):"),
		address("TestAddresses", "IPv4 inside IPv6 hides", `addr = addr.WithZone("").Unmap()`, `addr = addr.WithZone("")`),
		address("TestAddresses", "plain HTTP reaches everything", "	case isPlain:\n		return refused(\"plain HTTP to an address outside of the local system\")\n", ""),
		address("TestAddresses", "the guard does not ask for plain HTTP", "ctx.Value(plain{}) != nil", "false"),
		client("TestDialerKnowsPlainHTTP", "the dialer does not know plain HTTP", `request.URL.Scheme == "http" {`, `request.URL.Scheme == "HTTP" {`),
		address("TestAddresses", "loopback is reached everywhere", "o.Local && addr.IsLoopback():", "addr.IsLoopback():"),
		address("TestCheckOptions", "allow takes any network", "if !MayAllow(p, o.Local) {", "if !MayAllow(p, o.Local) && !p.IsValid() {"),
		address("TestCheckOptions", "allow takes a wider network", "p.Bits() >= q.Bits() && q.Contains(p.Addr())", "q.Contains(p.Addr())"),
		url("TestCheck", "plain HTTP", `case u.Scheme != "https" && !(o.Local && u.Scheme == "http"):`, `case u.Scheme != "https" && u.Scheme != "http":`),
		url("TestCheck", "user information", `u.Opaque != "" || u.User != nil:`, `u.Opaque != "":`),
		url("TestCheck", "an address in another spelling", "case last[0] <= '9':", "case last[0] < '0':"),
		url("TestCheck", "names outside ASCII", "strings.ContainsFunc(label, outside)", "strings.ContainsFunc(label, func(r rune) bool { return r < 128 && outside(r) })"),
		url("TestCheckOptions", "an address is checked only when dialed", "ssrf.New(ssrf.WithAnyPort()), addr, u.Scheme", "ssrf.New(ssrf.WithAnyPort()), netip.MustParseAddr(\"8.8.8.8\"), u.Scheme"),

		// The target.
		target("TestHeaders", "configured headers win", "	header.Set(\"Content-Type\", \"application/json\")\n", ""),
		target("TestVerifiers", "another body is signed than sent", "stdwebhooks.Message{ID: d.ID, At: time.Now(), Body: body}", "stdwebhooks.Message{ID: d.ID, At: time.Now(), Body: append(body, '\\n')}"),
		target("TestVerifiers", "the message's time is signed", "At: time.Now(), Body: body", "At: d.Message.Since, Body: body"),
		body("TestBody", "each attempt has its own body", "d.Message.Queued).UTC()", "d.Message.Queued).Add(time.Duration(d.Attempt) * time.Second).UTC()"),
		body("TestBody", "a whole event loses its sequence", "body.Data, body.Sequence = json.RawMessage(d.Event.Body), d.Sequence", "body.Data = json.RawMessage(d.Event.Body)"),
		answer("TestAnswered", "410 is like other answers", "case a.Status == http.StatusGone:", "case a.Status == 1410:"),
		answer("TestAnswered", "429 stops", "a.Status == http.StatusTooManyRequests, ", ""),
		answer("TestAnswered", "408 stops", "a.Status == http.StatusRequestTimeout, ", ""),
		answer("TestAnswered", "a 5xx stops", "a.Status >= 500:", "a.Status == 503:"),
		answer("TestAnswered", "a redirect counts as delivered", "a.Status < 300:", "a.Status < 400:"),
		answer("TestAnswered", "Retry-After is dropped", `retryAfter(a.Header.Get("Retry-After"), now)`, "0"),
		answer("TestRetryAfter", "a receiver's wish has no limit", "return min(max(wish, 0), maxRetryAfter)", "return max(wish, 0)"),
		answer("TestUnanswered", "a refused address is tried again", "Verdict: delivery.Stop, Err: \"the URL", "Verdict: delivery.Retry, Err: \"the URL"),
		answer("TestUnanswered", "an error's text names the address", "Verdict: delivery.Retry, Err: describe(err)}", "Verdict: delivery.Retry, Err: err.Error()}"),
	}
}
