/** Killing a plugin between any two messages to the kernel: what a power cut or an impatient runtime does. */
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

/** The ADD that is killed. */
export interface Victim {
  readonly plugin: string
  readonly config: object
  /** Which calls of the kernel are counted; sendto, which netlink takes, when left out. */
  readonly syscall?: string
}

/**
 * Runs ADD, which gets SIGKILL at its `when`-th call of the kernel of that kind.
 *
 * @returns its exit status: 0 when it came to its end before
 */
function killedAt(world: World, { plugin, config, syscall = 'sendto' }: Victim, when: number): number {
  const env = addEnvironment(world)
  const inject = `inject=${syscall}:signal=KILL:when=${when}`
  const args = ['-f', '-o', '/dev/null', '-e', `trace=${syscall}`, '-e', inject, `${world.binDir}/${plugin}`]
  return world.host.run('strace', args, { env, input: JSON.stringify(config) }).status
}

/**
 * Kills ADD at its first message, then at its second, and so on until it comes to its end; after each kill `clean` has
 * to bring everything back.
 *
 * @returns how often it was killed
 */
export function sweepKills(world: World, victim: Victim, clean: (when: number) => void): number {
  for (let when = 1; when < 100; when += 1) {
    if (killedAt(world, victim, when) === 0) return when - 1
    clean(when)
  }
  throw new Error(`ADD of ${victim.plugin} does not come to its end`)
}
