/** Our own command as a person uses it, on the host of a suite. */
import { join } from 'node:path'
import { type Outcome, outcomeOf } from './command.ts'
import { ROOT } from './host.ts'

export const PATCHBAY = join(ROOT, 'dist', 'node', 'patchbay')

export class Patchbay {
  readonly #env: NodeJS.ProcessEnv
  readonly #enter: readonly string[]

  /**
   * @param env where runtimes are asked
   * @param enter the program and its arguments that lead to another host
   */
  constructor(env: NodeJS.ProcessEnv = {}, enter: readonly string[] = []) {
    this.#env = env
    this.#enter = enter
  }

  /**
   * Runs a line as it is typed; words are apart by spaces.
   *
   * @param more words that have spaces
   */
  outcome(line: string, ...more: readonly string[]): Outcome {
    const [program = '', ...words] = [...this.#enter, PATCHBAY, ...line.split(' '), ...more]
    return outcomeOf(program, words, { env: this.#env })
  }

  /** @returns what it said @throws Error when it fails */
  run(line: string, ...more: readonly string[]): string {
    const { status, stdout, stderr } = this.outcome(line, ...more)
    if (status !== 0) throw new Error(`patchbay ${line}: exit ${status}: ${stderr.trim()}`)
    return stdout.trim()
  }

  /** @returns why it was refused @throws Error when it was not, or ended in another way */
  refused(line: string, status = 1): string {
    const outcome = this.outcome(line)
    if (outcome.status !== status)
      throw new Error(`patchbay ${line}: exit ${outcome.status}, not ${status}: ${outcome.stderr}`)
    return outcome.stderr
  }

  /** The first address of a container's interface, without its length. */
  address(container: string, ifName = 'eth0'): string {
    const shown = this.run(`exec ${container} ip -o -4 addr show dev ${ifName}`)
    return / inet ([\d.]+)\//.exec(shown)?.[1] ?? ''
  }

  /** Whether a container's ping to an address or a name is answered. */
  pings(container: string, target: string): boolean {
    return this.#ping(container, target) === ''
  }

  /** @throws Error saying which ping is not answered */
  requirePings(...pairs: readonly (readonly [container: string, target: string])[]): void {
    for (const [container, target] of pairs) {
      const said = this.#ping(container, target)
      if (said !== '') throw new Error(`${container} pings ${target}: ${said}`)
    }
  }

  /** '' when it is answered, else what was said. */
  #ping(container: string, target: string): string {
    const { status, stdout, stderr } = this.outcome(`exec ${container} ping -c1 -W1 ${target}`)
    return status === 0 ? '' : `exit ${status}: ${stdout}${stderr}`
  }
}
