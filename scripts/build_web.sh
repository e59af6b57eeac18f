#!/usr/bin/env bash
# Builds the dashboard into web/dist with the Node of .venv. Skips what is up to date.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

export PATH="$VENV/bin:$PATH" PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
cd "$ROOT/web"
if ! cmp -s package-lock.json node_modules/.installed-lock; then
  quietly npm ci --no-audit --no-fund
  cp package-lock.json node_modules/.installed-lock
fi
# Built from the sources, the lock file and the REST contract: any of them newer than the result means build again.
if [ ! -e dist/index.html ] || [ -n "$(find . ../server/http/openapi.yaml -path ./node_modules -prune -o -path ./dist -prune -o \
    -path ./src/api/schema.d.ts -prune -o -type f -newer dist/index.html -print -quit)" ]; then
  quietly npm run build
fi
