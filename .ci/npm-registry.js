// A local npm registry with these packages: node .ci/npm-registry.js TARBALL…
// Prints its address and runs until it is killed.
'use strict'

const { execFileSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const http = require('node:http')

const packages = new Map()
const tarballs = new Map()
for (const path of process.argv.slice(2)) {
  const manifest = JSON.parse(execFileSync('tar', ['-xzOf', path, 'package/package.json']))
  const content = fs.readFileSync(path)
  const integrity = 'sha512-' + createHash('sha512').update(content).digest('base64')
  tarballs.set(`/-/${tarballs.size}.tgz`, content)
  packages.set(manifest.name, { manifest, integrity, tarball: [...tarballs.keys()].at(-1) })
}

// npm asks about the packages for other systems too but does not fetch them, so they need no content.
for (const { manifest } of [...packages.values()]) {
  for (const [name, version] of Object.entries(manifest.optionalDependencies ?? {})) {
    const [os, cpu] = name.split('/')[1].split('-')
    if (!packages.has(name)) packages.set(name, { manifest: { name, version, os: [os], cpu: [cpu] }, tarball: '/-/not-built' })
  }
}

const server = http.createServer((request, response) => {
  const url = decodeURIComponent(request.url)
  const found = packages.get(url.slice(1))
  if (tarballs.has(url)) {
    response.end(tarballs.get(url))
  } else if (found) {
    const { manifest, integrity } = found
    const tarball = `http://${request.headers.host}${found.tarball}`
    const version = { ...manifest, dist: { tarball, integrity } }
    const latest = manifest.version
    response.end(JSON.stringify({ name: manifest.name, 'dist-tags': { latest }, versions: { [latest]: version } }))
  } else {
    response.writeHead(404).end('{}')
  }
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`))
