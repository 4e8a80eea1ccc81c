package stack

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// written are the values that API Gateway may fill in for a variable, besides "-" for what did not
// happen, as an expression over all of them. Texts of errors, paths and headers are not here: they
// may have any character, and nothing escapes them.
func written() map[string]string {
	const number, id = `[0-9]+`, `[A-Za-z0-9=_-]+`
	return map[string]string{
		"requestTimeEpoch": number, "requestId": id, "routeKey": `\$default|POST /webhooks/stripe(/\{endpoint\})?`,
		"status": number, "responseLatency": number, "identity.sourceIp": `[0-9a-fA-F.:]+`,
		"integration.integrationStatus": number, "integration.status": number, "integration.requestId": id,
		"error.responseType": `[A-Z0-9_]+`,
	}
}

// hostile are texts that AWS, or whoever it quotes, may write where a text can stand.
func hostile() []string {
	return []string{
		"", "-", "200", "null", `The Lambda function returned: "boom"`, `{"errorMessage":"a"}`, `a\`, "two\nlines", "\x00", `","status":"200`,
		"$context.status", "429 Too Many Requests", "é\xff",
	}
}

var variables = regexp.MustCompile(`\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)`)

// TestAccessLogIsJSON fills the format in as API Gateway does, without escaping, with each text that
// a variable can have, and with the hostile ones that pass for it.
func TestAccessLogIsJSON(t *testing.T) {
	format := accessLog("live")
	names := map[string]bool{}
	for _, m := range variables.FindAllStringSubmatch(format, -1) {
		names[m[1]] = true
		if written()[m[1]] == "" {
			t.Errorf("$context.%s: its values are not known to be safe", m[1])
		}
	}
	for name := range names {
		is := regexp.MustCompile(`^(` + written()[name] + `|-|)$`)
		texts := slices.DeleteFunc(hostile(), func(s string) bool { return !is.MatchString(s) })
		texts = append(texts, "54.187.216.72", "2001:db8::1", "JKJaXmPLvHcESHA=", "8e2f0a51-7c2b-4f0a-9d3e-3b1f6f0c2d11", "INTEGRATION_FAILURE", "POST /webhooks/stripe/{endpoint}")
		for _, text := range texts {
			line := variables.ReplaceAllStringFunc(format, func(v string) string {
				if v == "$context."+name {
					return text
				}
				return "-"
			})
			var got map[string]string
			if err := json.Unmarshal([]byte(line), &got); err != nil || strings.Contains(line, "\n") || got["stage"] != "live" || len(got) != len(names)+1 {
				t.Errorf("$context.%s as %q: %v in %s", name, text, err, line)
			}
		}
	}
	for _, must := range []string{"requestId", "integration.requestId", "status"} {
		if !names[must] {
			t.Errorf("the line has no $context.%s to follow a delivery by", must)
		}
	}
}

// TestAccessLogQuery: the runbook's query reads members that the line has.
func TestAccessLogQuery(t *testing.T) {
	raw, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	query := regexp.MustCompile(`fields @timestamp, (status, [a-z_, ]*) \|`).FindSubmatch(raw)
	var line map[string]string
	if err := json.Unmarshal([]byte(accessLog("live")), &line); err != nil || query == nil {
		t.Fatalf("query %q, %v", query, err)
	}
	for _, name := range strings.Split(string(query[1]), ", ") {
		if line[name] == "" {
			t.Errorf("the line has no member %s", name)
		}
	}
}

// TestHostileTextsBreakJSON: an error's text would.
func TestHostileTextsBreakJSON(t *testing.T) {
	format := strings.Replace(accessLog("live"), "$context.integration.status", "$context.integration.error", 1)
	broken := slices.ContainsFunc(hostile(), func(text string) bool {
		return !json.Valid([]byte(strings.ReplaceAll(format, "$context.integration.error", text)))
	})
	if !broken || written()["integration.error"] != "" {
		t.Error("no text breaks the line")
	}
}
