/** What services do when something is away: the agent, etcd, a host; and when members are replaced under load. */
// needs: etcd etcdctl nft bridge
// time-out: 600 s
import { spawn } from 'node:child_process'
import { EchoServer } from '../../lib/testing/echo.ts'
import { hold, serveSilently } from '../../lib/testing/held-connection.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { inSite, type OverlaySite } from '../../lib/testing/overlay-site.ts'
import { programFromText } from '../../lib/testing/program.ts'
import {
  answersFrom,
  attach,
  attachRunning,
  detach,
  makeServiceNetwork,
  type ServiceBox,
  service,
  tables,
  VIP
} from '../../lib/testing/service-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/services, faults')

const PLACES = ['tcp 80', 'udp 53']

function serve(box: ServiceBox): EchoServer {
  return EchoServer.start(box.netns, box.id, PLACES)
}

/** The rules of a client without what has been counted. */
function rules(where: Namespace): string {
  return where.run('nft', ['list', 'table', 'ip', 'patchbay-services']).stdout.replace(/packets \d+ bytes \d+/g, '')
}

test('an agent or etcd that is away changes nothing; what happened meanwhile is made up for', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await makeServiceNetwork(site)
    const client = attach(site, 0, 'client')
    const boxes = [attach(site, 0, 'web1', 'web'), attach(site, 1, 'web2', 'web')]
    const servers = boxes.map(serve)
    try {
      assert.is(service(site, 0, 'create', 'web', '--network', 'blue').status, 0)
      await until('both are members', () => Object.keys(answersFrom(client.netns, VIP, 2)).length === 2)
      const before = rules(client.netns)
      await site.agent(0).kill()
      assert.equal(answersFrom(client.netns, VIP, 4), { web1: 2, web2: 2 })
      // An agent that starts without etcd cannot know who is gone: it leaves everything as it is.
      await site.etcd.kill(0)
      site.agent(0).restart()
      await until('the agent runs', async () => (await site.agent(0).get('/metrics')).status === 200)
      assert.equal(answersFrom(client.netns, VIP, 4), { web1: 2, web2: 2 })
      assert.is(rules(client.netns), before)
      detach(site, boxes[1] ?? client)
      site.etcd.restart(0)
      await until('the one that went meanwhile is out', () => answersFrom(client.netns, VIP, 2)['web1'] === 2)
      // Removed while the agent is away: nothing of it is left when it is back.
      await site.agent(0).kill()
      assert.is(service(site, 1, 'rm', 'web').status, 0)
      assert.ok(tables(client.netns).includes('patchbay-services'))
      site.agent(0).restart()
      await until('nothing is left', () => !tables(client.netns).includes('patchbay-services'))
    } finally {
      for (const server of servers) server.close()
    }
  })
})

test('a dead host is out within its lease, and the rest serves; when nobody is left it is refused at once', async () => {
  const lease = 3
  await inSite({ members: 1, hosts: 3, etcd: { leaseSeconds: lease, addressLeaseSeconds: 60 } }, async site => {
    await makeServiceNetwork(site)
    const client = attach(site, 0, 'client')
    const boxes = [attach(site, 1, 'web1', 'web'), attach(site, 2, 'web2', 'web')]
    const servers = boxes.map(serve)
    try {
      assert.is(service(site, 0, 'create', 'web', '--network', 'blue').status, 0)
      await until('both are members', () => Object.keys(answersFrom(client.netns, VIP, 2)).length === 2)
      await site.agent(2).kill()
      site.lab.setPort(3, false)
      await until('it is out', () => !rules(client.netns).includes(`: ${boxes[1]?.address}`))
      assert.equal(answersFrom(client.netns, VIP, 3), { web1: 3 })
      const shown = service(site, 0, 'ps', 'web', '--format', '{{.Name}} {{.State}}').stdout
      assert.is(shown, 'web1 running\nweb2 host away\n')
      await site.agent(1).kill()
      site.lab.setPort(2, false)
      await until(
        'nobody is left',
        () => rules(client.netns).includes('comment "web"') && !/turn-/.test(rules(client.netns))
      )
      assert.equal(answersFrom(client.netns, VIP, 2), { ECONNREFUSED: 2 })
      // The partition is over: the same everywhere.
      for (const number of [2, 3]) site.lab.setPort(number, true)
      for (const number of [1, 2]) site.agent(number).restart()
      await until('both are back', () => Object.keys(answersFrom(client.netns, VIP, 2)).length === 2)
    } finally {
      for (const server of servers) server.close()
    }
  })
})

