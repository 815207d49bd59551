// needs: ping chromium etcd etcdctl
/**
 * `patchbay ui` in a real browser, which is in the host's namespace; so is `map --html`. With PATCHBAY_PICTURES=1 it writes the
 * pictures of docs/ui.md anew.
 */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import axe, { type AxeResults } from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { attachment, set } from '../../lib/testing/broken-worlds.ts'
import { complaintsOf, startBrowser } from '../../lib/testing/browser.ts'
import { EtcdCluster } from '../../lib/testing/etcd-cluster.ts'
import { type Namespace, NSENTER } from '../../lib/testing/namespace.ts'
import { inLab } from '../../lib/testing/overlay-lab.ts'
import { type Site, withSite } from '../../lib/testing/site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('cli/ui')

const ROOT = join(import.meta.dirname, '..', '..')
/** Of a loaded machine. */
const PATIENCE_MS = 60_000

/** `patchbay ui` on a host, and a browser there. */
interface Stage {
  readonly url: string
  readonly browser: Browser
  /** Ends the command as Ctrl-C does. @returns its exit status */
  readonly stop: () => Promise<number | null>
}

function withStage(site: Site, body: (stage: Stage) => Promise<void>): Promise<void> {
  site.ip(site.host, 'link set lo up')
  const places = [...site.places(), '--bin-dir', join(site.directory, 'bin'), '--config', '/none']
  return withUi(site, [...places, '--agent-socket', join(site.directory, 'agent.sock')], body)
}

interface UiHost {
  readonly host: Namespace
  readonly directory: string
}

async function withUi(
  { host, directory }: UiHost,
  places: readonly string[],
  body: (stage: Stage) => Promise<void>
): Promise<void> {
  // From source, and not as a bundle in another directory: the page is made of files beside it.
  const command = [process.execPath, '--no-warnings', join(ROOT, 'cli', 'main.ts'), 'ui', '--listen', '127.0.0.1:0']
  const args = [...command, '--json', '--interval', '0.2', ...places]
  const child = spawn(NSENTER, [`--net=${host.path}`, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  const browser = await startBrowser(directory, host)
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', chunk => resolve(JSON.parse(String(chunk)).url))
      child.on('close', () => reject(new Error('patchbay ui has ended')))
    })
    const stop = (): Promise<number | null> => {
      child.kill('SIGINT')
      return ended
    }
    await body({ url, browser, stop })
  } finally {
    child.kill('SIGKILL')
    await browser.close()
  }
}

async function opened(browser: Browser, url: string): Promise<{ page: Page; complaints: readonly string[] }> {
  const page = await browser.newPage({ viewport: { width: 1120, height: 640 } })
  page.setDefaultTimeout(PATIENCE_MS)
  const complaints = complaintsOf(page)
  await page.goto(url)
  return { page, complaints }
}

/** Faults that keep somebody out, by axe's judgement. */
async function faults(page: Page): Promise<readonly string[]> {
  // Of the browser's own, not of the page: the page's policy lets no other script run.
  const found = await page.evaluate(`${axe.source}; axe.run()`)
  const { violations } = found as AxeResults
  return violations
    .filter(one => one.impact === 'serious' || one.impact === 'critical')
    .map(one => `${one.id}: ${one.nodes.map(node => node.html).join(' ')}`)
}

/** Network shop with three containers, one of them published; network back with one of them and a fourth. */
function wireShop(site: Site): void {
  site.ip(
    site.host,
    'link add uplink type ifb',
    'addr add 192.0.2.10/24 dev uplink',
    'link set uplink up',
    'route add default via 192.0.2.1',
    ...['shop', 'back'].map(name => `link add br-${name} type bridge`),
    'addr add 10.77.0.1/24 dev br-shop',
    'addr add 10.78.0.1/24 dev br-back',
    ...['shop', 'back'].map(name => `link set br-${name} up`)
  )
  for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) set(site, site.host, name, '1')
  connect(site, 'shop', 0, { name: 'web', ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] })
  connect(site, 'shop', 1, { name: 'api' })
  connect(site, 'back', 1, { name: 'api', ifName: 'eth1' })
  connect(site, 'back', 2, { name: 'db' })
  // What doctor finds: a container that went without DEL.
  attachment(site, 'shop', 'old', { box: undefined, ips: ['10.77.0.9/24'] })
}

interface Connected {
  readonly name: string
  readonly ifName?: string
  readonly ports?: readonly object[]
}

/** As a plugin would do it, with the records of a runtime. */
function connect(
  site: Site,
  network: 'shop' | 'back',
  index: number,
  { name, ifName = 'eth0', ports }: Connected
): void {
  const box = site.box(index)
  const subnet = network === 'shop' ? 77 : 78
  const end = `${network}${String(index)}`
  site.ip(
    site.host,
    `link add ${end} type veth peer name ${ifName} netns ${String(box.pid)}`,
    `link set ${end} master br-${network} up`
  )
  const address = `10.${String(subnet)}.0.${String(index + 2)}/24`
  site.ip(box, 'link set lo up', `addr add ${address} dev ${ifName}`, `link set ${ifName} up`)
  if (ifName === 'eth0') site.ip(box, `route add default via 10.${String(subnet)}.0.1`)
  attachment(site, network, name, { box, ifName, ips: [address], ...(ports === undefined ? {} : { ports }) })
}

