/**
 * A plugin that does what the judge says and remembers how it was called: it stands in for IPAM and for neighbours in a
 * chain. A shell script, so that it starts in a millisecond.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** How the scripted plugin answers one verb. */
export interface Answer {
  readonly stdout?: string
  readonly stderr?: string
  readonly status?: number
}

/** One call that it received. */
export interface ReceivedCall {
  readonly verb: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
}

const SCRIPT = `#!/bin/sh
here=DIRECTORY
cat >"$here/$$.stdin"
cat /proc/$$/environ >"$here/$$.env"
echo "$$ $CNI_COMMAND" >>"$here/log"
of="$here/$CNI_COMMAND-$CNI_CONTAINERID"
[ -f "$of.stdout" ] || of="$here/$CNI_COMMAND"
[ -f "$here/$CNI_COMMAND.stderr" ] && cat "$here/$CNI_COMMAND.stderr" >&2
[ -f "$of.stdout" ] && cat "$of.stdout"
[ -f "$here/$CNI_COMMAND.status" ] && exit "$(cat "$here/$CNI_COMMAND.status")"
exit 0
`

export class ScriptedPlugin {
  readonly name: string
  readonly #directory: string

  /** Installs it under `name` in `binDir`; `recordDir` becomes its own. */
  constructor(name: string, binDir: string, recordDir: string) {
    this.name = name
    this.#directory = join(recordDir, name)
    rmSync(this.#directory, { recursive: true, force: true })
    mkdirSync(this.#directory, { recursive: true })
    mkdirSync(binDir, { recursive: true })
    const path = join(binDir, name)
    writeFileSync(path, SCRIPT.replace('DIRECTORY', this.#directory))
    chmodSync(path, 0o755)
  }

  /** Answers one container's ADD in its own way, for as long as the case lasts. */
  answerAdd(containerId: string, stdout: string): void {
    writeFileSync(join(this.#directory, `ADD-${containerId}.stdout`), stdout)
  }

  answer(verb: string, answer: Answer): void {
    const set = (what: string, text: string | undefined) => {
      const path = join(this.#directory, `${verb}.${what}`)
      if (text === undefined) rmSync(path, { force: true })
      else writeFileSync(path, text)
    }
    set('stdout', answer.stdout)
    set('stderr', answer.stderr)
    set('status', answer.status === undefined ? undefined : String(answer.status))
  }

  /** The calls received since it was installed or last forgotten, oldest first. */
  calls(): readonly ReceivedCall[] {
    const log = join(this.#directory, 'log')
    if (!existsSync(log)) return []
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .filter(line => line !== '')
    return lines.map(line => {
      const [pid = '', verb = ''] = line.split(' ')
      const pairs = readFileSync(join(this.#directory, `${pid}.env`), 'utf8')
        .split('\0')
        .filter(pair => pair !== '')
      const env = Object.fromEntries(
        pairs.map(pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])
      )
      return { verb, env, stdin: readFileSync(join(this.#directory, `${pid}.stdin`), 'utf8') }
    })
  }

  forget(): void {
    rmSync(join(this.#directory, 'log'), { force: true })
  }
}
