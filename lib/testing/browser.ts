/** A real browser in a namespace of a test: Debian's Chromium, led by playwright-core. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type Namespace, NSENTER } from './namespace.ts'

const CHROMIUM = '/usr/bin/chromium'

/**
 * @param directory for the script that starts it
 * @param namespace whose 127.0.0.1 it sees; none for pages that are files
 */
export async function startBrowser(directory: string, namespace?: Namespace): Promise<Browser> {
  const script = join(directory, 'chromium')
  const enter = namespace === undefined ? '' : `${NSENTER} --net=${namespace.path} `
  writeFileSync(script, `#!/bin/sh\nexec ${enter}${CHROMIUM} "$@"\n`)
  chmodSync(script, 0o755)
  return chromium.launch({
    executablePath: script,
    // Root has no sandbox; a container's /dev/shm may be small.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--font-render-hinting=none'],
    // Of a loaded machine too.
    timeout: 120_000
  })
}

/** What the page has told the console since now, and the errors that nothing caught. Nothing is what there should be. */
export function complaintsOf(page: Page): readonly string[] {
  const complaints: string[] = []
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', error => complaints.push(`uncaught: ${error.message}`))
  page.on('requestfailed', request => {
    complaints.push(`request: ${request.url()}: ${request.failure()?.errorText ?? ''}`)
  })
  return complaints
}
