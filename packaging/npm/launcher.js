#!/usr/bin/env node
// Runs the program for this platform, which is in an optional dependency of this package. The hook does
// not need this: `--install` copies the program into the clone, and git runs that copy.
'use strict'

const { spawn } = require('node:child_process')
const tty = require('node:tty')

const { optionalDependencies } = require('./package.json')

const platform = `${process.platform}-${process.arch}`
const programPackage = `@worktree-ports-hook/${platform}`

function fail(message) {
  console.error(`worktree-ports: error: ${message}`)
  // As in the program: a package manager that runs `prepare` must not fail.
  const isPrepare = process.env.npm_lifecycle_event && process.argv.includes('--install')
  process.exitCode = isPrepare ? 0 : 1
}

function findProgram() {
  const name = process.platform === 'win32' ? 'worktree-ports-hook.exe' : 'worktree-ports-hook'
  try {
    return require.resolve(`${programPackage}/${name}`)
  } catch {
    return undefined
  }
}

function run(program) {
  const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' })
  child.on('error', (error) => fail(`could not run \`${program}\`: ${error.message}`))

  // A terminal sends Ctrl-C to the child too, and many servers quit at once if they get it twice.
  // On Windows, passing a signal on would kill the child.
  const isFromTerminal = [0, 1, 2].some((descriptor) => tty.isatty(descriptor))
  const isPassedOn = (signal) =>
    process.platform !== 'win32' && !(isFromTerminal && ['SIGINT', 'SIGQUIT'].includes(signal))
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (isPassedOn(signal)) child.kill(signal)
    })
  }

  child.on('exit', (status, signal) => {
    if (signal) {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    } else {
      process.exitCode = status
    }
  })
}

const program = findProgram()
if (program) {
  run(program)
} else if (programPackage in optionalDependencies) {
  fail(
    `the package \`${programPackage}\` with the program for ${platform} is missing; ` +
      'install again with optional dependencies (npm: without `--omit=optional`, and without a `node_modules` of another system)',
  )
} else {
  const platforms = Object.keys(optionalDependencies).map((name) => name.split('/')[1])
  fail(
    `no package has the program for ${platform}, only for ${platforms.join(', ')}; ` +
      'install it from source: cargo install worktree-ports-hook',
  )
}
