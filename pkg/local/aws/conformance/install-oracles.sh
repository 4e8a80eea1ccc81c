#!/bin/sh
# Installs the independent SQS and DynamoDB implementations that the conformance
# suite runs against, the Standard Webhooks library that verifies what is sent, and
# axe-core, which checks that the console's pages are accessible, in exactly the
# versions that the tests know, into the folder given as $1 or in TOLLGATE_ORACLES_DIR,
# else .build/oracles of the module. What cannot be installed here is said in one line
# each; the exit status is 0 only if all is there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
dir=${1:-${TOLLGATE_ORACLES_DIR:-$root/.build/oracles}}
status=0

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
	echo "install-oracles: node or npm is not installed: dynalite, local-aws-sqs, fauxqs, standardwebhooks and axe-core are left out" >&2
	status=1
else
	mkdir -p "$dir"
	[ -f "$dir/package.json" ] || echo '{"private":true}' >"$dir/package.json"
	if npm install --prefix "$dir" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
		dynalite@4.0.0 local-aws-sqs@2.0.2 fauxqs@1.9.2 standardwebhooks@1.1.1 axe-core@4.14.1; then
		echo "install-oracles: dynalite 4.0.0, local-aws-sqs 2.0.2, fauxqs 1.9.2, standardwebhooks 1.1.1 and axe-core 4.14.1 are in $dir" >&2
	else
		echo "install-oracles: npm could not install dynalite, local-aws-sqs, fauxqs, standardwebhooks and axe-core into $dir" >&2
		status=1
	fi
fi

if ! command -v python3 >/dev/null 2>&1; then
	echo "install-oracles: python3 is not installed: moto is left out" >&2
	status=1
elif ! python3 -c 'import moto, sys; sys.exit(moto.__version__ != "5.2.1")' 2>/dev/null ||
	! command -v moto_server >/dev/null 2>&1; then
	echo "install-oracles: moto 5.2.1 with its server is not installed: pip install 'moto[server]==5.2.1'" >&2
	status=1
else
	echo "install-oracles: moto 5.2.1 is there" >&2
fi
exit $status
