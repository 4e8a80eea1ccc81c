package dynamodb

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// killedEnv names the file that the test's own program, started again, writes to.
const killedEnv = "DYNAMODB_TEST_KILLED_FILE"

// TestAcknowledgedWritesSurviveAKill kills a process that writes from eight
// goroutines and looks for every write that it had an answer to: pairs of items
// through TransactWriteItems, and a counter in one of each through UpdateItem.
func TestAcknowledgedWritesSurviveAKill(t *testing.T) {
	t.Parallel()
	if path := os.Getenv(killedEnv); path != "" {
		writeUntilKilled(path)
		return
	}
	path := filepath.Join(t.TempDir(), "tables.db")
	child := exec.Command(os.Args[0], "-test.run=^TestAcknowledgedWritesSurviveAKill$")
	child.Env = append(os.Environ(), killedEnv+"="+path)
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	var answered []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "answered "); ok {
			answered = append(answered, name)
		}
		if len(answered) == 300 {
			check(t, child.Process.Kill())
		}
	}
	if err := child.Wait(); err == nil || len(answered) < 300 {
		t.Fatalf("the process was not killed: %v, %d answers", err, len(answered))
	}
	s := &server{t: t, path: path}
	s.open()
	t.Cleanup(s.close)
	for _, name := range answered {
		for _, half := range []string{"-left", "-right"} {
			item := s.get("things", attrs{"pk": str(name + half)})
			if item == nil || half == "-left" && item["n"] == nil {
				t.Errorf("item %s%s was answered and is now %v", name, half, item)
			}
		}
	}
}

func writeUntilKilled(path string) {
	db, err := Open(path, Options{})
	if err != nil {
		panic(err)
	}
	call := func(op, body string) {
		if _, err := db.Service().Operations[op](context.Background(), []byte(body)); err != nil {
			panic(err)
		}
	}
	call("CreateTable", `{"TableName":"things","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d", w, i)
				call("TransactWriteItems", fmt.Sprintf(`{"TransactItems":[{"Put":{"TableName":"things","Item":{"pk":{"S":"%[1]s-left"}}}},{"Put":{"TableName":"things","Item":{"pk":{"S":"%[1]s-right"}}}}]}`, name))
				call("UpdateItem", fmt.Sprintf(`{"TableName":"things","Key":{"pk":{"S":"%s-left"}},"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}`, name))
				fmt.Println("answered " + name) // one write to the pipe: lines of several goroutines do not mix
			}
		})
	}
	wg.Wait()
}
