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

/**
 * Runs ADD, which gets SIGKILL when it sends its `when`-th message to the kernel (sendto, which netlink takes), or at
 * its `when`-th call of another kind.
 *
 * @returns its exit status: 0 when it came to its end before
 */
function killedAt(world: World, plugin: string, config: object, when: number, syscall = 'sendto'): number {
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
export function sweepKills(
  world: World,
  plugin: string,
  config: object,
  clean: (when: number) => void,
  syscall = 'sendto'
): number {
  for (let when = 1; when < 100; when += 1) {
    if (killedAt(world, plugin, config, when, syscall) === 0) return when - 1
    clean(when)
  }
  throw new Error(`ADD of ${plugin} does not come to its end`)
}
