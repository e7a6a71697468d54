// Plain JavaScript on purpose: it has to run on whatever Node the machine has, to find the one that ClientForge needs.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as util from 'node:util'
import v8 from 'node:v8'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const main = join(root, 'backend', 'main.ts')
const oldest = [24, 15]
// The default young generation of 16 MiB, three times over, stays with an idle process: 185 MB instead of 137.
const heap = '--max-semi-space-size=8'
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']

// `.env` and a relative STORAGE_DIR mean the same from wherever this is called.
process.chdir(root)
if (process.env.npm_lifecycle_event !== undefined) endWithNpm()
await start(process.argv.slice(2))

/** Runs the backend on the Node that was installed with it, else on this one when it is new enough. */
function start(args) {
  const pinned = pinnedNode()
  const watching = args.some((arg) => arg.startsWith('--watch'))
  process.env.NODE_COMPILE_CACHE ??= resolve(setting('STORAGE_DIR') || 'storage', '.cache', 'compile')
  if (pinned !== undefined && !isThisNode(pinned)) return runOn(pinned, args)
  if (!isRecent()) return refuse()
  return watching ? runOn(process.execPath, args) : runHere(args)
}

/** The platform's package holds the program itself; what npm puts into .bin is a .cmd on Windows, which cannot be spawned. */
function pinnedNode() {
  const windows = process.platform === 'win32'
  const folder = join(root, 'node_modules', `node-${windows ? 'win' : process.platform}-${process.arch}`, 'bin')
  const file = join(folder, windows ? 'node.exe' : 'node')
  return existsSync(file) ? file : undefined
}

/** From the environment or `.env`, which the new process reads by itself, and in watch mode again after each change. */
function setting(name) {
  if (process.env[name] !== undefined) return process.env[name]
  return util.parseEnv !== undefined && existsSync('.env')
    ? util.parseEnv(readFileSync('.env', 'utf8'))[name]
    : undefined
}

function isThisNode(file) {
  return realpathSync(file) === realpathSync(process.execPath)
}

function isRecent() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
}

function refuse() {
  console.error(
    `ClientForge needs Node ${oldest.join('.')} or later and this is ${process.versions.node}: run "npm ci", which ` +
      'brings one on Linux and Windows, or install it from https://nodejs.org.',
  )
  process.exitCode = 1
}

function runOn(node, args) {
  const flags = args.filter((arg) => arg.startsWith('--watch'))
  const rest = args.filter((arg) => !arg.startsWith('--watch'))
  const child = spawn(node, [heap, ...flags, '--env-file-if-exists=.env', main, ...rest], { stdio: 'inherit' })
  passSignals(child)
  // Not every machine can run the pinned program: Alpine has another C library.
  child.on('error', (error) => {
    if (isRecent() && !isThisNode(node)) return flags.length > 0 ? runOn(process.execPath, args) : runHere(args)
    console.error(`${node} does not run on this machine (${error.message}).`)
    refuse()
  })
  child.on('exit', (code, signal) => leave(code, signal))
}

/** This process waits until its child has drained; ending first would give the prompt back too early. */
function passSignals(child) {
  for (const signal of signals) {
    process.on(signal, () => {
      // A terminal sends these to the whole group, and a second one would tell the child to hurry.
      const fromTerminal = signal === 'SIGINT' || signal === 'SIGQUIT'
      if (!(fromTerminal && process.stdin.isTTY)) child.kill(signal)
    })
  }
}

/** A signal to npm ends npm and the shell below it, which passes nothing on: we would stay, and nobody would know. */
function endWithNpm() {
  const shell = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === shell) return
    clearInterval(watch)
    process.kill(process.pid, 'SIGTERM')
  }, 250)
  watch.unref()
}

/** Ends as the child did, so that a supervisor sees the same. */
function leave(code, signal) {
  for (const name of signals) process.removeAllListeners(name)
  if (signal === null) return process.exit(code)
  process.kill(process.pid, signal)
  // Where the signal does not end us: the number a shell would give.
  setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100)
}

/** No second process where this Node will do. */
function runHere(args) {
  for (const name of signals) process.removeAllListeners(name)
  if (existsSync('.env')) process.loadEnvFile('.env')
  module.enableCompileCache()
  v8.setFlagsFromString(heap)
  process.argv.splice(1, process.argv.length, main, ...args)
  return import(pathToFileURL(main).href)
}
