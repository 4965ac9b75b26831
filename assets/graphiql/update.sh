#!/bin/sh
# Fetches the vendored files of the GraphiQL page again: pinned versions, checked against their integrity hashes.
# Needs npm and openssl. After a change of version: new hash below (`npm view NAME@VERSION dist.integrity`), new line
# in README.md, and LICENSES.txt checked against the packages named in graphiql.min.js.map of the new tarball.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# fetch NAME VERSION INTEGRITY: leaves the unpacked package in ./NAME
fetch() {
    tarball=$(npm pack --silent "$1@$2")
    got="sha512-$(openssl dgst -sha512 -binary "$tarball" | openssl base64 -A)"
    if [ "$got" != "$3" ]; then
        echo "integrity of $1@$2 is $got, expected $3" >&2
        exit 1
    fi
    mkdir "$1"
    tar -xzf "$tarball" -C "$1" --strip-components=1
}

fetch graphiql 4.1.2 sha512-rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==
fetch react 18.3.1 sha512-wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==
fetch react-dom 18.3.1 sha512-5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==

cp react/umd/react.production.min.js react-dom/umd/react-dom.production.min.js "$here"
# The source maps are not served, so a browser must not ask for them.
sed '/^\/\/# sourceMappingURL=/d' graphiql/graphiql.min.js > "$here/graphiql.min.js"
# The embedded fonts are six sevenths of the style sheet and have licences of their own; the browser's fonts do.
sed '/^@font-face/,/^}/d' graphiql/graphiql.min.css > "$here/graphiql.min.css"
