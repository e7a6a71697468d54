import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** A real process of ours: started as an operator starts it, with nothing of the test in its memory. */
export interface Process {
  readonly pid: number
  /** Where it listens; rejects with what it said when it ends before. */
  readonly url: Promise<string>
  /** What it has said so far. */
  readonly output: string
  /** Fulfilled at its end: the code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
  kill(signal: NodeJS.Signals): void
}

/** Starts `node backend/main.ts`, or a script, with just these variables of the environment. */
export function startProcess(
  environment: Readonly<Record<string, string>>,
  command: readonly string[] = ['backend/main.ts'],
): Process {
  const child = spawn(process.execPath, [...command], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      // So that many short lives do not compile the same files again.
      NODE_COMPILE_CACHE: join(tmpdir(), 'clientforge-test-compile-cache'),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
    })
  }
  const ended = endOf(child)
  const url = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const found = /listens on (http:\/\/\S+)/.exec(output)
      if (found?.[1]) resolve(found[1])
    })
    ended.then((end) => reject(new Error(`the process ended with ${end}: ${output}`)), reject)
  })
  // Who does not ask for the address, as with scripts, need not hear that there is none.
  url.catch(() => {})
  return {
    pid: child.pid ?? 0,
    url,
    get output() {
      return output
    },
    ended,
    kill: (signal) => void child.kill(signal),
  }
}

function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal ?? 0))
  })
}
