/** What a person at a terminal sees besides: colours, and that something goes on. script(1) is the terminal. */
// needs: script
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CommandStage, withCommandStage } from '../lib/testing/command-stage.ts'
import { patchbayProgram } from '../lib/testing/program.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { runCommandLine } from './command-line.ts'

const test = suite('cli at a terminal')

const RED = '\u001b[31mpatchbay:\u001b[39m'
const ESCAPE = '\u001b['

interface Seen {
  readonly terminal: string
  readonly pipe: { readonly out: string; readonly err: string }
}

/** Runs a command line at a terminal, and without one. */
function seen(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Seen {
  const words = [...patchbayProgram(), ...argv]
  // Node takes the terminal of a machine that says CI for one without colours.
  const { NO_COLOR: _no, FORCE_COLOR: _force, CI: _ci, ...rest } = process.env
  const options = { encoding: 'utf8', env: { ...rest, TERM: 'xterm', ...env } } as const
  const [program = '', ...args] = words
  const piped = spawnSync(program, args, options)
  const line = words.map(word => `'${word}'`).join(' ')
  const shown = spawnSync('script', ['-qec', line, '/dev/null'], { ...options, input: '' })
  return { terminal: shown.stdout, pipe: { out: piped.stdout, err: piped.stderr } }
}

test('colours at a terminal alone, and not against NO_COLOR', () => {
  const plain = seen(['frob'])
  assert.match(plain.terminal, RED)
  assert.not.match(plain.pipe.err, ESCAPE)
  assert.match(plain.pipe.err, /^patchbay: read the command: unknown command 'frob'/)
  assert.not.match(seen(['frob'], { NO_COLOR: '1' }).terminal, ESCAPE)
  assert.match(seen(['frob'], { NO_COLOR: '' }).terminal, RED, 'as no-color.org has it: when it is not empty')
  assert.not.match(seen(['frob'], { TERM: 'dumb' }).terminal, ESCAPE)
  assert.not.match(seen(['frob'], { FORCE_COLOR: '1' }).pipe.err, ESCAPE)
  const list = seen(['network', 'ls', '--conf-dir', '/nonexistent', '--cache-dir', '/nonexistent'])
  assert.match(list.terminal, /^\u001b\[1mID +NAME .*\u001b\[22m\r\n/)
  assert.match(list.pipe.out, /^ID +NAME /)
})

test('a bar while something takes longer than a second, and nothing of it afterwards', () =>
  withCommandStage(runCommandLine, async ({ directory }: CommandStage) => {
    writeFileSync(join(directory, 'bin', 'one'), '#!/bin/sh\n[ "$CNI_COMMAND" = STATUS ] && sleep 2\nexit 0\n')
    const place = (name: string): string => join(directory, name)
    const { terminal, pipe } = seen(['status', 'blue', '--conf-dir', place('net.d'), '--bin-dir', place('bin')])
    assert.equal(pipe, { out: 'blue is ready\n', err: '' })
    const bar = /\r\u001b\[Kpatchbay status \[ *={5} *\] 1 s/
    assert.match(terminal, bar)
    assert.is(terminal.slice(terminal.lastIndexOf('\r\u001b[K')), '\r\u001b[Kblue is ready\r\n')
    writeFileSync(join(directory, 'bin', 'one'), '#!/bin/sh\nexit 0\n')
    assert.not.match(seen(['status', 'blue', '--conf-dir', place('net.d'), '--bin-dir', place('bin')]).terminal, '[=')
  }))

test.run()
