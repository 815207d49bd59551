/** docs/from-docker.md names commands and options that there are. That they do what it says, `npm run e2e` shows. */
import { readFileSync } from 'node:fs'
import { assert, suite } from '../lib/testing/suite.ts'
import { GRAMMAR } from './command-line.ts'
import { parse } from './parser.ts'

const test = suite('cli/from-docker')

const PAGE = new URL('../docs/from-docker.md', import.meta.url)
const SILENT = { out: () => {}, err: () => {} }

/** As a shell takes a line apart that has no other quotes than single ones. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}

test('every line that it has for a command of Docker is one', () => {
  const lines = [...readFileSync(PAGE, 'utf8').matchAll(/^\|[^|]*\| (?:refused: )?`patchbay ([^`]+)`/gm)].map(
    ([, line = '']) => line
  )
  assert.ok(lines.length > 80, String(lines.length))
  for (const line of lines) {
    try {
      assert.is(parse(GRAMMAR, wordsOf(line), SILENT).kind, 'call', line)
    } catch (error) {
      throw new Error(`patchbay ${line}: ${String(error)}`)
    }
  }
})

/** The options of `docker network` and the network's part of those of `docker run`, Docker 28. */
const OPTIONS_OF_DOCKER: readonly string[] =
  `attachable aux-address config-from config-only driver gateway ingress internal ip-range ipam-driver ipam-opt ipv6 label
  scope subnet alias driver-opt gw-priority ip ip6 link link-local-ip force format verbose filter no-trunc quiet add-host dns
  dns-option dns-search domainname expose hostname mac-address network network-alias publish-all`.split(/\s+/)

test('every option of Docker is on the page', () => {
  const page = readFileSync(PAGE, 'utf8')
  for (const option of OPTIONS_OF_DOCKER) {
    const isThere = page.includes(`--${option}`) || (option === 'publish-all' && page.includes('`-P '))
    assert.ok(isThere, option)
  }
})

test.run()
