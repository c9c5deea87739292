#!/bin/sh
# Puts the two libraries of the page, from the web client's own npm install, into DIR/vendor (default: beside the page).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
modules=$here/../../../clients/web/node_modules
target=${1:-$here}/vendor
mkdir -p "$target"
"$modules/.bin/rolldown" "$modules/mediasoup-client/lib/index.js" --format esm --platform browser \
  --file "$target/mediasoup-client.js" >/dev/null
cp "$modules/socket.io-client/dist/socket.io.esm.min.js" "$target/socket.io-client.js"
