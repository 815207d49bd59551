/** Services on three hosts, each with an agent of its own, on a real etcd; containers attached by the command, as a person does. */
// needs: etcd etcdctl dig nft bridge
// time-out: 600 s
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EchoServer } from '../../lib/testing/echo.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { BIN_DIR, inSite, type OverlaySite } from '../../lib/testing/overlay-site.ts'
import { patchbayProgram, programFromText } from '../../lib/testing/program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/services')

const NETWORK = { ranges: [{ subnet: '10.43.0.0/24', gateway: '10.43.0.1' }] }
const VIP = '10.43.0.254'

interface Box {
  readonly host: number
  readonly id: string
  readonly netns: Namespace
  readonly address: string
}

interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** The command on a host. */
function patchbay(site: OverlaySite, host: number, ...args: readonly string[]): Ran {
  const [node, ...first] = patchbayProgram()
  const { namespace } = site.lab.host(host)
  return namespace.run(node, [...first, ...args])
}

function service(site: OverlaySite, host: number, ...args: readonly string[]): Ran {
  return patchbay(site, host, 'service', ...args, '--agent-socket', site.agent(host).socket)
}

function place(site: OverlaySite, host: number): readonly string[] {
  const { directory } = site.lab.host(host)
  return ['--conf-dir', join(directory, 'net.d'), '--bin-dir', BIN_DIR, '--cache-dir', join(directory, 'cache')]
}

/** A container on network blue, called by its id and the aliases. */
function attach(site: OverlaySite, host: number, id: string, ...aliases: readonly string[]): Box {
  const netns = site.lab.container()
  const names = ['--container-id', id, '--name', id, ...aliases.flatMap(one => ['--alias', one])]
  const done = patchbay(site, host, 'attach', 'blue', netns.path, ...names, '--json', ...place(site, host))
  assert.is(done.status, 0, `${done.stdout}${done.stderr}${site.agent(host).log}`)
  const address = JSON.parse(done.stdout).ips[0].address.split('/')[0]
  return { host, id, netns, address }
}

function detach(site: OverlaySite, { host, id }: Box): void {
  const done = patchbay(site, host, 'detach', 'blue', '--container-id', id, ...place(site, host))
  assert.is(done.status, 0, `${done.stdout}${done.stderr}`)
}

async function makeNetwork(site: OverlaySite): Promise<void> {
  const made = await site.agent(0).ask({ do: 'network-create', name: 'blue', network: NETWORK })
  assert.ok(made.ok, made.msg)
  await until('all hosts have it', () =>
    site.lab.hosts.every(host => existsSync(join(host.directory, 'net.d', 'patchbay-blue.conflist')))
  )
}

function rules(where: Namespace): string {
  return where.run('nft', ['list', 'tables']).stdout
}

/** What dig says in the container: addresses, or the response code. */
function asked(where: Namespace, ...question: readonly string[]): string {
  const { stdout } = where.run('dig', ['@127.0.0.11', '+time=5', '+tries=2', ...question])
  const answers = [...stdout.matchAll(/\sIN\s(?:A|PTR)\s(\S+)/g)].map(match => match[1]).sort()
  return answers.length > 0 ? answers.join(' ') : (/status: (\w+)/.exec(stdout)?.[1] ?? stdout)
}

/** Connects so often, one after the other. @returns how often each member answered, or what went wrong */
function answers(machine: Namespace, host: string, times: number): Readonly<Record<string, number>> {
  const text = `
    import { connect } from 'node:net'
    const [host = '', times = ''] = process.argv.slice(2)
    const counts: Record<string, number> = {}
    for (let i = 0; i < Number(times); i += 1) {
      const answer = await new Promise<string>(resolve => {
        let text = ''
        const socket = connect({ host, port: 80, timeout: 20_000 })
        socket.on('data', chunk => (text += String(chunk)))
        socket.on('timeout', () => { text = 'time-out'; socket.destroy() })
        socket.on('error', error => (text = (error as NodeJS.ErrnoException).code ?? 'failed'))
        socket.on('close', () => resolve(text.split(' ')[0] ?? ''))
      })
      counts[answer] = (counts[answer] ?? 0) + 1
    }
    console.log(JSON.stringify(counts))`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  const { status, stdout, stderr } = machine.run(node, [...args, host, String(times)])
  assert.is(status, 0, stderr)
  return JSON.parse(stdout)
}

