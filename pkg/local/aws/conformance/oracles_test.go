package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	envOracles    = "TOLLGATE_ORACLES"
	envOraclesDir = "TOLLGATE_ORACLES_DIR"
)

// absent skips the test with one line, or fails it where oracles are required.
func absent(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if os.Getenv(envOracles) == "required" {
		t.Fatalf("%s (%s=required)", line, envOracles)
	}
	t.Skip(line)
}

// npmOracle finds the folder whose node_modules holds the package in exactly this version.
func npmOracle(t testing.TB, name, version string) (dir string) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		absent(t, "%s is not run: node is not installed", name)
	}
	dir = os.Getenv(envOraclesDir)
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", ".build", "oracles")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "node_modules", name, "package.json"))
	if err != nil {
		absent(t, "%s is not run: not in %s, see install-oracles.sh", name, dir)
	}
	var pkg struct{ Version string }
	if err := json.Unmarshal(raw, &pkg); err != nil || pkg.Version != version {
		absent(t, "%s is not run: version %q is installed, %s is wanted", name, pkg.Version, version)
	}
	return dir
}

func startMoto(t testing.TB) string {
	t.Helper()
	const version = "5.2.1"
	server, err := exec.LookPath("moto_server")
	if err != nil {
		absent(t, "moto is not run: the command moto_server is not installed")
	}
	out, err := exec.Command("python3", "-c", "import moto; print(moto.__version__)").Output()
	if err != nil {
		absent(t, "moto is not run: python3 has no moto")
	}
	if got := strings.TrimSpace(string(out)); got != version {
		absent(t, "moto is not run: version %s is installed, %s is wanted", got, version)
	}
	return startOracle(t, "", func(port string) []string {
		return []string{server, "-H", "127.0.0.1", "-p", port}
	})
}

func startDynalite(t testing.TB) string {
	t.Helper()
	dir := npmOracle(t, "dynalite", "4.0.0")
	return startOracle(t, dir, func(port string) []string {
		return []string{"node", "node_modules/dynalite/cli.js", "--host", "127.0.0.1", "--port", port,
			"--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0"}
	})
}

// startScript runs a package of npm that has no command by a line of JavaScript, with %s for the port.
func startScript(t testing.TB, name, version, script string, flags ...string) string {
	t.Helper()
	return startOracle(t, npmOracle(t, name, version), func(port string) []string {
		return append(append([]string{"node"}, flags...), "-e", fmt.Sprintf(script, port))
	})
}

func TestMoto(t *testing.T) {
	t.Parallel()
	runChecks(t, localTarget(t, "moto", startMoto(t), motoDeviations(), "dynamodb", "sqs", "secretsmanager"))
}

func TestDynalite(t *testing.T) {
	t.Parallel()
	runChecks(t, localTarget(t, "dynalite", startDynalite(t), dynaliteDeviations(), "dynamodb"))
}

func TestLocalSQS(t *testing.T) {
	t.Parallel()
	runChecks(t, localTarget(t, "local-aws-sqs", startScript(t, "local-aws-sqs", "2.0.2",
		`require("local-aws-sqs").createSqsServer({port: %s, hostname: "127.0.0.1"})`), localSQSDeviations(), "sqs"))
}

func TestFauxqs(t *testing.T) {
	t.Parallel()
	runChecks(t, localTarget(t, "fauxqs", startScript(t, "fauxqs", "1.9.2",
		`import {buildApp} from "fauxqs"; await buildApp({logger: false}).listen({port: %s, host: "127.0.0.1"})`, "--input-type=module"), fauxqsDeviations(), "sqs"))
}
