/** containerd's own command: `ctr run --cni`. */
import { equal, match } from 'node:assert/strict'
import { join } from 'node:path'
import { run, until } from '../command.ts'
import { Containerd } from '../containerd.ts'
import { configure, installPlugins, ROOT, shippedConfig } from '../host.ts'
import { IMAGE } from '../image.ts'
import { resolvConfMount, withAgent } from '../names-agent.ts'
import { who } from '../reach.ts'
import { type Case, expectNone, type Suite } from '../suite.ts'
import { left } from '../traces.ts'

const NETWORK = 'containerd-net'

export const ctrSuite: Suite = {
  name: 'ctr',
  needs: ['containerd', 'runc'],
  sets: ['native'],
  prepare: async set => {
    installPlugins(set)
    configure('10-patchbay.conflist', shippedConfig('containerd.conflist'))
    const containerd = new Containerd('containerd-1')
    await containerd.start()
    containerd.loadImages('default')
    return {
      cases: casesOf(containerd),
      warmUp: async () => {
        foreground(containerd, 'warm')
      },
      close: () => containerd.stop('SIGTERM'),
      log: () => containerd.log()
    }
  }
}

/** Runs a container to its end. @returns its interface's addresses as it shows them */
function foreground(containerd: Containerd, name: string): string {
  const command = ['/bin/ip', '-o', 'addr', 'show', 'dev', 'eth0']
  const { status, stdout, stderr } = containerd.ctr(['run', '--rm', '--cni', IMAGE, name, ...command])
  if (status !== 0) throw new Error(`ctr run: ${stderr}`)
  return stdout
}

/** @returns the path of its network namespace */
function detached(containerd: Containerd, name: string, ...more: readonly string[]): string {
  const made = containerd.ctr(['run', '-d', '--env', `NAME=${name}`, '--cni', ...more, IMAGE, name])
  if (made.status !== 0) throw new Error(`ctr run: ${made.stderr}`)
  const line = containerd
    .ctr(['task', 'ls'])
    .stdout.split('\n')
    .find(one => one.startsWith(`${name} `))
  return `/proc/${line?.split(/ +/)[1]}/ns/net`
}

function addressOf(netns: string): string {
  const shown = run('nsenter', [`--net=${netns}`, 'ip', '-o', '-4', 'addr', 'show', 'dev', 'eth0'])
  return / inet ([\d.]+)\//.exec(shown)?.[1] ?? ''
}

function casesOf(containerd: Containerd): readonly Case[] {
  return [
    {
      name: 'a container that ends has had both addresses, and leaves nothing',
      body: () => {
        const shown = foreground(containerd, 'short')
        match(shown, / inet 10\.86\.\d+\.\d+\/16 /)
        match(shown, / inet6 fd50:6174:6368:86:[0-9a-f:]+\/64 /)
        expectNone(left())
      }
    },
    { name: 'two containers talk; what ctr forgets to remove, gc removes', body: () => talkAndForget(containerd) },
    { name: 'two containers find each other by name', body: () => names(containerd) }
  ]
}

async function talkAndForget(containerd: Containerd): Promise<void> {
  const [a, b] = ['d1', 'd2'].map(name => detached(containerd, name))
  try {
    const address = addressOf(b ?? '')
    equal((await until('d2', 5000, () => who(a ?? '', address, 80))).name, 'd2')
  } finally {
    await remove(containerd, ['d1', 'd2'])
  }
}

/** ctr writes no resolv.conf, and its ids have containerd's namespace before them. */
async function names(containerd: Containerd): Promise<void> {
  configure('10-patchbay.conflist', shippedConfig('containerd-names.conflist'))
  const ping = (from: string, name: string): number =>
    containerd.ctr(['task', 'exec', '--exec-id', 'ping', from, '/bin/ping', '-c1', '-W2', name]).status
  try {
    await withAgent(async () => {
      try {
        for (const name of ['d1', 'd2']) detached(containerd, name, '--mount', resolvConfMount('127.0.0.11'))
        equal(ping('d1', 'default-d2'), 0)
        equal(ping('d2', 'default-d1'), 0)
      } finally {
        await remove(containerd, ['d1', 'd2'])
      }
    })
  } finally {
    configure('10-patchbay.conflist', shippedConfig('containerd.conflist'))
  }
}

/** ctr never calls DEL for a container that it started with -d. */
async function remove(containerd: Containerd, all: readonly string[]): Promise<void> {
  for (const name of all) {
    containerd.ctr(['task', 'kill', '-s', 'SIGKILL', name])
    await until(name, 5000, () => (containerd.ctr(['task', 'rm', '-f', name]).status === 0 ? true : undefined))
    containerd.ctr(['container', 'rm', name])
  }
  run(join(ROOT, 'dist', 'node', 'patchbay'), ['gc', NETWORK, '--all'])
  // The loopback interface, which is a network of its own to ctr, went with its namespace.
  run('sh', ['-c', 'rm -f /var/lib/cni/results/cni-loopback-*'])
  expectNone(left())
}