/** The picture of docs/ui.md, when it is asked for. */
async function picture(page: Page, name: string): Promise<void> {
  if (process.env['PATCHBAY_PICTURES'] !== '1') return
  await page.screenshot({ path: join(ROOT, 'docs', name), animations: 'disabled' })
}

/** Of a card, by its title. */
function card(page: Page, title: string) {
  return page.locator('.card', { has: page.locator('.title', { hasText: new RegExp(`^${title}$`) }) })
}

/** An agent that knows one service, in one line for each question. */
async function serveServices(site: Site): Promise<Server> {
  const member = { host: 'h', containerId: 'web', name: 'web', addresses: ['10.77.0.2'], away: false }
  const publish = [{ port: 8001, target: 80, protocol: 'tcp' }]
  const service = { network: 'shop', alias: 'web', mode: 'vip', vips: ['10.77.0.254'], publish }
  const result = { services: [{ name: 'front', running: 1, service, members: [member] }], problems: [] }
  const server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('data', () => socket.end(`${JSON.stringify({ ok: true, result })}\n`))
    socket.on('error', () => socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(join(site.directory, 'agent.sock'), resolve))
  return server
}

test('the map is live: containers come and go, numbers move, details open, and nothing is out of reach', () =>
  withSite(4, async site => {
    wireShop(site)
    const agent = await serveServices(site)
    const live = async ({ url, browser, stop }: Stage): Promise<void> => {
      const { page, complaints } = await opened(browser, url)
      await card(page, 'web').getByText('10.77.0.2/24').waitFor()
      await card(page, 'web').getByText('8080→80/tcp').waitFor()
      await card(page, 'service front').getByText('1 of 1 on shop').waitFor()
      assert.is(await page.locator('#wires line.wire').count(), 6)

      const pings = spawn(NSENTER, [`--net=${site.box(1).path}`, 'ping', '-q', '-i', '0.01', '-s', '1000', '10.77.0.2'])
      await card(page, 'web')
        .getByText(/↓ [0-9.]+KiB\/s {2}↑ [0-9.]+KiB\/s/)
        .waitFor()
      await page.locator('#wires line.flows').first().waitFor()

      connect(site, 'back', 3, { name: 'cache' })
      await card(page, 'cache').getByText('10.78.0.5/24').waitFor()
      await card(page, 'web').click()
      await page.locator('#details .chart canvas').waitFor()
      await page.locator('#details').getByText('other end').waitFor()
      await page.locator('#count:not(:empty)').waitFor()
      await judged(page)
      await picture(page, 'ui.png')
      pings.kill()
      site.ip(site.host, 'link del back3')
      await card(page, 'cache').waitFor({ state: 'detached' })

      await byKeys(page)
      await onOtherViews(page)
      assert.equal(complaints, [])
      assert.is(await stop(), 0)
      await page.locator('#state.bad').waitFor()
    }
    await withStage(site, live).finally(() => agent.close())
  }))

/** Both colour schemes; and a phone, where nothing is wider than the screen. */
async function judged(page: Page): Promise<void> {
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme })
    assert.equal(await faults(page), [], colorScheme)
  }
  await page.setViewportSize({ width: 360, height: 640 })
  assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth')) <= 360)
  assert.equal(await faults(page), [], 'phone')
  await page.setViewportSize({ width: 1120, height: 640 })
}

/** Without a mouse. */
async function byKeys(page: Page): Promise<void> {
  const focused = (): Promise<string> =>
    page.evaluate<string>("document.activeElement.querySelector('.title').textContent")
  await page.keyboard.press('Escape')
  assert.is(await focused(), 'web', 'what had opened the details has the focus again')
  await card(page, 'bridge br-shop').focus()
  await page.keyboard.press('Tab')
  const next = await focused()
  await page.keyboard.press('ArrowLeft')
  assert.is.not(await focused(), next, 'an arrow goes on to what lies there')
  await page.keyboard.press('/')
  await page.keyboard.type('10.78.0.4')
  await page.locator('.card:not(.missed) .title', { hasText: 'db' }).waitFor()
  assert.equal(await page.locator('.card:not(.missed) .title').allTextContents(), ['db'])
  await page.locator('#found', { hasText: '1 found' }).waitFor()
  await page.locator('#find').fill('')
  await card(page, 'service front').focus()
  await page.keyboard.press('Enter')
  await page.locator('#details').getByText('web on h: 10.77.0.2').waitFor()
  await page.keyboard.press('Escape')
}

