/** `patchbay run`: a command of this host in a network of its own. */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { isSea } from 'node:sea'
import { text } from 'node:stream/consumers'
import type { Call } from '../call.ts'
import { CommandError, jsonLine, type Output, reportError } from '../output.ts'
import { keep } from './keep.ts'
import { type RunWish, wishOf } from './wish.ts'

/** `run COMMAND…` */
export async function run(call: Call): Promise<number> {
  const wish = wishOf(call)
  if (call.has('dry-run')) {
    call.output.out(call.asJson ? jsonLine(planOf(wish)) : `would run ${wish.name} on ${wish.networks.join(', ')}\n`)
    return 0
  }
  if (!call.has('detach')) return keep(wish, 'own', call.output, () => {})
  await detached(wish)
  call.output.out(call.asJson ? jsonLine({ name: wish.name }) : `${wish.name}\n`)
  return 0
}

function planOf({ name, command, networks, ports }: RunWish): object {
  return { name, command, networks, ports }
}

/**
 * Starts a process of its own that keeps the container, and waits until it says that the command runs. What is wished goes to
 * its standard input: everybody may read a command line, and the environment that is asked for may hold a password.
 */
export async function detached(wish: RunWish): Promise<void> {
  const self = isSea() ? [] : ['--no-warnings', process.argv[1] ?? '']
  const child = spawn(process.execPath, [...self, '__keep'], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
  child.unref()
  // One that ended before it has read says why, or nothing.
  child.stdin.on('error', () => undefined)
  child.stdin.end(JSON.stringify(wish))
  const said = (await text(child.stdout)).trim()
  if (said === STARTED) return
  const [message = '', advice = ''] = said.split('\n  what to do: ')
  throw new CommandError(message === '' ? `run ${wish.name}: the process that keeps it ended at once` : message, advice)
}

const STARTED = 'started'

/** The process that keeps a container whose command goes on in the background. Its first words are for who started it. */
export async function keepInBackground(output: Output): Promise<number> {
  const wish: RunWish = JSON.parse(await text(process.stdin))
  try {
    return await keep(wish, 'log', output, () => {
      output.out(STARTED)
      // Who started it waits for the end of this stream; descriptor 1 stays taken.
      closeSync(1)
      openSync('/dev/null', 'w')
    })
  } catch (error) {
    reportError({ out: output.err, err: words => output.out(words.replace(/^patchbay: /, '')) }, error, false)
    return 1
  }
}
