/** Hosts as namespaces, each with an agent of its own, on a real etcd: what goes on when something dies or is cut off. */
// needs: bridge ping etcd etcdctl
// time-out: 900 s
// waits: for leases to end
import { join } from 'node:path'
import { until } from '../lib/testing/lab-agent.ts'
import { ok, pings } from '../lib/testing/overlay-lab.ts'
import { inSite, type OverlaySite, ROOT, reached } from '../lib/testing/overlay-site.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('agent, when something fails')

/** Seconds; no test waits for its end. */
const LONG_LEASE = 300
/** Seconds, where a host has to be forgotten: not less, because a busy machine may let an agent wait for its turn a while. */
const SHORT_LEASE = 8
const SHORT_LEASES = { leaseSeconds: SHORT_LEASE, addressLeaseSeconds: SHORT_LEASE + 1 }

/** The id of the etcd lease that a host's endpoints and addresses go with, and the seconds that it will still live. */
function leaseOf(site: OverlaySite, host: string): { readonly id: bigint; readonly seconds: number } {
  const record = JSON.parse(site.etcd.ctl('get', '--print-value-only', `/patchbay/hosts/${host}`))
  const id = BigInt(record.records)
  const told = site.etcd.ctl('lease', 'timetolive', id.toString(16))
  return { id, seconds: Number(/remaining\(([0-9]+)s\)/.exec(told)?.[1] ?? '0') }
}

test('an agent is killed and restarted without a lost packet, and takes its lease over', async () => {
  await inSite({ members: 1, etcd: { addressLeaseSeconds: LONG_LEASE } }, async site => {
    const { lab, etcd } = site
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    const c = await site.add(2, 'c2')
    await reached(a, b.ips[0] ?? '')
    const lease = leaseOf(site, 'h0')

    const pinger = lab.run(a.netns, 'ping', ['-i', '0.05', b.ips[0] ?? ''])
    let answers = ''
    pinger.stdout?.on('data', chunk => {
      answers += String(chunk)
    })
    await site.agent(1).kill()
    await site.agent(0).kill()
    // A container comes and one goes meanwhile.
    const refused = await site.refused(0, 'late')
    assert.is(refused.json.code, 11)
    assert.match(refused.json.msg, /reach the agent/)
    assert.is((await site.call('STATUS', 0, '')).json.code, 51)
    const d = await site.add(2, 'c3')
    assert.is((await site.call('DEL', 2, 'c2')).status, 0)
    site.agent(1).restart()
    site.agent(0).restart()
    await Promise.all([site.agent(0).whenReady(), site.agent(1).whenReady()])
    const ready = Date.now()
    await reached(a, d.ips[0] ?? '')
    await until('the one that went is forgotten', () => !site.fdb(0).includes(c.mac))
    const unrenewed = (): number => LONG_LEASE - (Date.now() - ready) / 1000
    await until('the lease is renewed', () => leaseOf(site, 'h0').seconds > unrenewed() + 2)
    assert.is(leaseOf(site, 'h0').id, lease.id)
    assert.is(etcd.containerKeys('endpoints').length, 3)
    pinger.kill('SIGINT')
    const numbers = [...answers.matchAll(/icmp_seq=([0-9]+)/g)].map(match => Number(match[1]))
    // All up to the last one that came; later ones may have been under way.
    assert.ok(numbers.length > 20, answers)
    assert.is(new Set(numbers).size, Math.max(...numbers), answers)
  })
})

test('a host dies: the others forget it with its lease, and its addresses are free', async () => {
  await inSite({ members: 1, etcd: SHORT_LEASES }, async site => {
    const { lab, etcd } = site
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    const c = await site.add(2, 'c2')
    await reached(a, b.ips[0] ?? '')
    await reached(a, c.ips[0] ?? '')
    // The power goes: nothing of host 1 is heard any more.
    await site.agent(1).kill()
    lab.setPort(2, false)
    const died = await until('host 1 is forgotten', () => !/192\.0\.2\.2/.test(site.fdb(0)))
    process.stdout.write(`forgotten after ${(died / 1000).toFixed(1)} s, with a lease of ${SHORT_LEASE} s\n`)
    assert.not.match(site.neighbours(0), new RegExp(`${b.ips[0]} `))
    await until('its addresses are free', () => etcd.containerKeys('addresses').length === 4)
    assert.ok(pings(a.netns, c.ips[0] ?? ''))
  })
})

