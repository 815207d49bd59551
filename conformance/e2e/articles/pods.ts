/** Pods of CRI, which no article has: what is said of containers holds of them, by the pod's name. */
import { equal, match, ok } from 'node:assert/strict'
import { runIn, until } from '../command.ts'
import type { Cri, Pod } from '../cri.ts'
import type { Patchbay } from '../patchbay.ts'
import { who } from '../reach.ts'
import type { Case } from '../suite.ts'

/** containerd's CRI takes the first of the directory. */
const POD_NETWORK = 'a-pods'

export function pods(patchbay: Patchbay, cri: Cri): readonly Case[] {
  return [{ name: 'pods of CRI by name, NAMESPACE/NAME and id', body: () => onePod(patchbay, cri) }]
}

async function withPod(patchbay: Patchbay, cri: Cri, body: (pod: Pod) => void | Promise<void>): Promise<void> {
  patchbay.run(`network create --subnet 10.70.0.0/24 ${POD_NETWORK}`)
  try {
    await until('the pod network', 10_000, async () => (await cri.networkCondition()).status || undefined)
    const pod = await cri.run('web')
    try {
      await body(pod)
    } finally {
      await cri.remove(pod)
    }
  } finally {
    patchbay.run(`network rm ${POD_NETWORK}`)
  }
}

function onePod(patchbay: Patchbay, cri: Cri): Promise<void> {
  return withPod(patchbay, cri, async pod => {
    const template = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
    for (const word of [pod.name, `e2e/${pod.name}`, pod.id.slice(0, 12)])
      equal(patchbay.run(`inspect ${word} -f`, template), pod.addresses[0], word)
    ok(patchbay.run(`network inspect ${POD_NETWORK}`).includes(pod.id))
    match(patchbay.refused(`network rm ${POD_NETWORK}`), new RegExp(pod.id))
    equal(patchbay.address(pod.name), pod.addresses[0])
    patchbay.run('network create --subnet 10.5.0.0/24 blue')
    try {
      patchbay.run('run -d --name c1 --network blue busybox sleep 600')
      patchbay.run(`network connect --ip 10.5.0.13 blue ${pod.name}`)
      patchbay.requirePings(['c1', '10.5.0.13'], [pod.name, patchbay.address('c1')], ['c1', pod.name])
      ok(who('/proc/self/ns/net', '10.5.0.13', 80) !== undefined, 'the server of the pod')
      patchbay.run(`network disconnect blue e2e/${pod.name}`)
      ok(!runIn(pod.netns, 'ip', ['-o', 'link']).stdout.includes('eth1'))
    } finally {
      patchbay.outcome('rm -f c1')
      patchbay.outcome(`network disconnect blue ${pod.name}`)
      patchbay.run('network rm blue')
    }
  })
}
