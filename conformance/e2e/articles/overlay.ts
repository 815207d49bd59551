/**
 * The article on overlay networks, on one host: one command makes the network, and every runtime can use it at once. What is
 * seen on the other host is judged by the suite articles of two hosts.
 */
import { equal, match, ok } from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { run, until } from '../command.ts'
import { CONF_DIR, OUTSIDE_IPV4 } from '../host.ts'
import { IMAGE } from '../image.ts'
import type { Case } from '../suite.ts'
import type { Runtimes } from './own-networks.ts'

export function overlay(all: Runtimes): readonly Case[] {
  return [{ name: 'an overlay made by one command serves run, podman and connect', body: () => everywhere(all) }]
}

async function everywhere({ patchbay, podman }: Runtimes): Promise<void> {
  // The tunnel goes by the default route; the host of a suite has none.
  run('ip', ['route', 'add', 'default', 'via', OUTSIDE_IPV4])
  // $ docker network create -d overlay --attachable --subnet 10.60.0.0/24 all
  equal(
    patchbay.run('network create -d overlay --attachable --subnet 10.60.0.0/24 --ip-range 10.60.0.128/25 all'),
    'all'
  )
  try {
    ok(existsSync(join(CONF_DIR, 'patchbay-all.conflist')))
    match(patchbay.run('network ls -f scope=cluster --format Name,Driver,Scope'), /^all +overlay +cluster$/m)
    patchbay.run('run -d --name web --network all,ip=10.60.0.9 busybox sleep 600')
    podman.run('run', '-d', '--name', 'p1', '--network', 'all', IMAGE)
    const address = podman.inspect('p1').NetworkSettings.Networks['all']?.IPAddress ?? ''
    match(address, /^10\.60\.0\.(12[89]|1[3-9]\d|2\d\d)$/)
    patchbay.requirePings(['web', address], ['web', 'p1'])
    const shown = JSON.parse(patchbay.run('network inspect all'))[0].Containers
    equal(
      Object.values(shown)
        .map(one => (one as { Name: string }).Name)
        .sort()
        .join(),
      'p1,web'
    )
    // $ docker network rm all
    match(patchbay.refused('network rm all'), /remove network "all": .*attached/)
  } finally {
    podman.outcome('rm', '-f', '-t', '0', 'p1')
    patchbay.outcome('rm -f web')
    run('ip', ['route', 'del', 'default', 'via', OUTSIDE_IPV4])
    await until('the network to be removed', 5000, () => patchbay.outcome('network rm all').status === 0 || undefined)
  }
  ok(!existsSync(join(CONF_DIR, 'patchbay-all.conflist')))
}
