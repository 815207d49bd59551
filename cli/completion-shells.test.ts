/** Completion in the shells themselves: each loads its script and is asked as when somebody presses TAB. */
// needs: bash zsh fish
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('cli/completion')

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

interface Shell {
  readonly name: string
  readonly args: readonly string[]
  /** Prints the candidates at the end of a command line, one a line. */
  readonly ask: (line: string) => string
}

const SHELLS: readonly Shell[] = [
  {
    name: 'bash',
    args: ['--norc', '--noprofile', '-c'],
    ask: line => `source "$HOME/completion"
      COMP_WORDS=(${line}${line.endsWith(' ') ? ' ""' : ''}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      compopt() { :; }
      _patchbay; printf '%s\\n' "\${COMPREPLY[@]}"`
  },
  {
    name: 'zsh',
    args: ['-f', '-c'],
    // What its completion system would show is printed; that it asks this function is looked up where it does.
    ask: line => `autoload -Uz compinit; compinit -u -D; source "$HOME/completion"
      words=(${line}${line.endsWith(' ') ? ' ""' : ''}); CURRENT=$#words
      _describe() { print -rl -- "\${(@P)2}" }
      $_comps[patchbay]`
  },
  {
    name: 'fish',
    args: ['--no-config', '-c'],
    ask: line => `source "$HOME/completion"; complete -C '${line}'`
  }
]

function withShell(shell: Shell, body: (ask: (line: string) => string) => void): void {
  const home = mkdtempSync(join(tmpdir(), 'patchbay-shell-'))
  try {
    mkdirSync(join(home, 'bin'))
    mkdirSync(join(home, 'net.d'))
    const blue = { cniVersion: '1.1.0', name: 'blue', plugins: [{ type: 'bridge' }] }
    writeFileSync(join(home, 'net.d', 'blue.conflist'), JSON.stringify(blue))
    const command = `#!/bin/sh\nexec '${process.execPath}' --no-warnings '${MAIN}' "$@"\n`
    writeFileSync(join(home, 'bin', 'patchbay'), command, { mode: 0o755 })
    const env = {
      ...process.env,
      HOME: home,
      PATH: `${home}/bin:${process.env['PATH'] ?? ''}`,
      NETCONFPATH: join(home, 'net.d'),
      TERM: 'dumb'
    }
    const run = (program: string, args: readonly string[]): string => {
      const { stdout, stderr, error } = spawnSync(program, args, { env, cwd: home, encoding: 'utf8', timeout: 60_000 })
      assert.is(error, undefined, stderr)
      return stdout
    }
    writeFileSync(join(home, 'completion'), run(join(home, 'bin', 'patchbay'), ['completion', shell.name]))
    body(line => run(shell.name, [...shell.args, shell.ask(line)]))
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

for (const shell of SHELLS) {
  test(`${shell.name}: commands, verbs, options, their values, and networks that there are`, () => {
    withShell(shell, ask => {
      assert.match(ask('patchbay netw'), /\bnetwork\b/)
      assert.match(ask('patchbay network conn'), /\bconnect\b/)
      assert.match(ask('patchbay network connect '), /\bblue\b/)
      assert.match(ask('patchbay network create --sub'), /--subnet\b/)
      assert.match(ask('patchbay network create -d mac'), /\bmacvlan\b/)
      assert.not.match(ask('patchbay network create -d mac'), /\bipvlan\b/)
    })
  })
}

test.run()