test('the leader of etcd is killed; etcd goes away and returns; a host is cut off and returns', async () => {
  await inSite({ members: 3, etcd: SHORT_LEASES, agent: { compareSeconds: 1 } }, async site => {
    const { lab, etcd } = site
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')

    const leader = await etcd.leader()
    await etcd.kill(leader)
    const c = await site.add(2, 'c2')
    await reached(a, c.ips[0] ?? '')
    etcd.restart(leader)

    // Two of three: no majority, so nothing can be written.
    const others = [0, 1, 2].filter(one => one !== leader)
    for (const one of others) await etcd.kill(one)
    await until('the agent notices', async () => (await site.agent(0).get('/healthz')).status === 503)
    const refused = await site.refused(0, 'late')
    assert.is(refused.json.code, 11)
    assert.match(refused.json.msg, /reach the registry: .+/)
    assert.ok(pings(a.netns, b.ips[0] ?? ''), 'running traffic goes on')
    // An agent that starts now knows nothing, and takes nothing away for it.
    await site.agent(0).kill()
    site.agent(0).restart()
    await until('it is up, and says so', async () => (await site.agent(0).get('/healthz')).status === 503)
    // Time for two comparisons.
    await new Promise(resolve => setTimeout(resolve, 2500))
    assert.ok(pings(a.netns, b.ips[0] ?? ''), 'also over a restart of the agent')
    // A container goes while nobody can be told.
    assert.is((await site.call('DEL', 1, 'c1')).stdout, '')
    for (const one of others) etcd.restart(one)
    await Promise.all(site.agents.map(agent => agent.whenReady()))
    await until('it is told afterwards', () => !site.fdb(0).includes(b.mac))
    await reached(a, c.ips[0] ?? '')
    const d = await site.add(1, 'c3')
    await reached(a, d.ips[0] ?? '')

    // Host 1 is cut off for longer than its lease lives.
    lab.setPort(2, false)
    await until('host 1 is forgotten', () => !/192\.0\.2\.2/.test(site.fdb(0)))
    assert.ok(pings(a.netns, c.ips[0] ?? ''))
    const e = await site.add(0, 'c4')
    lab.setPort(2, true)
    await until('host 1 is back', () => site.knows(0, d) && site.knows(1, e))
    await reached(a, d.ips[0] ?? '')
    await reached(d, e.ips[0] ?? '')
  })
})

test('an agent that is stopped for longer than its presence lasts: traffic goes on, and nothing is forgotten', async () => {
  await inSite({ members: 1, hosts: 2, etcd: { leaseSeconds: 2, addressLeaseSeconds: LONG_LEASE } }, async site => {
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')
    process.kill(site.agent(1).pid, 'SIGSTOP')
    await until('it counts as away', () => site.etcd.keys('/patchbay/hosts/h1/present').length === 0)
    assert.is(site.etcd.containerKeys('endpoints').length, 2)
    assert.ok(site.knows(0, b))
    assert.ok(pings(a.netns, b.ips[0] ?? ''))
    process.kill(site.agent(1).pid, 'SIGCONT')
    await until('it is back', () => site.etcd.keys('/patchbay/hosts/h1/present').length === 1)
    const later = await site.add(1, 'later')
    await reached(a, later.ips[0] ?? '')
  })
})

test('etcd is set up anew, without memory: traffic goes on, and what happens afterwards counts at once', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')
    const pinger = site.lab.run(a.netns, 'ping', ['-i', '0.05', b.ips[0] ?? ''])
    let answers = ''
    pinger.stdout?.on('data', chunk => {
      answers += String(chunk)
    })
    await site.etcd.kill(0)
    site.etcd.forget(0)
    site.etcd.restart(0)
    await Promise.all(site.agents.map(agent => agent.whenReady()))
    await until('everything is there again', () => site.etcd.containerKeys('endpoints').length === 2)
    // Before the address goes: its next owner would answer, too, after a while without one.
    pinger.kill('SIGINT')
    const numbers = [...answers.matchAll(/icmp_seq=([0-9]+)/g)].map(match => Number(match[1]))
    assert.is(new Set(numbers).size, Math.max(...numbers), answers)
    // Its revisions are smaller than those that the agents remember.
    assert.is((await site.call('DEL', 1, 'c1')).stdout, '')
    const moved = await site.add(0, 'heir', { args: { cni: { ips: b.ips } } })
    await until('host 1 sends there', () => site.fdb(0).includes(moved.mac) === false && !site.knows(0, b))
  })
})