test('made, found by name, balanced over hosts, followed, removed; nothing is left', async () => {
  await inSite({ members: 1 }, async site => {
    await makeNetwork(site)
    const client = attach(site, 0, 'client')
    const made = service(site, 0, 'create', 'web', '--network', 'blue')
    assert.equal([made.status, made.stdout], [0, 'web\n'], made.stderr)
    await until('the service is refused', () => answers(client.netns, VIP, 1)['ECONNREFUSED'] === 1)
    assert.is(asked(client.netns, 'web'), VIP)
    assert.is(asked(client.netns, 'tasks.web'), 'NOERROR')

    const boxes = [attach(site, 1, 'web1', 'web'), attach(site, 2, 'web2', 'web')]
    const servers = boxes.map(box => EchoServer.start(box.netns, box.id, ['tcp 80']))
    try {
      await until('both are members', () => asked(client.netns, 'tasks.web').split(' ').length === 2)
      assert.equal(answers(client.netns, VIP, 10), { web1: 5, web2: 5 })
      assert.is(asked(client.netns, 'web.blue'), VIP)
      assert.is(asked(client.netns, '-x', VIP), 'web.blue.')
      // Who joins reaches it before ADD returns: no time to wait.
      const late = attach(site, 2, 'late')
      assert.equal(answers(late.netns, VIP, 4), { web1: 2, web2: 2 })
      // So does a member itself.
      assert.equal(answers(boxes[0]?.netns ?? client.netns, VIP, 4), { web1: 2, web2: 2 })

      const [shown] = JSON.parse(service(site, 0, 'inspect', 'web').stdout)
      assert.equal([shown.Network, shown.VirtualIPs, shown.Running], ['blue', [VIP], 2])
      for (const one of shown.Members) assert.ok(one.Sent.Packets >= 15, JSON.stringify(one))
      const { text } = await site.agent(0).get('/metrics')
      assert.match(
        text,
        /^patchbay_service_packets_total\{service="web",member="10\.43\.0\.\d+",direction="sent"\} \d+$/m
      )
      const listed = service(site, 1, 'ps', 'web', '--format', '{{.Name}} {{.Host}} {{.State}}').stdout
      assert.is(listed, 'web1 h1 running\nweb2 h2 running\n')

      detach(site, boxes[0] ?? client)
      await until('one is left', () => answers(client.netns, VIP, 4)['web2'] === 4)
      for (const host of [0, 1]) {
        const again = service(site, host, 'create', 'web', '--network', 'blue')
        assert.match(again.stderr, /there is a service of this name on network "blue" since 20/)
      }
      const value = site.etcd.ctl('get', '--print-value-only', `/patchbay/addresses/blue/${VIP}`)
      assert.is(JSON.parse(value).containerId, 'service web')
      assert.is(service(site, 2, 'rm', 'web').status, 0)
      await until('it is gone', () => !rules(client.netns).includes('patchbay-services'))
      assert.is(asked(client.netns, 'web'), asked(client.netns, 'tasks.web'))
      for (const box of [client, late, boxes[1] ?? late])
        await until('nothing is left', () => !rules(box.netns).includes('patchbay-services'))
      assert.equal(site.etcd.keys('/patchbay/services'), [])
      assert.equal(site.etcd.keys(`/patchbay/addresses/blue/${VIP}`), [])
    } finally {
      for (const server of servers) server.close()
    }
  })
})

test.run()