test('connections to members of a dead host are let be until it is forgotten, and cut then', async () => {
  await inSite({ members: 1, hosts: 2, etcd: { leaseSeconds: 2, addressLeaseSeconds: 8 } }, async site => {
    await makeServiceNetwork(site)
    const client = attach(site, 0, 'client')
    const member = attach(site, 1, 'web1', 'web')
    const children = [serveSilently(member.netns, 'web1')]
    try {
      await until('it listens', () => /:7000/.test(member.netns.run('ss', ['-ltn']).stdout))
      assert.is(service(site, 0, 'create', 'web', '--network', 'blue').status, 0)
      await until('it is a member', () => rules(client.netns).includes(`: ${member.address}`))
      const held = hold(client.netns, VIP)
      children.push(held.child)
      await until('it is connected', () => held.said() !== '')
      await site.agent(1).kill()
      site.lab.setPort(2, false)
      await until('the host is away', () => !rules(client.netns).includes(`: ${member.address}`))
      assert.equal([held.said(), held.child.exitCode], ['web1 ', null])
      await until('it is forgotten', () => held.child.exitCode === 0)
      assert.is(held.said(), 'web1 ECONNABORTED')
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  })
})

const AT_A_TIME = 4

/** One question, by a connection or by datagrams of a socket of its own; who asks by datagrams asks again until there is an answer. */
const ONCE = {
  tcp: `
    const once = host => new Promise(resolve => {
      let text = ''
      const socket = connect({ host, port: 80 })
      socket.on('data', chunk => (text += String(chunk)))
      socket.on('error', error => (text = error.code ?? 'failed'))
      socket.on('close', () => resolve(text))
    })`,
  udp: `
    const once = host => new Promise(resolve => {
      const socket = createSocket('udp4')
      const ask = () => socket.send('x', 53, host, () => undefined)
      const again = setInterval(ask, 100)
      const end = text => {
        clearInterval(again)
        clearTimeout(late)
        socket.close()
        resolve(text)
      }
      const late = setTimeout(() => end('no answer'), 30_000)
      socket.on('message', data => end(String(data)))
      socket.on('error', error => end(error.code ?? 'failed'))
      ask()
    })`
}

/** Asks without end, four at a time; each answer is a name or an errno. */
function load(machine: Namespace, host: string, protocol: keyof typeof ONCE) {
  const text = `
    import { createSocket } from 'node:dgram'
    import { connect } from 'node:net'
    ${ONCE[protocol]}
    let goes = true
    process.stdin.on('end', () => { goes = false }).resume()
    const counts = {}
    const work = async () => {
      while (goes) {
        const answer = (await once('${host}')).split(' ')[0] || 'nothing'
        counts[answer] = (counts[answer] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: ${AT_A_TIME} }, work))
    console.log(JSON.stringify(counts))`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  const child = spawn('nsenter', [`--net=${machine.path}`, node, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
  })
  return {
    child,
    end: async (): Promise<Readonly<Record<string, number>>> => {
      const gone = new Promise(resolve => child.once('close', resolve))
      child.stdin.end()
      await gone
      return JSON.parse(said)
    }
  }
}

interface Load {
  readonly protocol: keyof typeof ONCE
  readonly isSticky: boolean
}

/** Two members are replaced, one after the other. @returns the answers meanwhile, and how often each answered afterwards */
async function replacedUnder(site: OverlaySite, { protocol, isSticky }: Load) {
  await makeServiceNetwork(site)
  const client = attach(site, 0, 'client')
  const serving = [1, 2].map(host => {
    const box = attach(site, host, `old${host}`, 'web')
    return { box, server: serve(box) }
  })
  const sticky = isSticky ? ['--sticky', 'source'] : []
  assert.is(service(site, 0, 'create', 'web', '--network', 'blue', ...sticky).status, 0)
  for (const { box } of serving) await until('it is a member', () => rules(client.netns).includes(`: ${box.address}`))
  const open = new Set(serving.map(one => one.server))
  const running = load(client.netns, VIP, protocol)
  try {
    for (const { box, server } of serving) {
      // Whoever replaces members has the new one serve before it becomes one.
      const netns = site.lab.container()
      const id = `next${box.host}`
      open.add(EchoServer.start(netns, id, PLACES))
      attachRunning(site, box.host, { id, aliases: ['web'], netns })
      detach(site, box)
      await until('it is out', () => !rules(client.netns).includes(`: ${box.address}`))
      server.close()
      open.delete(server)
    }
    const counts = await running.end()
    return { counts, after: answersFrom(client.netns, VIP, 4) }
  } finally {
    running.child.kill('SIGKILL')
    for (const server of open) server.close()
  }
}

for (const { name, load: what } of [
  { name: 'connections', load: { protocol: 'tcp', isSticky: false } },
  { name: 'connections of a source that sticks', load: { protocol: 'tcp', isSticky: true } },
  { name: 'datagrams', load: { protocol: 'udp', isSticky: false } }
] as const)
  test(`members are replaced one after the other under load, ${name}: none fails but what was open with who goes`, async () => {
    await inSite({ members: 1, hosts: 3 }, async site => {
      const { counts, after } = await replacedUnder(site, what)
      // What is open with a member at the moment when it goes is ended at once: of four at a time, twice.
      const { ECONNABORTED: ended = 0, ...rest } = counts
      assert.ok(ended <= 2 * AT_A_TIME, JSON.stringify(counts))
      const failures = Object.keys(rest).filter(answer => !/^(old|next)[12]$/.test(answer))
      assert.equal(failures, [], JSON.stringify(counts))
      if (what.isSticky) assert.is(Object.keys(after).length, 1, JSON.stringify(after))
      else assert.equal(after, { next1: 2, next2: 2 })
    })
  })

test.run()
