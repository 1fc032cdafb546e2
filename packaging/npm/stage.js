// Prepares the npm packages for `npm pack`: node packaging/npm/stage.js DIRECTORY TARGET=PROGRAM…
// One has the launcher, and one per target has the program. Name, version and texts are those of
// Cargo.toml.
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

// node's names for each target's system and processor.
const platforms = {
  'x86_64-unknown-linux-musl': ['linux', 'x64'],
  'aarch64-unknown-linux-musl': ['linux', 'arm64'],
  'x86_64-pc-windows-gnu': ['win32', 'x64'],
  'aarch64-apple-darwin': ['darwin', 'arm64'],
}

const [directory, ...programs] = process.argv.slice(2)
const root = path.join(__dirname, '../..')
const metadata = execFileSync('cargo', ['metadata', '--no-deps', '--format-version=1'], { cwd: root })
const crate = JSON.parse(metadata).packages[0]

const packageOf = ([os, cpu]) => `@${crate.name}/${os}-${cpu}`

function write(name, files, manifest) {
  const to = path.join(directory, name.replace('@', '').replace('/', '-'))
  fs.mkdirSync(to, { recursive: true })
  for (const from of [...files, 'LICENSE-MIT', 'LICENSE-APACHE']) {
    fs.copyFileSync(path.resolve(root, from), path.join(to, path.basename(from)))
  }
  const all = {
    name,
    version: crate.version,
    description: crate.description,
    license: crate.license,
    // npm requires this for provenance.
    repository: crate.repository ?? undefined,
    ...manifest,
    publishConfig: { access: 'public' },
  }
  fs.writeFileSync(path.join(to, 'package.json'), JSON.stringify(all, null, 2) + '\n')
}

for (const [target, program] of programs.map((argument) => argument.split('='))) {
  const [os, cpu] = platforms[target]
  write(packageOf([os, cpu]), [program], {
    description: `${crate.description} (the program for ${os} on ${cpu})`,
    os: [os],
    cpu: [cpu],
    // Otherwise Yarn keeps the program in an archive, where it cannot run.
    preferUnplugged: true,
  })
}

write(crate.name, ['README.md', path.join(__dirname, 'launcher.js')], {
  keywords: crate.keywords,
  bin: { [crate.name]: 'launcher.js' },
  engines: { node: '>=18' },
  optionalDependencies: Object.fromEntries(
    Object.values(platforms).map((platform) => [packageOf(platform), crate.version]),
  ),
})
