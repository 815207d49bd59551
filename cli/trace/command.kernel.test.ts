// needs: nft
/** `patchbay trace` as a command: what it leaves (nothing), what it says to programs, and names that hurt nobody. */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { listen, OUTSIDE, uplink } from '../../lib/testing/broken-ways.ts'
import { netnsId, wire } from '../../lib/testing/broken-worlds.ts'
import { NSENTER, type Outcome } from '../../lib/testing/namespace.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import { type Site, withSite } from '../../lib/testing/site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('cli/trace command')

/** A host with two containers on a bridge, and somebody outside. */
function withUplink(body: (site: Site) => void | Promise<void>): Promise<void> {
  return withSite(3, async site => {
    mkdirSync(`${site.directory}/state`)
    wire(site)
    uplink(site)
    await body(site)
  })
}

function run(site: Site, ...words: readonly string[]): Outcome {
  return site.patchbay(['trace', ...words, ...site.places(), '--run-dir', `${site.directory}/run`])
}

/** All that a trace could have left in the host and in the containers. */
function state(site: Site): string {
  const asked = 'nft list ruleset; ip -o link | cut -d" " -f2; tc qdisc show'
  return [site.host, ...site.boxes].map(box => site.sh(box, asked)).join('')
}

test('nothing is left, of a packet that was put in neither', () =>
  withUplink(site => {
    const before = state(site)
    assert.is(run(site, 'c1', OUTSIDE).status, 0)
    const put = run(site, '192.0.2.77', '10.77.0.3', '--wait', '0.3')
    assert.match(put.stdout, /^works: 10\.77\.0\.3 answers$/m)
    assert.match(put.stdout, /^ping from outside, by up0, 192\.0\.2\.77, to 10\.77\.0\.3$/m)
    assert.is(state(site), before)
  }))

test('killed, it leaves nothing either', () =>
  withUplink(async site => {
    const before = state(site)
    const [node, ...args] = patchbayProgram()
    // To an address that nobody has: it would wait for a minute.
    const words = ['trace', 'c1', '10.77.0.99', '--wait', '60', ...site.places()]
    const child = spawn(NSENTER, [`--net=${site.host.path}`, node, ...args, ...words], { stdio: 'ignore' })
    const ended = new Promise(resolve => child.on('exit', resolve))
    const tables = (): string => site.sh(site.box(0), 'nft list tables')
    await until(() => tables().includes(`table ip patchbay-trace-${String(child.pid)}`))
    assert.match(site.sh(site.host, 'nft list tables'), /^table bridge patchbay-trace-/m)
    child.kill('SIGKILL')
    await ended
    await until(() => state(site) === before)
  }))

