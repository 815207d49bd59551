/** Killing a plugin between any two messages to the kernel: what a power cut or an impatient runtime does. */
import type { Outcome } from './namespace.ts'
import type { World } from './world.ts'

/** The variables of an ADD, for starting the plugin by way of another program. */
export function addEnvironment(world: World): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: world.container().path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: world.binDir
  }
}

/** The call that is killed, or that a call of the kernel fails for. */
export interface Victim {
  readonly plugin: string
  readonly config: object
  /** ADD when left out. */
  readonly command?: string
  /** Which calls of the kernel are counted; sendto, which netlink takes, when left out. */
  readonly syscall?: string
  /** What happens then, in strace's words; `signal=KILL` when left out. */
  readonly fault?: string
}

const NEVER = 65_535

/** Runs the call, to which the fault happens at its `when`-th call of the kernel of that kind. */
export function callWithFault(world: World, victim: Victim, when: number): Outcome {
  const { plugin, config, command = 'ADD', syscall = 'sendto', fault = 'signal=KILL' } = victim
  const env = { ...addEnvironment(world), CNI_COMMAND: command }
  const inject = `inject=${syscall}:${fault}:when=${when}`
  const args = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${syscall}`, '-e', inject, `${world.binDir}/${plugin}`]
  return world.host.run('strace', args, { env, input: JSON.stringify(config) })
}

/** A later call, to which nothing happens, by the same program: GC keeps the living containers of others. */
export function callUnharmed(world: World, victim: Victim): Outcome {
  return callWithFault(world, victim, NEVER)
}

/**
 * Kills the call at its first message, then at its second, and so on until it comes to its end; after each kill `clean` has
 * to bring everything back, to where the call can be made again.
 *
 * @returns how often it was killed
 */
export function sweepKills(world: World, victim: Victim, clean: (when: number) => void): number {
  for (let when = 1; when < 100; when += 1) {
    if (callWithFault(world, victim, when).status === 0) return when - 1
    clean(when)
  }
  throw new Error(`${victim.command ?? 'ADD'} of ${victim.plugin} does not come to its end`)
}
