// needs: chromium
/** The scoreboard and a plugin's page in a real browser: judged by axe-core, light on a wide screen and dark on a phone. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import axe, { type AxeResults } from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { complaintsOf, startBrowser } from '../lib/testing/browser.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { ALL_CLAUSES } from './all-clauses.ts'
import type { Finding } from './case.ts'
import { CASES } from './cases/all.ts'
import { SPEC_REVISION } from './clauses/clause.ts'
import type { Report, SetReport } from './report.ts'
import { writePages } from './report-pages.ts'
import type { CaseResult } from './run-case.ts'

const test = suite('conformance/page')

const NO_KERNEL = 'this kernel has no links of kind vlan'
const LONG = `printf %s '${'{"cniVersion":"1.1.0"} '.repeat(40)}' | env -i CNI_COMMAND=DEL /usr/lib/cni/bridge`

/** A handful of each part: a page of all takes a browser a minute. */
const SOME = CASES.filter((_one, index) => index % 12 === 0)
const JUDGED = new Set(['del.repeat', ...SOME.flatMap(({ clauses }) => clauses)])

/** These cases on two plugins: one of five is broken by the first and cannot be tried on the other, one on neither. */
function setOf(name: string, isReference: boolean): SetReport {
  const results = SOME.flatMap((one, index): readonly CaseResult[] => {
    const judged = one.clauses.slice(0, 1)
    const plain = { caseId: one.id, why: '', findings: [], judged, milliseconds: 1, version: '1.1.0' as const }
    const finding: Finding = {
      clause: judged[0] ?? '',
      expected: 'a < b',
      seen: `exit 1 ${'x'.repeat(300)}`,
      call: LONG
    }
    const waived = index % 2 === 0 ? { waived: 'issue 12, until 2027-01-31' } : {}
    const untried = { ...plain, verdict: 'not testable', why: NO_KERNEL, judged: [] } as const
    return [
      index % 5 === 1
        ? { ...untried, plugin: 'bridge' }
        : index % 5 === 0
          ? { ...plain, plugin: 'bridge', verdict: 'failed', findings: [{ ...finding, ...waived }] }
          : { ...plain, plugin: 'bridge', verdict: 'passed' },
      index % 5 < 2 ? { ...untried, plugin: 'vlan' } : { ...plain, plugin: 'vlan', verdict: 'passed' }
    ]
  })
  const files = [{ plugin: 'bridge', sha256: '0'.repeat(64), version: 'CNI bridge plugin v1.1.1' }]
  return {
    name,
    dir: `/${name}`,
    isReference,
    plugins: ['bridge', 'vlan'],
    files,
    notJudged: ['dhcp (a daemon)'],
    results
  }
}

const REPORT: Report = {
  schema: 'patchbay-conformance/1',
  suite: '1.1.0',
  spec: SPEC_REVISION,
  standards: ['spec-1.1', 'reference-keys'],
  date: '2026-01-01',
  kernel: 'Linux 6.1',
  command: 'patchbay conformance --plugin-dir mine=/mine',
  seed: 7,
  seconds: 1,
  clauses: ALL_CLAUSES.filter(({ id }) => JUDGED.has(id)),
  cases: SOME.map(({ id, title, part, clauses }) => ({ id, title, part, clauses })),
  sets: [setOf('mine', false), setOf('reference', true)]
}

async function withPages(body: (browser: Browser, main: string, plugin: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-page-'))
  writePages(join(directory, 'board.html'), REPORT)
  const browser = await startBrowser(directory)
  try {
    const url = (path: string) => pathToFileURL(join(directory, path)).href
    await body(browser, url('board.html'), url('board-plugins/bridge.html'))
  } finally {
    await browser.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What axe-core finds, with everything that can be folded open. */
async function faults(page: Page): Promise<readonly string[]> {
  await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
  const found = (await page.evaluate(`${axe.source}; axe.run()`)) as AxeResults
  return found.violations.map(one => `${one.id}: ${one.nodes[0]?.html}`)
}

test('no fault by axe-core, light on a wide screen and dark on a phone; nothing is wider than a phone', () =>
  withPages(async (browser, ...urls) => {
    for (const url of urls)
      for (const [colorScheme, width] of [
        ['light', 1280],
        ['dark', 375]
      ] as const) {
        const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } })
        const complaints = complaintsOf(page)
        await page.goto(url)
        assert.equal(await faults(page), [], `${url} ${colorScheme} ${width}`)
        const wide = await page.evaluate('document.documentElement.scrollWidth')
        assert.ok(Number(wide) <= width, `${url}: ${wide} of ${width} wide`)
        assert.equal(complaints, [])
        await page.close()
      }
  }))

test('search and filters leave what fits; a reason for not having tried stands in the text', () =>
  withPages(async (browser, main) => {
    const page = await browser.newPage()
    await page.goto(main)
    await page.fill('#search', 'del.repeat')
    const shown = page.locator('tr.clause:visible')
    assert.is(await shown.count(), 1)
    assert.match((await shown.first().textContent()) ?? '', /del\.repeat/)
    await page.fill('#search', '')
    await page.selectOption('#state', 'broken')
    const broken = await shown.count()
    assert.ok(broken > 0 && broken < REPORT.clauses.length / 2, `${broken} rows`)
    await page.selectOption('#state', '')
    await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    const text = await page.evaluate('document.body.innerText')
    assert.ok(String(text).includes(NO_KERNEL))
  }))

test.run()