async function onOtherViews(page: Page): Promise<void> {
  for (const [view, text] of [
    ['traffic', 'Published ports'],
    ['services', '10.77.0.254'],
    ['health', 'patchbay doctor --check gone']
  ] as const) {
    await page.locator(`[data-view=${view}]`).click()
    await page.locator(`#${view}`).getByText(text).first().waitFor()
    assert.equal(await faults(page), [], view)
  }
}

/** 15 bytes: the longest name that an interface can have. */
const NAME = '<b>\x1b[2J"&\u202e\x07'
const ALIAS = '<img src=x onerror="document.title=1">'

test('what a container calls its interface is text', () =>
  withSite(3, async site => {
    wireShop(site)
    const renamed = site.box(0).run('ip', ['link', 'set', 'eth0', 'down', 'name', NAME, 'alias', ALIAS])
    assert.is(renamed.status, 0, renamed.stderr)
    await withStage(site, async ({ url, browser }) => {
      const { page, complaints } = await opened(browser, url)
      await card(page, 'web').click()
      await page.locator('#details h3', { hasText: '<b>\\u{1b}[2J"&\\u{202e}\\u{7}' }).waitFor()
      await page.locator('#details dd', { hasText: ALIAS }).waitFor()
      await page.locator('[data-view=traffic]').click()
      await page.locator('#traffic td', { hasText: '<b>' }).waitFor()
      assert.is(await page.locator('img, b').count(), 0)
      assert.is.not(await page.title(), '1')
      assert.equal(complaints, [])
    })
  }))

test('map --html: search, details, light and dark', () =>
  withSite(3, async site => {
    wireShop(site)
    const file = join(site.directory, 'map.html')
    const done = site.patchbay(['map', ...site.places(), '--html', file])
    assert.is(done.status, 0, done.stderr)
    const browser = await startBrowser(site.directory)
    try {
      const { page, complaints } = await opened(browser, `file://${file}`)
      await page.locator('#find').fill('10.78.0.4')
      await page.locator('#found', { hasText: '1 found' }).waitFor()
      const missed = await page.locator('.card.missed .name').allTextContents()
      assert.ok(missed.includes('web') && !missed.includes('db'), missed.join())
      await page.locator('.card:not(.missed)').focus()
      await page.keyboard.press('Enter')
      await page.locator('#details h2', { hasText: 'db' }).waitFor()
      const paper = new Set<string>()
      for (const colorScheme of ['dark', 'light'] as const) {
        await page.emulateMedia({ colorScheme })
        paper.add(await page.evaluate<string>('getComputedStyle(document.body).backgroundColor'))
        assert.equal(await faults(page), [], colorScheme)
      }
      assert.is(paper.size, 2)
      await page.locator('#find').fill('')
      assert.equal(complaints, [])
      assert.not.match(readFileSync(file, 'utf8'), /https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
    } finally {
      await browser.close()
    }
  }))

test('--cluster: containers of other hosts, whose agent is away, and what stays when etcd is', () =>
  inLab(1, {}, async lab => {
    const { namespace } = lab.host(0)
    const etcd = await EtcdCluster.start(lab, 1)
    etcd.ctl('put', '/patchbay/hosts/far', JSON.stringify({ machine: 'm9', presence: '1', records: '2' }))
    const endpoint = (ip: string): string => JSON.stringify({ mac: '02:00:00:00:00:07', ips: [ip], vtep: '192.0.2.9' })
    etcd.ctl('put', '/patchbay/endpoints/42/far/blue/c7/eth0', endpoint('10.90.0.7'))
    const config = join(lab.directory, 'agent.json')
    writeFileSync(config, JSON.stringify({ etcd: { endpoints: etcd.endpoints() } }))
    const places = ['conf', 'cache', 'state'].flatMap(name => [`--${name}-dir`, join(lab.directory, `no-${name}`)])
    const options = [...places, '--cluster', '--config', config, '--agent-socket', join(lab.directory, 'none')]
    await withUi({ host: namespace, directory: lab.directory }, options, async ({ url, browser }) => {
      const { page, complaints } = await opened(browser, url)
      await page.locator('button[data-view=hosts]').click()
      const row = (text: string) => page.locator('#hosts tr', { hasText: text })
      await row('c7 (eth0)').getByText('away', { exact: true }).waitFor()
      etcd.ctl('put', '/patchbay/hosts/far/present', 'm9')
      await row('c7 (eth0)').getByText('there', { exact: true }).waitFor()
      etcd.ctl('put', '/patchbay/endpoints/42/far/blue/<b>c8/eth0', endpoint('10.90.0.8'))
      await row('10.90.0.8').getByText('<b>c8 (eth0)').waitFor()
      await page.locator('#find').fill('10.90.0.8')
      await page.locator('#found', { hasText: '1 found' }).waitFor()
      await page.locator('#find').fill('')
      assert.equal(await faults(page), [])
      await etcd.kill(0)
      await page.locator('button[data-view=health]').click()
      await page.locator('#health').getByText('read the cluster: ').waitFor()
      assert.is(await page.locator('#hosts tbody tr').count(), 2)
      assert.equal(complaints, [])
    })
  }))

test.run()
