/** What the server of `patchbay ui` lets through, asked over loopback. */
import { createHash } from 'node:crypto'
import { get, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { listening } from '../../lib/daemon/server.ts'
import { assert, suite, throwsLike } from '../../lib/testing/suite.ts'
import { NO_COUNTERS, type View } from '../../lib/view/model.ts'
import { patched } from './merge-patch.ts'
import { type Model, viewOf } from './model.ts'
import { isHostAllowed, uiServer } from './server.ts'
import { placeOf } from './ui.ts'
import { Watch } from './watch.ts'

const test = suite('cli/ui: server')

const TOKEN = 'c2VjcmV0'
const PAGE = '<html><style>a{}</style><script>1</script></html>'

/** A host with one container, which gets another address with each reading. */
function counting(): { readonly read: () => View; readonly count: () => number } {
  let count = 0
  const read = (): View => {
    count += 1
    const link = { index: 2, name: 'eth0', altNames: [], alias: '', kind: 'veth', mac: '', mtu: 1500 }
    const state = { isUp: true, state: 'up', master: 0, isIsolated: false, vlan: 0, counters: NO_COUNTERS }
    const box = { processes: { count: 0, pid: 0, command: '' }, containerId: '', runtime: '', problem: '', routes: [] }
    const links = [{ ...link, ...state, addresses: [`10.0.0.${String(count)}/24`] }]
    const namespaces = [
      { ...box, id: '1', isHost: true, name: 'host', paths: [], links: [] },
      { ...box, id: '2', isHost: false, name: 'box', paths: [], links }
    ]
    return { version: 1, host: 'host', readAt: String(count), namespaces, networks: [], services: [], problems: [] }
  }
  return { read, count: () => count }
}

async function withServer(body: (port: number, count: () => number) => Promise<void>): Promise<void> {
  const { read, count } = counting()
  const watch = new Watch({ read, check: () => Promise.resolve([]), readCluster: undefined, interval: 10 })
  const server = uiServer({ page: PAGE, token: TOKEN, watch })
  await listening(server, { host: '127.0.0.1', port: 0 })
  try {
    await body((server.address() as AddressInfo).port, count)
  } finally {
    watch.close()
    server.closeAllConnections()
    server.close()
  }
}

interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

function ask(port: number, path: string, { method = 'GET', headers = {} }: Asked = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method, headers, agent: false }, answer => {
      answer.resume()
      resolve(answer)
    })
      .on('error', reject)
      .end()
  })
}

test('the page is below its token alone, for GET alone, and for hosts that are no names', () =>
  withServer(async port => {
    const cases: readonly (readonly [path: string, asked: Asked, status: number])[] = [
      [`/${TOKEN}/`, {}, 200],
      [`/${TOKEN}/`, { method: 'HEAD' }, 200],
      [`/${TOKEN}/`, { headers: { host: '[::1]:80' } }, 200],
      [`/${TOKEN}/`, { headers: { host: 'localhost' } }, 200],
      [`/${TOKEN}/`, { headers: { host: 'evil.example' } }, 421],
      [`/${TOKEN}/events`, { headers: { host: 'evil.example:4878' } }, 421],
      [`/${TOKEN}/`, { method: 'POST' }, 405],
      [`/${TOKEN}/`, { method: 'OPTIONS', headers: { origin: 'http://evil.example' } }, 405],
      [`/${TOKEN}/?x`, {}, 404],
      [`/${TOKEN}/other`, {}, 404],
      [`/${TOKEN}`, {}, 404],
      [`/${TOKEN}x/`, {}, 404],
      ['/', {}, 404],
      ['//', {}, 404],
      ['/events', {}, 404]
    ]
    for (const [path, asked, status] of cases) {
      const answer = await ask(port, path, asked)
      assert.is(answer.statusCode, status, `${path} ${JSON.stringify(asked)}`)
      assert.is(answer.headers['access-control-allow-origin'], undefined)
      assert.is(answer.headers['cache-control'], 'no-store')
    }
  }))

test('the policy lets exactly its own script and style be used', () =>
  withServer(async port => {
    const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    const { headers } = await ask(port, `/${TOKEN}/`)
    const policy = String(headers['content-security-policy'])
    for (const one of [
      "default-src 'none'",
      `script-src ${hash('1')};`,
      `style-src ${hash('a{}')};`,
      "frame-ancestors 'none'"
    ])
      assert.ok(policy.includes(one), `${one} in ${policy}`)
    assert.not.match(policy, /unsafe/)
    assert.is(headers['referrer-policy'], 'no-referrer')
  }))

/** The events of the stream, until there are so many. */
function events(port: number, most: number): Promise<readonly (readonly [event: string, data: unknown])[]> {
  return new Promise((resolve, reject) => {
    let text = ''
    const asked = get({ host: '127.0.0.1', port, path: `/${TOKEN}/events`, agent: false }, answer => {
      answer.setEncoding('utf8')
      answer.on('data', chunk => {
        text += String(chunk)
        const whole = [...text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)]
        if (whole.length < most) return
        asked.destroy()
        resolve(whole.slice(0, most).map(([, event = '', data = '']) => [event, JSON.parse(data)]))
      })
    })
    asked.on('error', reject)
  })
}

test('a model, then what changes; whoever comes later gets a whole one; nothing is read when nobody looks', () =>
  withServer(async (port, count) => {
    const [early, late] = await Promise.all([events(port, 4), sleep(25).then(() => events(port, 2))])
    assert.equal(
      [early, late].map(all => all.map(([event]) => event)[0]),
      ['model', 'model']
    )
    assert.equal(
      early.slice(1).map(([event]) => event),
      ['patch', 'patch', 'patch']
    )
    const model = early.reduce<unknown>(
      (before, [event, data]) => (event === 'model' ? data : patched(before, data)),
      {}
    )
    const { view } = model as Model
    const [, box] = viewOf(view).namespaces
    assert.equal([box?.name, box?.links[0]?.addresses], ['box', [`10.0.0.${view.readAt}/24`]])
    assert.ok(JSON.stringify(early[1]?.[1]).length < 200, 'a patch is small')

    while (true) {
      const before = count()
      await sleep(60)
      if (count() === before) break
    }
  }))

test('which hosts are let through', () => {
  for (const host of [
    '127.0.0.1',
    '127.0.0.1:4878',
    'localhost:80',
    'LOCALHOST',
    '[::1]',
    '[fd00::1]:4878',
    '192.0.2.1'
  ])
    assert.is(isHostAllowed(host), true, host)
  for (const host of [
    '',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '::1',
    '[::1',
    'localhost:x',
    'a b'
  ])
    assert.is(isHostAllowed(host), false, host)
})

test('where it can listen', () => {
  assert.equal(placeOf('127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
  assert.equal(placeOf('[::1]:4878'), { host: '::1', port: 4878 })
  assert.equal(placeOf('unix:/run/ui.sock'), { path: '/run/ui.sock' })
  for (const text of ['', '4878', 'localhost:4878', '127.0.0.1:65536', '127.0.0.1', 'unix:ui.sock', '300.1.1.1:1'])
    throwsLike(() => placeOf(text), { name: 'UsageError', message: /must be ADDRESS:PORT or unix:PATH/ })
})

test.run()