test('etcd takes no writes (its quota is used up): what others remove is seen all the same', async () => {
  await inSite({ members: 1, hosts: 2, etcdArgs: ['--quota-backend-bytes', String(16 * 1024 * 1024)] }, async site => {
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')
    site.etcd.fill()
    const refused = await site.refused(0, 'late')
    assert.is(refused.json.code, 11)
    assert.match(refused.json.msg, /database space exceeded/)
    assert.is((await site.call('DEL', 1, 'c1')).stdout, '')
    await until('host 0 has forgotten it', () => !site.knows(0, b) && !site.fdb(0).includes(b.mac))
    // An agent that starts now follows as well.
    await site.agent(0).kill()
    site.agent(0).restart()
    await until('it says why', () => /database space exceeded/.test(site.agent(0).log))
  })
})

/** More than etcd keeps ready for a follower that does not read: it has to read them from its history, later. */
const FLOOD = `
import { NO_ACCESS } from '${join(ROOT, 'agent/etcd/access.ts')}'
import { Etcd, put } from '${join(ROOT, 'agent/etcd/etcd.ts')}'
const etcd = new Etcd({ endpoints: [process.argv[1]], access: NO_ACCESS, count: () => undefined })
const write = (key, size) => etcd.txn([], [put('/patchbay/endpoints/42/flood/' + key, 'x'.repeat(size), 0n)], [], 60_000)
for (let i = 0; i < 12; i += 1) await write('large', 1_000_000)
for (let i = 0; i < 15; i += 1) await Promise.all(Array.from({ length: 100 }, (_, n) => write('small' + n, 1)))
process.exit(0)
`

test('changes that etcd has compacted before an agent heard of them: everything is read anew', async () => {
  await inSite({ members: 1, etcd: { leaseSeconds: LONG_LEASE, addressLeaseSeconds: LONG_LEASE } }, async site => {
    const { lab, etcd } = site
    const a = await site.add(0, 'c0')
    const gone = await site.add(1, 'gone')
    const stays = await site.add(2, 'stays')
    await until('host 0 knows both', () => site.knows(0, gone) && site.knows(0, stays))
    const agent = site.agent(0)
    process.kill(agent.pid, 'SIGSTOP')
    // Long enough for the agent to find, when it wakes, that it has heard nothing for long: no reason to reconnect.
    const asleep = new Promise(resolve => setTimeout(resolve, 10_000))
    const [member] = etcd.members
    const args = ['--no-warnings', '--input-type=module-typescript', '-e', FLOOD, `http://${member?.address}:2379`]
    const flooded = member?.namespace.run(process.execPath, args)
    assert.is(flooded?.status, 0, flooded?.stderr)
    assert.is((await site.call('DEL', 1, 'gone')).stdout, '')
    const comes = await site.add(2, 'comes')
    etcd.ctl('del', '--prefix', '/patchbay/endpoints/42/flood/')
    const { header } = JSON.parse(etcd.ctl('get', '-w', 'json', '/patchbay/hosts/h0'))
    etcd.ctl('compact', String(header.revision))
    assert.ok(site.knows(0, gone), 'the agent sleeps')
    assert.not.ok(site.knows(0, comes))
    await asleep
    process.kill(agent.pid, 'SIGCONT')
    await until('host 0 knows who came', () => site.knows(0, comes))
    await until(
      'host 0 has forgotten who went',
      () => !site.fdb(0).includes(gone.mac) && !site.neighbours(0).includes(`${gone.ips[0]} `)
    )
    assert.ok(site.knows(0, stays))
    // What it said may arrive here later than what it did.
    await until('it says so', () => /reads again everything: this process had no turn for [0-9]+ s/.test(agent.log))
    assert.not.match(agent.log, /silent|refused|was lost/)
    // And from there it is followed as before.
    const later = await site.add(1, 'later')
    await until('host 0 knows the next one', () => site.knows(0, later))
    await reached(a, later.ips[0] ?? '')
    assert.is((await site.call('DEL', 1, 'later')).stdout, '')
    await until('and that it went', () => !site.fdb(0).includes(later.mac))
    assert.ok(ok(lab.host(0).namespace, 'ip link show vx42'))
  })
})

test.run()