async function until(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error('it did not come so far')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

test('for programs: every step, the outcome, and how many went that way', () =>
  withUplink(site => {
    listen(site, site.box(1), '0.0.0.0', 80)
    const done = run(site, 'c1', 'c2:80', '--count', '3', '-o', 'json')
    assert.is(done.status, 0, done.stderr)
    const { from, source, destination, protocol, port, ways } = JSON.parse(done.stdout)
    assert.equal([from, source, destination, protocol, port], ['c1', '10.77.0.2', '10.77.0.3', 'tcp', 80])
    assert.is(ways.length, 1, done.stdout)
    const [{ probes, steps, outcome }] = ways
    assert.equal([probes, outcome.works, outcome.what], [3, true, '10.77.0.3 answers on tcp port 80'])
    const seen = steps
      .filter((step: { readonly kind: string }) => step.kind === 'seen')
      .map((step: Readonly<Record<string, string>>) =>
        [step['role'], step['namespace'], step['direction'], step['link']].join(' ')
      )
    assert.equal(seen, [
      ...['request c1 out eth0', 'request host in vred', 'request host out vblue', 'request c2 in eth0'],
      ...['answer c2 out eth0', 'answer host in vblue', 'answer host out vred', 'answer c1 in eth0']
    ])
  }))

test('connections of a service go several ways', () =>
  withUplink(site => {
    for (const box of [1, 2]) listen(site, site.box(box), box === 1 ? '10.77.0.3' : OUTSIDE, 80)
    const rules = [
      'add table ip s',
      'add chain ip s out { type nat hook output priority -100; }',
      `add rule ip s out ip daddr 10.96.0.10 dnat to numgen inc mod 2 map { 0 : 10.77.0.3, 1 : ${OUTSIDE} }`
    ]
    site.sh(site.box(0), `nft '${rules.join('; ')}'`)
    const done = run(site, 'c1', '10.96.0.10:80', '--count', '6')
    assert.is(done.status, 0, done.stdout)
    const shares = [...done.stdout.matchAll(/^(\d) of 6 probes:$/gm)].map(([, share]) => Number(share))
    assert.is(shares.length, 2, done.stdout)
    assert.is(
      shares.reduce((sum, one) => sum + one, 0),
      6
    )
    assert.match(done.stdout, /10\.96\.0\.10:80 becomes .* -> 10\.77\.0\.3:80$/m, done.stdout)
  }))

test('UDP, IPv6, and what would be sent', () =>
  withUplink(site => {
    const six = run(site, 'c1', 'fd77::1')
    assert.match(six.stdout, /^works: fd77::1 answers$/m)
    const closed = run(site, 'c1', '[fd77::1]:53', '--udp')
    assert.match(closed.stdout, /^fails: reached, but nobody listens on udp port 53 of the host$/m)
    assert.is(run(site, 'c1', 'c2', '--udp').status, 2)
    const dry = run(site, 'c1', 'c2:80', '--dry-run')
    assert.is(dry.stdout, 'would send: TCP SYN from c1, 10.77.0.2, to 10.77.0.3 port 80\n')
  }))

test('out of sight: with which address it left', () =>
  withUplink(site => {
    site.ip(
      site.host,
      'link add wan0 type ifb',
      'addr add 203.0.113.1/24 dev wan0',
      'link set wan0 up',
      'route add default dev wan0'
    )
    const words = ['c1', '198.51.100.9', '--wait', '0.3']
    assert.match(
      run(site, ...words).stdout,
      /^fails: it left the host by wan0 as 10\.77\.0\.2, and no answer came: nothing masquerades it/m
    )
    site.sh(
      site.host,
      "nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname wan0 masquerade'"
    )
    const masqueraded = run(site, ...words).stdout
    assert.match(
      masqueraded,
      /^ {4}translated: 10\.77\.0\.2 -> 198\.51\.100\.9 becomes 203\.0\.113\.1 -> 198\.51\.100\.9$/m
    )
    assert.match(masqueraded, /^fails: it left this host by wan0 towards 198\.51\.100\.9, and no answer came$/m)
  }))

test('names: of several they are listed, of nobody they are told, and none reaches the terminal as it is', () =>
  withUplink(site => {
    for (const [id, box] of [
      ['c1', site.box(0)],
      ['c2', site.box(1)]
    ] as const)
      site.file(`state/web/${id}:eth0.dns.json`, {
        netns: box.path,
        netnsId: netnsId(box),
        names: ['db'],
        addresses: []
      })
    const several = run(site, 'host', 'db')
    assert.equal([several.status, several.stdout], [2, ''])
    for (const id of ['c1', 'c2']) assert.match(several.stderr, new RegExp(`"db": .*\\(${id}\\).* are called so$`, 'm'))
    assert.match(run(site, 'c1', 'nobody').stderr, /find container "nobody"/)
    site.ip(site.box(0), 'link set eth0 down', 'link set eth0 name \u001b[2J', 'link set \u001b[2J up')
    site.sh(site.box(0), 'ip route add default via 10.77.0.1')
    const done = run(site, 'c1', OUTSIDE)
    assert.is(done.status, 0, done.stdout)
    assert.match(done.stdout, /out \\u\{1b\}\[2J$/m)
    assert.is(run(site, '', 'c2').status, 2)
    for (const text of [done.stdout, run(site, 'c1', OUTSIDE, '-o', 'json').stdout]) assert.not.match(text, /\u001b/)
  }))

test.run()
